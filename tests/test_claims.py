"""The register of claims: whole, honest in form, and every test it names exists."""

from dataclasses import replace

import pytest

from kimi_mini.claims import CHAPTERS, CLAIMS, OUTCOMES, Chapter, claim, count_outcomes, missing_evidence
from kimi_mini.dev import ROOT

HERE = "tests/test_claims.py::test_numbers_have_no_gap"


def test_everything_named_as_evidence_exists():
    assert missing_evidence(CLAIMS, ROOT) == ()


@pytest.mark.parametrize(
    "named",
    [
        "tests/test_claims.py::test_that_nobody_wrote",
        "tests/test_claims.py::HERE",
        "tests/test_claims.py::",
        "tests/test_claims.py",
        "tests/test_nothing.py::test_numbers_have_no_gap",
        "bench/results/never-run.json",
        "bench/results/README.md::test_numbers_have_no_gap",
        "../outside.json",
        "",
    ],
)
def test_evidence_that_does_not_exist_is_caught(named):
    bad = replace(claim(1), evidence=(HERE, named))
    assert missing_evidence((bad, claim(2)), ROOT) == (f"claim 1: {named}",)


def test_files_and_tests_that_exist_are_found():
    good = replace(claim(1), evidence=(HERE, "bench/results/README.md", "bench/results"))
    assert missing_evidence([good], ROOT) == ()


def test_numbers_have_no_gap():
    assert [each.number for each in CLAIMS] == list(range(1, 34))
    assert claim(33) is CLAIMS[-1]
    with pytest.raises(ValueError, match="number = 34 will not do; expected one of 1 to 33"):
        claim(34)


def test_titles_differ_and_chapters_are_those_of_the_plan():
    assert len({each.title for each in CLAIMS}) == 33 and len(set(CHAPTERS)) == 22
    assert all(CHAPTERS[each.chapter.number] == each.chapter.title for each in CLAIMS)


def test_counts_name_every_outcome():
    counts = count_outcomes([replace(claim(1), outcome="not yet"), claim(2)])
    assert counts == {"reproduced": 1, "partly": 0, "not at this scale": 0, "not yet": 1}
    assert tuple(counts) == OUTCOMES


@pytest.mark.parametrize("outcome", [outcome for outcome in OUTCOMES if outcome != "not yet"])
def test_an_outcome_needs_evidence(outcome):
    with pytest.raises(ValueError, match="evidence of claim 8"):
        replace(claim(8), outcome=outcome, evidence=(), note="all of it is missing")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcome": "proved"}, "outcome of claim 7 = 'proved'"),
        ({"outcome": "partly", "note": ""}, "note of claim 7"),
        ({"number": 0}, "number = 0"),
        ({"claim": " "}, "claim of claim 7"),
        ({"evidence": HERE}, "evidence of claim 7 = .*expected a tuple"),
        ({"chapter": Chapter(22, "One more")}, "chapter of claim 7"),
        ({"chapter": Chapter(3, CHAPTERS[4])}, "chapter of claim 7"),
        ({"lab": "4"}, "lab of claim 7 = '4'"),
    ],
)
def test_a_claim_that_will_not_do(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(claim(7), **changes)
