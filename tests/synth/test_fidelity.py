"""The check of meaning: what it sees, what it does not, and how often, on rewritings labelled by hand."""

import json
from pathlib import Path

import pytest

from kimi_mini.corpus import facts
from kimi_mini.corpus.draw import Draw
from kimi_mini.synth import Completion, Programmatic, check, fidelity, judge, prompts, rewrite_document

LABELLED = json.loads((Path(__file__).parent / "labelled.json").read_text(encoding="utf-8"))
SOURCES = LABELLED["sources"]
TOWN = SOURCES["town"]
UNSEEN = {"numbers swapped", "who and whom", "one of two is missing"}


def kinds(source, rewriting, before=""):
    return {problem.kind for problem in check(source, rewriting, before)}


def problems(source, rewriting):
    return check(SOURCES.get(source, source), rewriting)


@pytest.mark.parametrize(("source", "rewriting"), LABELLED["first"]["right"])
def test_honest_paraphrases_pass(source, rewriting):
    assert problems(source, rewriting) == ()


def test_wrong_rewritings_are_refused_but_for_the_documented_limits():
    passed = [label for source, rewriting, label in LABELLED["first"]["wrong"] if not problems(source, rewriting)]
    assert set(passed) == UNSEEN and len(passed) == 4


def errors(name):
    """Right ones refused, right ones, wrong ones passed, wrong ones."""
    right = [bool(problems(source, rewriting)) for source, rewriting in LABELLED[name]["right"]]
    wrong = [not problems(source, rewriting) for source, rewriting, _ in LABELLED[name]["wrong"]]
    return sum(right), len(right), sum(wrong), len(wrong)


def test_the_rates_that_the_docstring_tells():
    told = " ".join(fidelity.__doc__.split())
    assert errors("second") == (3, 12, 5, 16)
    refused, right, passed, wrong = errors("third")
    assert f"it refused {refused} of {right} right ones and let {passed} of {wrong} wrong ones pass" in told
    assert (refused, passed) == (2, 3)


@pytest.mark.parametrize(
    ("rewriting", "kind"),
    [
        (TOWN.replace("1342", "1343"), "number"),
        (TOWN.replace("Corla", "Torla"), "name"),
        (TOWN.replace("is known", "is not known"), "negation"),
        (TOWN.replace("glass", "cheese"), "swap"),
        (TOWN.replace(" The mayor of Belmabury is Boris Corgate.", ""), "name"),
        (TOWN.replace(" Belmabury is known for its glass.", ""), "missing"),
        (TOWN + " Tourists admire the castle.", "added"),
        (" ", "empty"),
    ],
)
def test_each_kind_of_error_has_its_name(rewriting, kind):
    assert kind in kinds(TOWN, rewriting)


def test_numbers_are_read_however_they_are_written():
    assert check("The war of 1910-1925 had 3,400 victims.", "The war from 1910 to 1925 had 3400 victims.") == ()
    assert kinds("It was -5 degrees.", "It was 5 degrees.") == {"number"}
    assert kinds("Houses 3,4 and 5 burned.", "Houses 34 and 5 burned.") >= {"number"}
    assert check("It has 42 rooms and 1,200 windows.", "It has forty-two rooms and 1200 windows.") == ()


def test_a_name_that_stood_before_is_no_new_one():
    assert "name" in kinds("It was founded in 1342.", "In 1342 Belmabury was founded.")
    assert kinds("It was founded in 1342.", "In 1342 Belmabury was founded.", before="Belmabury lies here.") == set()


@pytest.mark.parametrize("number", range(60))
def test_the_rules_rewritings_of_facts_pass_and_their_swaps_do_not(number):
    text = facts.document(Draw("fidelity", number)).split("Question")[0].strip()
    other = facts.document(Draw("another", number)).split("Question")[0].strip()
    (prompt,) = prompts(number % 30 + 1)[-1:]

    def rewrite(chunk, previous):
        messages = prompt.messages(chunk, previous)
        return Programmatic().complete(messages, seed=number, max_tokens=0, temperature=0).text

    written = rewrite_document(text, rewrite, 30)
    assert written != text and check(text, written) == ()
    assert check(other, written)


class Saying:
    name = "saying"

    def __init__(self, text):
        self.text = text

    def complete(self, messages, *, temperature, **_):
        assert temperature == 0 and TOWN in messages[0]["content"]
        return Completion(self.text, self.name)


@pytest.mark.parametrize(
    ("said", "ok"), [("SAME", True), (" same.", True), ("DIFFERENT", False), ("SAME or DIFFERENT", False), ("Yes", False)]
)
def test_a_judge_must_say_the_word(said, ok):
    assert (judge(Saying(said), TOWN, "a rewriting") == ()) is ok
