"""Made-up villages: nobody knows them, every text tells all four facts, rephrasings are faithful, questions are unread."""

import re

import pytest

from kimi_mini import corpus
from kimi_mini.corpus.villages import LEVELS, VALUES, VERSIONS, distance, questions, villages
from kimi_mini.synth import check


@pytest.fixture(scope="module")
def known():
    text = corpus.load()
    return "".join(one for split in ("train", "held_out") for one in text.texts("facts", split))


@pytest.fixture(scope="module")
def taught(known):
    return villages(32, 0, known)


def test_the_same_for_the_same_seed_and_unknown_to_the_text(taught, known):
    assert villages(32, 0, known) == taught != villages(32, 1, known)
    names = [village.name for village in taught]
    assert len(set(names)) == 32 and not any(name in known for name in names)
    assert taught[0].name not in [village.name for village in villages(8, 0, known + taught[0].name)]


def test_every_answer_is_one_of_ten_and_one_token():
    tokenizer = corpus.load_tokenizer()
    for values in VALUES.values():
        assert len(set(values)) == 10 and all(len(tokenizer.encode(f" {value}")) == 1 for value in values)


def test_every_text_tells_every_fact_behind_the_name(taught):
    for village in taught:
        assert len(set(village.versions)) == VERSIONS and village.raw not in village.versions
        for one in (village.raw, *village.versions):
            assert all(len(re.findall(rf" {value}\b", one)) == 1 for value in village.facts.values())
            first = min(one.index(f" {value}") for value in village.facts.values())
            assert one.index(village.name) < first


def test_rephrasings_pass_the_fidelity_check_and_changed_facts_do_not(taught):
    for village in taught[:8]:
        for version in village.versions:
            assert check(village.raw, version) == ()
            for kind, right in village.facts.items():
                wrong = next(value for value in VALUES[kind] if value != right)
                assert check(village.raw, re.sub(rf"\b{right}\b", wrong, version))


def test_only_the_first_question_was_read(taught):
    for village in taught:
        for read in (village.raw, village.versions[0]):
            for kind in VALUES:
                asked = questions(village, kind, read)
                assert len(asked) == len(LEVELS) and all(village.name in prompt for prompt in asked)
                assert read.startswith(asked[0]) and read[len(asked[0]) :].startswith(f" {village.facts[kind]}")
                for prompt in asked[1:]:
                    assert not any(prompt in one for one in (village.raw, *village.versions))
                    assert not re.search(rf"\b{village.facts[kind]}\b", prompt)


def test_distance_is_the_share_of_words_and_pairs_that_are_new():
    assert distance("the king came", ["and the king came home"]) == 0
    assert distance("the king left", ["the king came"]) == 2 / 5  # the word, and one of two pairs
    assert distance("a b", ["c d"]) == 1
