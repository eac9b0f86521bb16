"""The outcomes of right and of wrong answers, for a notebook's checks and for grading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from kimi_mini.checks import require
from kimi_mini.labs import Case, attempt, store
from kimi_mini.labs.baked import alike, fingerprint, pack

from .exercise import Coding, Guess, LabSpec, Variant, define

VISIBLE_SEED = 0
NOT_CHANGED = "This does what the practice version asks. Yours differs: {change}"


def bake(spec: LabSpec, twists: dict[str, Variant]) -> str:
    """The text that a lab's set-up cell holds: checks of every practice version and of the one twist per exercise."""
    checks: dict[str, Any] = {}
    for exercise in spec.coding:
        for variant in (exercise.practice, twists[exercise.name]):
            checks[variant.function] = outcomes(exercise, variant)
    guesses = {each.name: [each.low, each.high] for each in spec.exercises if isinstance(each, Guess)}
    return pack({"lab": spec.name, "checks": checks, "guesses": guesses})


@cache
def outcomes(exercise: Coding, variant: Variant) -> dict[str, Any]:
    """What `measure` says of the visible cases, whose tensors are rounded to be short."""
    wrong = [(mistake.hint, variant.mutant(mistake)) for mistake in variant.mistakes]
    if variant is not exercise.practice:
        wrong.append((NOT_CHANGED.format(change=variant.change), exercise.practice.solution))
    cases = (replace(case, args=_short(case.args)) for case in variant.cases(VISIBLE_SEED))
    return measure(variant, cases, wrong)


def measure(variant: Variant, cases: Iterable[Case], wrong: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Outcomes of the solution and of wrong answers, (hint, source), on cases.

    {"hints", "cases": [{"case", "expected", "mistakes"}]}, the last with a fingerprint per hint, None where it is right.
    Raises ValueError if the solution stops on a case.
    """
    right = function_of(variant.solution)
    wrong = [(hint, function_of(source)) for hint, source in wrong]
    found = []
    for case in cases:
        stored = store(case)
        expected = attempt(right, stored)
        require("error" not in expected, f"{variant.name!r} on {case.name!r}", expected.get("error"), "a result")
        expected.pop("line", None)
        good = fingerprint(expected)
        marks = [fingerprint(attempt(function, stored)) for _, function in wrong]
        marks = [None if alike(good, mark, case.largest) else mark for mark in marks]
        found.append({"case": stored, "expected": expected, "mistakes": marks})
    return {"hints": [hint for hint, _ in wrong], "cases": found}


def _short(value: Any) -> Any:
    """Float tensors rounded to float16, which halves a notebook, where that changes no number by more than a thousandth."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_short, value))
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    rounded = value.half().to(value.dtype)
    return rounded if torch.allclose(rounded, value, rtol=1e-3, atol=0) else value


@cache
def function_of(source: str):
    """The function that trusted source is about: the first that it defines."""
    return define(source)[Variant("", source, lambda seed: (), ()).function]
