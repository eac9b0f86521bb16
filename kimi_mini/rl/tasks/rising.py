"""Rising: take some of the given numbers and put them in order. Many answers are right, and a program can tell."""

from __future__ import annotations

import re

from ...checks import is_int, require
from ...corpus.draw import Draw
from ..types import Problem, Score
from .marking import readable

_LIST = re.compile(r"[0-9]{1,3}(,[0-9]{1,3}){0,30}")


class Rising:
    """`count` different numbers of 1 to `largest`, of which at least `least` are to be written in rising order.

    Any choice is right; with `paid_by_length` an answer in order earns the share of the numbers that stand in it, so that
    a longer one earns more.
    """

    name = "rising"

    def __init__(
        self, count: int = 5, least: int = 3, largest: int = 99, paid_by_length: bool = False, budget: int = 24
    ) -> None:
        require(is_int(least, 2), "least", least, "an integer >= 2")
        require(is_int(count, least) and count <= 12, "count", count, f"an integer from least = {least} to 12")
        require(is_int(largest, count + 1) and largest <= 999, "largest", largest, f"{count + 1} to 999")
        require(is_int(budget, 1), "budget", budget, "an integer >= 1")
        self.count, self.least, self.largest, self.paid_by_length, self.budget = count, least, largest, paid_by_length, budget

    def problem(self, seed: int) -> Problem:
        numbers = Draw("rising", self.count, self.largest, seed).some(range(1, self.largest + 1), self.count)
        shown = ",".join(map(str, numbers))
        question = {"role": "user", "content": f"Sort {self.least} or more of {shown}."}
        name = f"{self.name}-{'-'.join(map(str, sorted(numbers)))}"
        return Problem(self.name, name, (question,), {"numbers": numbers}, budget=self.budget)

    def score(self, problem: Problem, text: str) -> Score:
        """1 (or the share of the numbers) for a list of enough given numbers, none twice, each larger than the one before."""
        listed = readable(text) and _LIST.fullmatch(text.strip()) is not None
        numbers = [int(number) for number in text.strip().split(",")] if listed else []
        parts = {
            "list": listed,
            "given": listed and set(numbers) <= set(problem.data["numbers"]),
            "enough": len(numbers) >= self.least,
            "rising": listed and all(a < b for a, b in zip(numbers, numbers[1:], strict=False)),
        }
        pay = len(numbers) / len(problem.data["numbers"]) if self.paid_by_length else 1.0
        return Score(pay * all(parts.values()), {name: float(part) for name, part in parts.items()})

    def gold(self, problem: Problem) -> str:
        """Any choice, drawn by the problem; all of the numbers where length pays."""
        draw, numbers = Draw("gold", problem.id), problem.data["numbers"]
        taken = numbers if self.paid_by_length else draw.some(numbers, draw.number(self.least, len(numbers)))
        return ",".join(map(str, sorted(taken)))

    def wrong(self, problem: Problem) -> str:
        """The given numbers, two of them out of order."""
        first, second, *rest = sorted(problem.data["numbers"])
        return ",".join(map(str, (second, first, *rest)))
