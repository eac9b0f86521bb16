"""Arithmetic: work out an expression and state the value in one fixed form, on the last line."""

from __future__ import annotations

import re

from ...checks import is_int, require
from ...corpus.draw import Draw
from ..types import Problem, Score
from .marking import marked, readable

_STATED = re.compile(r"answer\s*:", re.IGNORECASE)
_LAST = re.compile(r"Answer: (-?[0-9]{1,15})\.?")
_FORM = "End with one line: Answer: and the number."


class Arithmetic:
    """A sum of `terms` numbers or products, of at most `digits` digits each, joined by + and -; `products` allows *."""

    name = "arithmetic"

    def __init__(self, terms: int = 2, digits: int = 2, products: bool = True, budget: int = 64) -> None:
        require(is_int(terms, 1) and terms <= 8, "terms", terms, "an integer from 1 to 8")
        require(is_int(digits, 1) and digits <= 4, "digits", digits, "an integer from 1 to 4")
        require(terms > 1 or products, "terms", terms, "at least 2 where there are no products")
        require(is_int(budget, 1), "budget", budget, "an integer >= 1")
        self.terms, self.digits, self.products, self.budget = terms, digits, products, budget

    def problem(self, seed: int) -> Problem:
        draw = Draw("arithmetic", self.terms, self.digits, self.products, seed)
        expression, value = self._term(draw, must=self.terms == 1)
        for _ in range(self.terms - 1):
            term, more = self._term(draw)
            plus = draw.chance(0.5)
            expression, value = f"{expression} {'+' if plus else '-'} {term}", value + more if plus else value - more
        question = {"role": "user", "content": f"What is {expression}? {_FORM}"}
        data = {"expression": expression, "value": value}
        return Problem(self.name, f"{self.name}-{expression.replace(' ', '')}", (question,), data, budget=self.budget)

    def _term(self, draw: Draw, must: bool = False) -> tuple[str, int]:
        low, high = 2, 10**self.digits - 1
        a = draw.number(low, high)
        if not must and not (self.products and draw.chance(0.5)):
            return str(a), a
        b = draw.number(low, high)
        return f"{a} * {b}", a * b

    def score(self, problem: Problem, text: str) -> Score:
        """1 where the last line, and no other, states an answer, and it is the right one."""
        lines = text.strip().splitlines() if readable(text) else []
        last = _LAST.fullmatch(lines[-1].strip()) if lines else None
        once = last is not None and len(_STATED.findall(text)) == 1
        right = last is not None and int(last[1]) == problem.data["value"]
        return marked({"stated": last is not None, "once": once, "right": right})

    def gold(self, problem: Problem) -> str:
        data = problem.data
        return f"{data['expression']} = {data['value']}\nAnswer: {data['value']}"

    def wrong(self, problem: Problem) -> str:
        """Off by one."""
        return f"{problem.data['expression']} = {problem.data['value'] + 1}\nAnswer: {problem.data['value'] + 1}"
