"""The outcomes of right and of wrong answers, for a notebook's checks and for grading."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from kimi_mini.checks import require
from kimi_mini.labs import attempt, store
from kimi_mini.labs.baked import alike, fingerprint, pack

from .exercise import Coding, Guess, LabSpec, Variant, define

VISIBLE_SEED = 0
NOT_CHANGED = "This does what the practice version asks. Yours differs: {change}"


def bake(spec: LabSpec, twists: dict[str, Variant]) -> str:
    """The text that a lab's set-up cell holds: checks of every practice version and of the one twist per exercise."""
    checks: dict[str, Any] = {}
    for exercise in spec.coding:
        for variant in (exercise.practice, twists[exercise.name]):
            checks[variant.function] = outcomes(exercise, variant, VISIBLE_SEED)
    guesses = {each.name: [each.low, each.high] for each in spec.exercises if isinstance(each, Guess)}
    return pack({"lab": spec.name, "checks": checks, "guesses": guesses})


def outcomes(exercise: Coding, variant: Variant, seed: int) -> dict[str, Any]:
    """{"hints", "cases": [{"case", "expected", "mistakes"}]}, the last with a fingerprint per hint, None where it is right.

    Raises ValueError if the solution stops on a case.
    """
    wrong = [(mistake.hint, variant.mutant(mistake)) for mistake in variant.mistakes]
    if variant is not exercise.practice:
        wrong.append((NOT_CHANGED.format(change=variant.change), exercise.practice.solution))
    return measure(variant, seed, wrong)


def measure(variant: Variant, seed: int, wrong: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`outcomes` with wrong answers of one's own choice, (hint, source)."""
    right = function_of(variant.solution)
    wrong = [(hint, function_of(source)) for hint, source in wrong]
    cases = []
    for case in variant.cases(seed):
        stored = store(case)
        expected = attempt(right, stored)
        require("error" not in expected, f"{variant.name!r} on {case.name!r}", expected.get("error"), "a result")
        expected.pop("line", None)
        good = fingerprint(expected)
        marks = [fingerprint(attempt(function, stored)) for _, function in wrong]
        marks = [None if alike(good, mark, case.largest) else mark for mark in marks]
        cases.append({"case": stored, "expected": expected, "mistakes": marks})
    return {"hints": [hint for hint, _ in wrong], "cases": cases}


@cache
def function_of(source: str):
    """The function that trusted source is about: the first that it defines."""
    return define(source)[Variant("", source, lambda seed: (), ()).function]
