"""The first text: the same for a seed, true where it calculates, and held out by whole documents."""

import re

import pytest

import kimi_mini as km
from kimi_mini.train.text import CODE_MODULES, domains, pack

TEXT = domains()
EQUATION = re.compile(r"(\d+(?: [-+*] \d+)+) = (\d+)")


def all_documents(text):
    return [doc for domain in text.values() for part in domain for doc in part]


def test_the_domains_and_their_sizes():
    assert list(TEXT) == ["code", "maths", "facts"]
    assert [len(d.train) + len(d.held_out) for d in TEXT.values()] == [len(CODE_MODULES), 600, 600]
    assert [len(d.held_out) for d in TEXT.values()] == [len(CODE_MODULES) // 10, 60, 60]


def test_a_seed_fixes_the_text():
    assert domains(seed=3, documents=20) == domains(seed=3, documents=20)
    assert domains(seed=3, documents=20)["maths"] != domains(seed=4, documents=20)["maths"]


@pytest.mark.parametrize("name", list(TEXT))
def test_no_document_is_in_both_parts(name):
    train, held_out = TEXT[name]
    assert len(set(train + held_out)) == len(train + held_out)


def test_every_equation_is_true():
    equations = [found for part in TEXT["maths"] for doc in part for found in EQUATION.findall(doc)]
    assert len(equations) > 10_000
    assert [e for e in equations if eval(e[0]) != int(e[1])] == []  # noqa: S307  (digits and signs only, by the pattern)


def test_the_answer_is_the_question_and_written_digits_spell_it():
    problems = [p for part in TEXT["maths"] for doc in part for p in doc.strip().split("\n\n")]
    for problem in problems:
        question = re.search(r"What is (.+)\?", problem)[1]
        assert problem.endswith(f"Answer: {question} = {eval(question)}")  # noqa: S307
        if "write" in problem:
            assert int("".join(reversed(re.findall(r"write (\d+)", problem)))) == eval(question)  # noqa: S307
            assert problem.count("carry") == len(re.findall(r"\d \+ \d \+ 1 = ", problem))


def test_the_facts_of_a_place_agree_with_each_other():
    names = set()
    for document in (doc for part in TEXT["facts"] for doc in part):
        founded = set(re.findall(r"\d{4}", document))
        (name,) = {match for match in re.findall(r"(\w+) (?:lies|was|is known)", document) if match != "It"}
        assert len(founded) == 1 and document.count(founded.copy().pop()) == 3
        names.add(name)
    assert len(names) == 600  # one document a place, so no two contradict each other


def test_code_is_pythons_own_source():
    import heapq
    import inspect

    assert inspect.getsource(heapq) in TEXT["code"].train + TEXT["code"].held_out


@pytest.mark.parametrize("documents", [9, 10**6])
def test_an_impossible_size_is_refused(documents):
    with pytest.raises(ValueError, match=f"documents = {documents} will not do; expected 10 "):
        domains(documents=documents)


def test_pack_puts_every_document_between_its_ends():
    documents = ["one [EOS] two", "", "drei"]
    tokenizer = km.Tokenizer.train(documents, 300)
    tokens = pack(tokenizer, documents).tolist()
    assert (tokens.count(tokenizer.bos), tokens.count(tokenizer.eos)) == (3, 3)  # what only looks like [EOS] ends nothing
    assert tokenizer.decode(tokens) == "".join(f"[BOS]{text}[EOS]" for text in documents)
