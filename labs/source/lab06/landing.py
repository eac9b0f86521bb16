"""A landing: what a branch takes along, and the learning rates it flies by."""

from __future__ import annotations

import random

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import math


def land(trunk, length, peak, final):
    """Branch a landing off a run at a constant rate.

    trunk    {"updates": how many were made, "weights": a tensor, "momentum": a tensor}: the run, which goes on afterwards
    length   updates of the landing
    peak     the trunk's learning rate
    final    the landing's last rate, as a part of `peak`

        branch   a copy of the trunk: changing it must not change the trunk, nor the other way round
        rates    after each update, x is the part of the landing that is made, 1 at its end: half a cosine from `peak` to
                 final * peak:   peak * (final + (1 - final) * (1 + cos(pi x)) / 2)

    Returns [branch, rates], the branch as a dict like `trunk`.
    """
    weights, momentum = trunk["weights"].clone(), trunk["momentum"].clone()
    branch = {"updates": trunk["updates"], "weights": weights, "momentum": momentum}
    rates = []
    for update in range(1, length + 1):
        x = update / length
        rates.append(peak * (final + (1 - final) * (1 + math.cos(math.pi * x)) / 2))
    return [branch, rates]
'''

PACKAGE = """
from kimi_mini.optim import wsd_factor


def land(trunk, length, peak, final):
    total = trunk["updates"] + length
    steps = range(trunk["updates"], total)
    rates = [peak * wsd_factor(step, warmup=0, total=total, decay=length, final=final) for step in steps]
    return [{**trunk, "weights": trunk["weights"].clone(), "momentum": trunk["momentum"].clone()}, rates]
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Trunks of several ages, long and short landings."""
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)

    def case(name: str, updates: int, length: int, final: float) -> Case:
        weights, momentum = torch.randn(2, 3, 4, generator=gen, dtype=torch.float64)
        trunk = {"updates": updates, "weights": weights.clone(), "momentum": momentum.clone()}
        return Case(name, (trunk, length, rng.choice((0.01, 0.02, 0.03)), final), in_place=True)

    return (
        case("a landing of eight updates", 100, 8, 0.1),
        case("a landing of five, to nothing", 40, 5, 0.0),
        case("one update", 7, 1, 0.25),
        case("a long one from a young trunk", 12, 30, 0.1),
    )


_RATE = "rates.append(peak * (final + (1 - final) * (1 + math.cos(math.pi * x)) / 2))"

PRACTICE = Variant(
    "half a cosine",
    SOLUTION,
    cases,
    (
        Mistake(
            "branch resets the optimizer",
            'trunk["momentum"].clone()',
            'trunk["momentum"] * 0',
            "The branch begins with an empty momentum. Its first updates are then those of a beginner: take the state along.",
        ),
        Mistake(
            "decay from warm-up",
            "        x = update / length\n",
            '        x = (trunk["updates"] + update) / (trunk["updates"] + length)\n',
            "The rate fell as if the decay had begun with the run. It begins where the landing does.",
        ),
        Mistake(
            "first update at the full rate",
            "for update in range(1, length + 1):",
            "for update in range(length):",
            "The landing's first update still has the full rate, and the last one is above final * peak.",
        ),
        Mistake(
            "a straight line",
            _RATE,
            "rates.append(peak * (final + (1 - final) * (1 - x)))",
            "The rate falls along a straight line. It is half a cosine.",
        ),
        Mistake(
            "down to nothing",
            _RATE,
            "rates.append(peak * (1 + math.cos(math.pi * x)) / 2)",
            "The last rate is 0. It is final * peak.",
        ),
        Mistake(
            "a whole cosine",
            "math.cos(math.pi * x)",
            "math.cos(2 * math.pi * x)",
            "The rate fell and came back: a whole cosine. It is half of one.",
        ),
        Mistake(
            "updates from 0",
            '"updates": trunk["updates"],',
            '"updates": 0,',
            "The branch counts its updates from 0. It goes on where the trunk is.",
        ),
    ),
)

LANDING = Coding(
    "land",
    "Land a run",
    minutes=8,
    difficulty=1,
    points=2,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "one minus the root",
            "The rate falls by 1 - sqrt(x) instead of half a cosine: peak * (final + (1 - final) * (1 - sqrt(x))).",
            (
                "half a cosine from `peak` to\n"
                "                 final * peak:   peak * (final + (1 - final) * (1 + cos(pi x)) / 2)\n",
                "from `peak` to final * peak:\n                 peak * (final + (1 - final) * (1 - sqrt(x)))\n",
            ),
            (_RATE, "rates.append(peak * (final + (1 - final) * (1 - math.sqrt(x))))"),
            also=(
                Mistake(
                    "without the root",
                    "math.sqrt(x)",
                    "x",
                    "The rate falls along a straight line. It falls by the root of x.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a last stretch at the bottom",
            "The last length // 4 updates of the landing stay at final * peak; the cosine takes the updates before them.",
            (
                "x is the part of the landing that is made, 1 at its end: half",
                "x is the part made of its first length - length // 4 updates, 1 after them: half",
            ),
            ("x = update / length", "x = min(1.0, update / (length - length // 4))"),
            also=(
                Mistake(
                    "no stretch",
                    "x = min(1.0, update / (length - length // 4))",
                    "x = update / length",
                    "The cosine takes all of the landing. The last length // 4 updates stay at the bottom.",
                ),
            ),
            besides=("decay from warm-up",),
        ),
        twist(
            PRACTICE,
            "half the momentum",
            "The branch takes half of the momentum along: a compromise between all of it and none.",
            (
                "nor the other way round\n",
                "nor the other way round;\n                 but its momentum is half of the trunk's\n",
            ),
            ('trunk["momentum"].clone()', 'trunk["momentum"] * 0.5'),
            also=(
                Mistake(
                    "all of the momentum",
                    'trunk["momentum"] * 0.5',
                    'trunk["momentum"].clone()',
                    "All of the momentum was taken along. Half of it is.",
                ),
                Mistake(
                    "none of the momentum",
                    'trunk["momentum"] * 0.5',
                    'trunk["momentum"] * 0',
                    "None of the momentum was taken along. Half of it is.",
                ),
            ),
        ),
    ),
)
