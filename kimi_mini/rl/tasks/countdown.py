"""Countdown: reach a target with all of the given numbers. Many answers are right, and a program can tell.

The answer is a chain of tries, "3*5+2=17, 3*5-2=13": what counts is the last one. Whoever tries longer finds more often.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from ...checks import is_int, require
from ...corpus.draw import Draw
from ...tools.arithmetic import read_expression
from ..types import Problem, Score


class Countdown:
    """Make `target` from `count` numbers of 1 to `largest`, each used exactly once, with + - * and brackets.

    A gold answer has up to `tries` wrong tries, told truly, before the right one. Targets are 1 to `highest`.
    """

    name = "countdown"

    def __init__(self, count: int = 3, largest: int = 9, highest: int = 30, tries: int = 3, budget: int = 64) -> None:
        require(is_int(count, 2) and count <= 4, "count", count, "2 to 4 numbers")
        require(is_int(largest, 2), "largest", largest, "an integer >= 2")
        require(is_int(highest, 1), "highest", highest, "an integer >= 1")
        require(is_int(tries, 0), "tries", tries, "an integer >= 0")
        require(is_int(budget, 1), "budget", budget, "an integer >= 1")
        self.count, self.largest, self.highest, self.tries, self.budget = count, largest, highest, tries, budget

    def problem(self, seed: int) -> Problem:
        draw = Draw("countdown", self.count, self.largest, self.highest, seed)
        targets: list[int] = []
        while not targets:
            numbers = sorted(draw.number(1, self.largest) for _ in range(self.count))
            targets = [value for value in sorted(_values(tuple(numbers))) if 1 <= value <= self.highest]
        target = draw.one(targets)
        shown = ", ".join(map(str, draw.shuffled(numbers)))
        question = {"role": "user", "content": f"Make {target} out of {shown}."}
        name = f"{self.name}-{target}-from-{'-'.join(map(str, numbers))}"
        return Problem(self.name, name, (question,), {"target": target, "numbers": numbers}, budget=self.budget)

    def score(self, problem: Problem, text: str) -> Score:
        """1 where the last try uses every number once, makes the target, and says no other value."""
        last = text.strip().rstrip(".").rpartition(",")[2]
        term, equals, said = last.partition("=")
        found = read_expression(term)
        readable = found is not None
        fair = readable and len(found.numbers) > 1 and not Counter(found.numbers) - Counter(problem.data["numbers"])
        true = readable and (not equals or said.strip() == str(found.value))
        reached = readable and found.value == problem.data["target"]
        parts = {"readable": readable, "numbers": fair, "true": true, "target": reached}
        return Score(float(all(parts.values())), {name: float(part) for name, part in parts.items()})

    def gold(self, problem: Problem) -> str:
        draw, target = Draw("gold", problem.id), problem.data["target"]
        values = _values(tuple(problem.data["numbers"]))
        wrong = [value for value in values if value != target]
        missed = [draw.one(wrong) for _ in range(draw.number(0, self.tries))] if wrong else []
        return ", ".join(f"{draw.one(values[value])}={value}" for value in (*missed, target))

    def wrong(self, problem: Problem) -> str:
        """A true equation of the numbers in the question that makes something else."""
        first, *rest = problem.data["numbers"]
        target, term = problem.data["target"], "+".join(map(str, (first, *rest)))
        value = first + sum(rest)
        return f"{term}={value}" if value != target else f"{term}+1={value + 1}"


@lru_cache(maxsize=8192)
def _values(numbers: tuple[int, ...]) -> dict[int, list[str]]:
    """What two or more of the numbers can make, and the terms that make it."""
    found: dict[int, set[str]] = {}
    for size in range(2, len(numbers) + 1):
        for order in set(itertools.permutations(numbers, size)):
            for value, term, _ in _terms(order):
                found.setdefault(value, set()).add(term)
    return {value: sorted(terms) for value, terms in sorted(found.items())}


def _terms(order: tuple[int, ...]) -> Iterator[tuple[int, str, str]]:
    """(value, term, its outermost sign) of every way to join the numbers in this order, brackets only where needed."""
    if len(order) == 1:
        yield order[0], str(order[0]), ""
    for cut in range(1, len(order)):
        for (a, left, inner), (b, right, other) in itertools.product(_terms(order[:cut]), _terms(order[cut:])):
            bracketed = f"({right})" if other in ("+", "-") else right
            yield a + b, f"{left}+{right}", "+"
            yield a - b, f"{left}-{bracketed}", "-"
            yield a * b, f"{f'({left})' if inner in ('+', '-') else left}*{bracketed}", "*"
