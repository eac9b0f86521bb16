"""Self-critique: answers to one prompt compared two by two under rubrics, and ranked; K2 report, section 3.2.2 and appendix F.

The report names the rubrics. How verdicts become a reward it does not say; here it is the share of comparisons won, which
means something only among answers to the same prompt.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import torch

from ..chat import prompt
from ..checks import require
from ..generation import read_last
from ..model import KimiMini
from ..synth import Endpoint
from ..tokenizer import Tokenizer
from .types import Problem

Verdict = Literal["first", "second", "tie"]
Orders = dict[str, tuple[Verdict, Verdict]]  # by rubric: as asked, and mirrored, both told from the first reply's side
MIRRORED: dict[Verdict, Verdict] = {"first": "second", "second": "first", "tie": "tie"}


class Rubric(NamedTuple):
    """One thing to judge by: the question put under two replies, and what it means, for a critic that reads instructions.

    What a mandatory rubric decides, no other can undo.
    """

    name: str
    question: str
    meaning: str
    mandatory: bool = False


CORE = Rubric(
    "core", "Which is better?",
    "Judge clarity and relevance, conversational fluency and engagement, and objective, grounded interaction.",
)  # fmt: skip
NO_PRAISE = Rubric(
    "no opening praise", "Which opens without praise?",
    "A reply must not begin with praise of the user or of the question.", mandatory=True,
)  # fmt: skip
NO_JUSTIFICATION = Rubric(
    "no self-justification", "Which does not praise itself?",
    "A reply must not say that it is good, right or complete, or why it is.", mandatory=True,
)  # fmt: skip
TASK = Rubric("task", "Which answers the question?", "Judge only whether the reply answers what was asked, and rightly.")
PRESCRIPTIVE = (NO_PRAISE, NO_JUSTIFICATION)


class Comparison(NamedTuple):
    """Two replies to one problem, in the order in which the critic reads them."""

    problem: Problem
    first: str
    second: str
    rubric: Rubric

    def mirrored(self) -> Comparison:
        return self._replace(first=self.second, second=self.first)

    def messages(self) -> list[dict[str, str]]:
        """A system message with the rubric's meaning, then question, replies A and B, and what is asked."""
        asked = self.problem.messages[-1]["content"]
        text = f"{asked}\nA: {self.first}\nB: {self.second}\n{self.rubric.question}"
        how = f"{self.rubric.meaning} Answer with one letter, A or B, or with tie."
        return [{"role": "system", "content": how}, {"role": "user", "content": text}]


class Critic(Protocol):
    """Compares in the order given. What it cannot decide, or says in another way than it should, is a tie."""

    def ask(self, comparisons: Sequence[Comparison]) -> list[Verdict]: ...


class ModelCritic:
    """A model of this package, taught to answer A or B; it is read at the place of that letter, and decodes nothing.

    Less sure than `least` of either letter it says tie. It reads the question alone: it was taught what the rubric means.
    """

    def __init__(self, model: KimiMini, tokenizer: Tokenizer, least: float = 0.5, rows: int = 128) -> None:
        require(0.5 <= least < 1, "least", least, "a probability from 0.5 to below 1")
        self.model, self.tokenizer, self.least, self.rows = model, tokenizer, least, rows

    def ask(self, comparisons: Sequence[Comparison]) -> list[Verdict]:
        return [
            "first" if chance > self.least else "second" if 1 - chance > self.least else "tie"
            for chance in self.chances(comparisons)
        ]

    @torch.inference_mode()
    def chances(self, comparisons: Sequence[Comparison]) -> list[float]:
        """The probability of A against B, for each."""
        prompts = [prompt(one.messages()[1:], (), self.tokenizer) for one in comparisons]
        letters = [self.tokenizer.encode(letter)[0] for letter in "AB"]
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        found = [0.0] * len(prompts)
        for start in range(0, len(order), self.rows):
            places = order[start : start + self.rows]
            logits_BV = self.model.logits(read_last(self.model, [prompts[place] for place in places]))
            for place, chance in zip(places, logits_BV[:, letters].softmax(1)[:, 0].tolist(), strict=True):
                found[place] = chance
        return found


class EndpointCritic:
    """Any endpoint as the critic, asked one comparison at a time."""

    def __init__(self, endpoint: Endpoint, seed: int = 0) -> None:
        self.endpoint, self.seed = endpoint, seed

    def ask(self, comparisons: Sequence[Comparison]) -> list[Verdict]:
        return [self._one(comparison) for comparison in comparisons]

    def _one(self, comparison: Comparison) -> Verdict:
        said = self.endpoint.complete(comparison.messages(), seed=self.seed, max_tokens=8, temperature=0.0).text
        words = said.strip().strip(".*\"'").split()
        return {"A": "first", "B": "second"}.get(words[0].strip(".:") if len(words) == 1 else "", "tie")


def both_orders(critic: Critic, comparisons: Sequence[Comparison]) -> list[tuple[Verdict, Verdict]]:
    """What the critic says of each, and what it says of the mirror image, both told from the first reply's side.

    Equal comparisons are asked once.
    """
    asked = list(dict.fromkeys(_key(one) for pair in comparisons for one in (pair, pair.mirrored())))
    wanted = {_key(one): one for pair in comparisons for one in (pair, pair.mirrored())}
    said = dict(zip(asked, critic.ask([wanted[key] for key in asked]), strict=True))
    return [(said[_key(one)], MIRRORED[said[_key(one.mirrored())]]) for one in comparisons]


def agreed(orders: tuple[Verdict, Verdict]) -> Verdict:
    """A verdict that holds in both orders; one that turns with the order is a tie.

    >>> agreed(("first", "second"))
    'tie'
    """
    return orders[0] if orders[0] == orders[1] else "tie"


def decide(verdicts: Sequence[tuple[Rubric, Verdict]]) -> Verdict:
    """One verdict from those of several rubrics: the first mandatory one that decides, else the majority of the others."""
    for rubric, verdict in verdicts:
        if rubric.mandatory and verdict != "tie":
            return verdict
    balance = sum({"first": 1, "second": -1, "tie": 0}[verdict] for rubric, verdict in verdicts if not rubric.mandatory)
    return "first" if balance > 0 else "second" if balance < 0 else "tie"


class Ranking(NamedTuple):
    """Answers to one prompt: scores_G from 0 to 1, and for each pair (i, j) its verdict and what was said of it."""

    scores: list[float]
    verdicts: dict[tuple[int, int], Verdict]
    orders: dict[tuple[int, int], Orders]


def rank(
    critic: Critic, problems: Sequence[Problem], texts_PG: Sequence[Sequence[str]], rubrics: Sequence[Rubric]
) -> list[Ranking]:
    """Rank the answers to each problem among themselves: every pair, in both orders, under every rubric.

    A score is the share of comparisons won, a tie counting half: 0.5 on average in every group, so scores of two prompts say
    nothing about each other. Equal texts tie unasked. Raises ValueError for a group of one.
    """
    for texts_G in texts_PG:
        require(len(texts_G) >= 2, "answers to a problem", len(texts_G), "at least two to compare")
    places = [
        (p, i, j, rubric)
        for p, texts_G in enumerate(texts_PG)
        for i, j in itertools.combinations(range(len(texts_G)), 2)
        if texts_G[i] != texts_G[j]
        for rubric in rubrics
    ]
    comparisons = [Comparison(problems[p], texts_PG[p][i], texts_PG[p][j], rubric) for p, i, j, rubric in places]
    orders: list[dict[tuple[int, int], Orders]] = [{} for _ in texts_PG]
    for (p, i, j, rubric), said in zip(places, both_orders(critic, comparisons), strict=True):
        orders[p].setdefault((i, j), {})[rubric.name] = said
    return [_ranking(len(texts_G), orders[p], rubrics) for p, texts_G in enumerate(texts_PG)]


def _ranking(count: int, orders: dict[tuple[int, int], Orders], rubrics: Sequence[Rubric]) -> Ranking:
    verdicts: dict[tuple[int, int], Verdict] = {}
    won = [0.0] * count
    for i, j in itertools.combinations(range(count), 2):
        said = orders.get((i, j))
        verdicts[i, j] = "tie" if said is None else decide([(rubric, agreed(said[rubric.name])) for rubric in rubrics])
        won[i] += {"first": 1.0, "tie": 0.5, "second": 0.0}[verdicts[i, j]]
        won[j] += {"first": 0.0, "tie": 0.5, "second": 1.0}[verdicts[i, j]]
    return Ranking([points / (count - 1) for points in won], verdicts, orders)


def _key(one: Comparison) -> tuple[str, str, str, str]:
    return one.problem.messages[-1]["content"], one.first, one.second, one.rubric.name
