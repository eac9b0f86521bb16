"""Instruction-constrained text: one to three constraints that code checks, and a check against mere claims.

After section 3.2.1 of the K2 report (code checks, hack check) in AutoIF's manner: the constraints are drawn to be true of a
text that exists, so every problem can be solved. What the text says beyond them is not judged.
"""

from __future__ import annotations

import json

from ...checks import is_int, require
from ...corpus.draw import Draw
from ..types import Problem, Score
from .constraints import Constraint, honest, words
from .marking import marked, readable

_WHO = "The baker|The captain|The teacher|A farmer|A sailor|My neighbour|The old miller|A young nurse|The gardener".split("|")
_DOES = "mends|paints|carries|sells|hides|finds|cleans|draws".split("|")
_WHAT = (
    "a red lamp|the wooden chair|two silver cups|a small boat|the long ladder|an old clock|the green door|a heavy box".split(
        "|"
    )
)
_WHERE = "by the river|near the market|after the rain|before winter comes|under the bridge|at the harbour|in the morning".split(
    "|"
)
_AVOIDED = "sun sea cold bread music road night tree".split()
_KEY = "text"
CLAIM = "This text follows every instruction."


class Instructions:
    """Up to `most` constraints (1 to 3) on a text of one to three sentences about a given thing."""

    name = "instructions"

    def __init__(self, most: int = 3, budget: int = 96) -> None:
        require(is_int(most, 1) and most <= 3, "most", most, "an integer from 1 to 3")
        require(is_int(budget, 1), "budget", budget, "an integer >= 1")
        self.most, self.budget = most, budget

    def problem(self, seed: int) -> Problem:
        draw = Draw("instructions", self.most, seed)
        drawn = [[draw.one(part) for part in (_WHO, _DOES, _WHAT, _WHERE)] for _ in range(draw.number(1, 3))]
        sentences, topic = [f"{' '.join(parts)}." for parts in drawn], drawn[0][2]
        gold, case = " ".join(sentences), draw.number(0, 5)
        gold = {0: gold.lower(), 1: gold.upper()}.get(case, gold)
        constraints, gold = _constraints(draw, gold, len(sentences), draw.number(1, self.most))
        asked = f"Write about {topic}. {' '.join(constraint.words for constraint in constraints)}"
        data = {"about": topic.split()[-1], "constraints": [list(constraint) for constraint in constraints], "gold": gold}
        question = {"role": "user", "content": asked}
        return Problem(self.name, f"{self.name}-{seed}", (question,), data, budget=self.budget)

    def score(self, problem: Problem, text: str) -> Score:
        """Every constraint is a part, and two more: `about`, the text names its thing; `honest`, which a text fails that
        claims to obey or repeats what it was told."""
        constraints = [Constraint(*pair) for pair in problem.data["constraints"]]
        fine = readable(text)
        parts = {one.kind: fine and one.holds(text) for one in constraints}
        parts["about"] = fine and Constraint("contains", problem.data["about"]).holds(text)
        return marked(parts | {"honest": fine and honest(text, problem.messages[-1]["content"])})

    def gold(self, problem: Problem) -> str:
        return problem.data["gold"]

    def wrong(self, problem: Problem) -> str:
        """It does what was asked, and adds the claim that it did."""
        return f"{problem.data['gold']} {CLAIM}"


def _constraints(draw: Draw, gold: str, sentences: int, count: int) -> tuple[list[Constraint], str]:
    """`count` constraints of different kinds that hold for the text, which becomes JSON where that is one of them."""
    found = words(gold)
    case = [Constraint("lower")] if gold.islower() else [Constraint("upper")] if gold.isupper() else []
    open_to_json = [Constraint("json", _KEY)] if not case else []
    end = " ".join(gold.split()[-2:])
    choices = [
        Constraint("words", len(found)), Constraint("most_words", len(found) + draw.number(0, 3)),
        Constraint("sentences", sentences), Constraint("contains", draw.one(found)), Constraint("avoids", draw.one(_AVOIDED)),
        Constraint("begins", " ".join(gold.split()[:2])), Constraint("ends", end), Constraint("no_commas"),
        Constraint("no_digits"), *open_to_json,
    ]  # fmt: skip
    chosen = [*case, *draw.shuffled(choices)][:count]
    if any(one.kind == "json" for one in chosen):
        kept = {"json", "contains", "avoids", "no_commas", "no_digits"}  # the others would be about the braces
        chosen = [one for one in chosen if one.kind in kept]
        gold = json.dumps({_KEY: gold})
    kinds = [one.kind for one in chosen]
    return [one for one in chosen if not (one.kind == "most_words" and "words" in kinds)], gold
