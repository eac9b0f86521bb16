"""From verdicts to rewards, within one prompt."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def rewards(groups):
    """What each answer is paid, from a critic's verdicts on pairs.

    groups   a list with one table for each prompt: table[i][j] is how far answer i of that prompt is preferred to answer j,
             from 0 to 1. Nobody compared an answer with itself: table[i][i] is 0 and means nothing

        won       the mean of an answer's verdicts against the other answers to the same prompt
        reward    won, less the mean of `won` over the answers to that prompt: it says who is better here, never which
                  prompt was easy

    Returns a list of rewards for each prompt.
    """
    paid = []
    for table in groups:
        count = len(table)
        won = [sum(row[j] for j in range(count) if j != i) / (count - 1) for i, row in enumerate(table)]
        middle = sum(won) / count
        paid.append([value - middle for value in won])
    return paid
'''

PACKAGE = """
import torch


def rewards(groups):
    paid = []
    for table in groups:
        table_KK = torch.tensor(table, dtype=torch.float64)
        won_K = (table_KK.sum(1) - table_KK.diagonal()) / (len(table) - 1)
        paid.append((won_K - won_K.mean()).tolist())
    return paid
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Tables that do not add up to one both ways, as a critic's with a liking for a place, of several sizes."""
    rng = random.Random(seed)

    def table(count: int, low: float = 0.0, high: float = 1.0) -> list[list[float]]:
        return [[0.0 if i == j else round(rng.uniform(low, high), 2) for j in range(count)] for i in range(count)]

    return (
        Case("one prompt, three answers", ([table(3)],)),
        Case("a generous and a strict prompt", ([table(4, 0.6, 1.0), table(4, 0.0, 0.4)],)),
        Case("prompts with different numbers of answers", ([table(2), table(5), table(3)],)),
        Case("all alike", ([[[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]],)),
    )


PRACTICE = Variant(
    "less the mean",
    SOLUTION,
    cases,
    (
        Mistake(
            "compared across prompts",
            "    return paid\n",
            "    every = [value for row in paid for value in row]\n"
            "    raw = [[sum(r) / (len(t) - 1) for r in t] for t in groups]\n"
            "    mean = sum(v for r in raw for v in r) / len(every)\n"
            "    return [[v - mean for v in r] for r in raw]\n",
            "The mean of all prompts was taken off. Then an easy prompt pays all its answers. Take off each prompt's own.",
        ),
        Mistake(
            "itself counted",
            "/ (count - 1)",
            "/ count",
            "An answer was counted as an opponent of itself. It has count - 1 opponents.",
        ),
        Mistake(
            "not centred",
            "value - middle for value",
            "value for value",
            "The mean of the prompt was not taken off.",
        ),
        Mistake(
            "columns for rows",
            "sum(row[j] for j in range(count) if j != i)",
            "sum(table[j][i] for j in range(count) if j != i)",
            "The columns were added. table[i][j] is how far i is preferred, so an answer's verdicts are its row.",
        ),
    ),
)

RANKS = Coding(
    "rewards",
    "Verdicts to rewards",
    minutes=12,
    difficulty=1,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "by rank",
            "The reward is by rank alone: the number of answers to the prompt with a smaller `won`, less the number "
            "with a larger "
            "one, divided by count - 1.",
            (
                "        reward    won, less the mean of `won` over the answers to that prompt: it says who is better "
                "here, never which\n"
                "                  prompt was easy\n",
                "        reward    (answers to that prompt with a smaller `won`, less those with a larger one) / "
                "(answers - 1)\n",
            ),
            ("        middle = sum(won) / count\n", ""),
            (
                "value - middle for value in won",
                "sum((value > other) - (value < other) for other in won) / (count - 1) for value in won",
            ),
            also=(
                Mistake(
                    "upside down",
                    "(value > other) - (value < other)",
                    "(value < other) - (value > other)",
                    "The best answer got the smallest reward.",
                ),
                Mistake(
                    "places of a sorted list",
                    "sum((value > other) - (value < other) for other in won) / (count - 1) for value in won",
                    "2 * sorted(won).index(value) / (count - 1) - 1 for value in won",
                    "Answers that are alike must get the same, between those above and below them: count both sides.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "less the best of the others",
            "Instead of the mean of the prompt, the largest `won` of the other answers to that prompt is taken off.",
            (
                "less the mean of `won` over the answers to that prompt: it",
                "less the largest `won` among the other answers to that prompt: it",
            ),
            ("        middle = sum(won) / count\n", ""),
            (
                "[value - middle for value in won]",
                "[value - max(won[:i] + won[i + 1 :]) for i, value in enumerate(won)]",
            ),
            also=(
                Mistake(
                    "itself among the others",
                    "max(won[:i] + won[i + 1 :])",
                    "max(won)",
                    "The best answer was compared with itself. Take the best of the others.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "in units of the scatter",
            "The reward is divided by the standard deviation of `won` in its prompt (the mean of squares, no - 1), or "
            "0 where that "
            "is 0.",
            (
                "                  prompt was easy\n",
                "                  prompt was easy; divided by the root of the mean square of these differences, or 0 "
                "where it is 0\n",
            ),
            (
                "        paid.append([value - middle for value in won])\n",
                "        scatter = (sum((value - middle) ** 2 for value in won) / count) ** 0.5\n"
                "        paid.append([(value - middle) / scatter if scatter else 0.0 for value in won])\n",
            ),
            besides=("itself counted", "not centred"),
            also=(
                Mistake(
                    "one scatter too many",
                    "for value in won) / count) ** 0.5",
                    "for value in won) / (count - 1)) ** 0.5",
                    "The sum of squares was divided by count - 1. Divide by count.",
                ),
            ),
        ),
    ),
)
