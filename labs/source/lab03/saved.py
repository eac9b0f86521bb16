"""FLOPs saved at equal loss: read off measured runs, or not at all."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import math


def times_saved(flops, usual, better, target):
    """How many times the FLOPs the usual shape needs for a loss that the better one reaches with fewer.

    flops     training FLOPs of the runs, rising: the same for both shapes
    usual     losses of the usual shape, falling
    better    losses of the better shape, falling
    target    the loss that both are to reach

        FLOPs to reach the target    between two neighbouring runs on a straight line of log(FLOPs) against log(loss)
        saved                        those of the usual shape / those of the better one

    Returns the factor, or None where the runs of either shape do not enclose the target: not measured.
    """

    def reach(losses):
        if not losses[-1] <= target <= losses[0]:
            return None
        for i in range(len(losses) - 1):
            if losses[i + 1] <= target:
                share = math.log(losses[i] / target) / math.log(losses[i] / losses[i + 1])
                return flops[i] * (flops[i + 1] / flops[i]) ** share

    slow, fast = reach(usual), reach(better)
    if slow is None or fast is None:
        return None
    return slow / fast
'''

PACKAGE = """
from kimi_mini import laws


def times_saved(flops, usual, better, target):
    try:
        return laws.flops_saved(flops, usual, better, target)
    except ValueError:
        return None
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Targets inside the runs of both, of one of them only, and of none; and one that a run meets exactly."""
    rng = random.Random(seed)
    # The steps differ in width: on a grid of equal steps, straight lines in FLOPs and in their logarithms are too alike.
    flops = [1e11, 4e11, 7e11, 30e11, 40e11]
    usual = [3.6 * (each / 1e11) ** -0.11 + 0.02 * rng.random() for each in flops]
    better = [loss - 0.05 - 0.04 * place - 0.02 * rng.random() for place, loss in enumerate(usual)]
    inside = [usual[-1] + part * (better[0] - usual[-1]) for part in (0.12, 0.45, 0.8)]
    return (
        *(Case(f"a loss that both reach ({n})", (flops, usual, better, target)) for n, target in enumerate(inside, 1)),
        Case("exactly a run of the usual shape", (flops, usual, better, usual[2])),
        Case("only the better shape gets so low", (flops, usual, better, (usual[-1] + better[-1]) / 2)),
        Case("only the usual shape was ever so high", (flops, usual, better, (usual[0] + better[0]) / 2)),
        Case("higher than any run", (flops, usual, better, 1.1 * usual[0])),
        Case("lower than any run", (flops, usual, better, better[-1] - 0.1)),
    )


_ENCLOSED = "if not losses[-1] <= target <= losses[0]:"

PRACTICE = Variant(
    "the usual above",
    SOLUTION,
    cases,
    (
        Mistake(
            "inverted ratio",
            "return slow / fast",
            "return fast / slow",
            "The ratio is upside down. Saved is how many times the FLOPs the usual shape needs: above 1 where it is the worse.",
        ),
        Mistake(
            "loss at equal FLOPs",
            "return slow / fast",
            "return usual[-1] / better[-1]",
            "That is the ratio of losses at equal FLOPs. Asked for are the FLOPs at an equal loss.",
        ),
        Mistake(
            "answer outside the measured range",
            _ENCLOSED,
            "if False:",
            "A target that the runs do not enclose got an answer. Return None: it was not measured.",
        ),
        Mistake(
            "nearest run outside the range",
            "            return None\n        for i",
            "            return flops[-1] if target < losses[-1] else flops[0]\n        for i",
            "Outside the measured range the nearest run was taken. Return None: it was not measured.",
        ),
        Mistake(
            "one of them is enough",
            "if slow is None or fast is None:\n        return None",
            "if slow is None and fast is None:\n        return None\n    slow, fast = slow or flops[-1], fast or flops[0]",
            "One shape reached the target and the other did not, and there was an answer. Both must have been there.",
        ),
        Mistake(
            "straight in FLOPs",
            "return flops[i] * (flops[i + 1] / flops[i]) ** share",
            "return flops[i] + (flops[i + 1] - flops[i]) * share",
            "The line was drawn in FLOPs. It is straight in their logarithm.",
        ),
        Mistake(
            "straight in the loss",
            "math.log(losses[i] / target) / math.log(losses[i] / losses[i + 1])",
            "(losses[i] - target) / (losses[i] - losses[i + 1])",
            "The line was drawn in the loss. It is straight in its logarithm.",
        ),
        Mistake(
            "the run that gets there",
            "return flops[i] * (flops[i + 1] / flops[i]) ** share",
            "return flops[i + 1]",
            "The FLOPs of the first run below the target were taken. It was passed between two runs: go along the line.",
        ),
        Mistake(
            "share in percent",
            "return slow / fast",
            "return 100 * (1 - fast / slow)",
            "That is a percentage. Asked for is the factor: the report says 1.69, not 41 %.",
        ),
    ),
)

TIMES_SAVED = Coding(
    "times_saved",
    "FLOPs saved at equal loss",
    minutes=15,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "routers are not free",
            "The better shape's larger router adds a twentieth to the FLOPs of each of its runs: `flops` holds those of the "
            "usual shape, and every run of the better one took 1.05 times as many.",
            (
                "    flops     training FLOPs of the runs, rising: the same for both shapes\n",
                "    flops     training FLOPs of the usual shape's runs, rising; the better shape's took 1.05 times as many\n",
            ),
            ("slow, fast = reach(usual), reach(better)", "slow, fast = reach(usual), reach(better)\n    router = 1.05"),
            ("return slow / fast", "return slow / (fast * router)"),
            also=(
                Mistake(
                    "router forgotten",
                    "return slow / (fast * router)",
                    "return slow / fast",
                    "The better shape's router was forgotten: its runs took 1.05 times the FLOPs.",
                ),
                Mistake(
                    "router on the usual shape",
                    "return slow / (fast * router)",
                    "return slow * router / fast",
                    "The router was charged to the usual shape. It is the better one that has more experts to score.",
                ),
            ),
            besides=("inverted ratio", "loss at equal FLOPs", "share in percent"),
        ),
        twist(
            PRACTICE,
            "two per cent lower",
            "The better shape is to reach a loss 2 % below the target, 0.98 times it; the usual one the target itself.",
            (
                "    target    the loss that both are to reach\n",
                "    target    the loss that the usual shape is to reach; the better one is to reach 0.98 times that\n",
            ),
            ("def reach(losses):", "def reach(losses, target=target):"),
            ("slow, fast = reach(usual), reach(better)", "slow, fast = reach(usual), reach(better, 0.98 * target)"),
            also=(
                Mistake(
                    "the same loss",
                    "reach(better, 0.98 * target)",
                    "reach(better)",
                    "Both were asked for the same loss. The better shape is to get 2 % lower.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a share, with its sign",
            "The answer is the share of the usual shape's FLOPs that the better one leaves unspent, 1 - better / usual (0.41 "
            "for the report's 1.69), and it is 0 where the target was not measured for both.",
            (
                "        saved                        those of the usual shape / those of the better one\n",
                "        saved                        1 - those of the better shape / those of the usual one\n",
            ),
            (
                "    Returns the factor, or None where the runs of either shape do not enclose the target: not measured.\n",
                "    Returns the share, or 0.0 where the runs of either shape do not enclose the target: no claim there.\n",
            ),
            ("fast is None:\n        return None", "fast is None:\n        return 0.0"),
            ("return slow / fast", "return 1 - fast / slow"),
            also=(
                Mistake(
                    "in percent",
                    "return 1 - fast / slow",
                    "return 100 * (1 - fast / slow)",
                    "That is in percent. The share lies between 0 and 1.",
                ),
                Mistake(
                    "the factor less one",
                    "return 1 - fast / slow",
                    "return slow / fast - 1",
                    "That is a part of the better shape's FLOPs. Divide by those of the usual one.",
                ),
            ),
        ),
    ),
)
