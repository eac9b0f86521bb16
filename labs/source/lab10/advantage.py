"""What an answer is worth beside the other answers to the same problem."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def centred(rewards_PG):
    """The advantage of every answer: its reward less what its group got on average (K2 report, section 3.2.3).

    rewards_PG    [problems, answers to each], a tensor; it is needed afterwards and must stay as it is

        advantage    reward - the mean reward of the answers to the same problem

    A group whose rewards are all alike has advantages of exactly 0. Returns a tensor of the same shape.
    """
    base_P1 = rewards_PG.mean(1, keepdim=True)
    return rewards_PG - base_P1
'''

PACKAGE = """
from kimi_mini.rl import advantage


def centred(rewards_PG):
    return advantage.centred(rewards_PG)
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Groups of right and wrong answers, groups that are all alike, rewards between and below."""
    gen = torch.Generator().manual_seed(seed)

    def marks(problems: int, group: int, share: float) -> torch.Tensor:
        return (torch.rand(problems, group, generator=gen) < share).double()

    def case(name: str, rewards_PG: torch.Tensor) -> Case:
        return Case(name, (rewards_PG,), in_place=True)

    easy_hard = torch.stack([marks(1, 8, 0.9)[0], marks(1, 8, 0.1)[0], marks(1, 8, 0.5)[0]])
    easy_hard[:, :2] = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    alike = torch.tensor([[1.0] * 4, [0.0] * 4, [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    return (
        case("an easy, a hard and a half-solved problem", easy_hard),
        case("all right, all wrong, and one of four", alike[torch.randperm(3, generator=gen)]),
        case("one failure among eight", 1 - torch.eye(8, dtype=torch.float64)[seed % 7][None]),
        case("rewards between -0.5 and 1", (torch.rand(5, 4, generator=gen, dtype=torch.float64) * 1.5 - 0.5)),
        case("two answers each", torch.rand(3, 2, generator=gen, dtype=torch.float64)),
    )  # fmt: skip


_BASE = "base_P1 = rewards_PG.mean(1, keepdim=True)"

PRACTICE = Variant(
    "mean of the group",
    SOLUTION,
    cases,
    (
        Mistake(
            "mean over the batch",
            _BASE,
            "base_P1 = rewards_PG.mean()",
            "The mean of all problems was taken off. Then every answer to an easy problem looks good. Groups have their own.",
        ),
        Mistake(
            "reward overwritten",
            "return rewards_PG - base_P1",
            "rewards_PG -= base_P1\n    return rewards_PG",
            "The rewards themselves were changed. Reward and advantage are two things, and the log needs the reward.",
        ),
        Mistake(
            "a NaN where all are equal",
            "return rewards_PG - base_P1",
            "return (rewards_PG - base_P1) / rewards_PG.std(1, keepdim=True)",
            "The advantages were divided by the standard deviation, 0 where all rewards are alike. K2 does not divide.",
        ),
        Mistake(
            "divided, with care",
            "return rewards_PG - base_P1",
            "return (rewards_PG - base_P1) / (rewards_PG.std(1, keepdim=True) + 1e-4)",
            "The advantages were divided by the standard deviation, as GRPO does. K2's are not.",
        ),
        Mistake(
            "over the problems",
            _BASE,
            "base_P1 = rewards_PG.mean(0, keepdim=True)",
            "The mean was taken over the problems. It is taken over the answers to one problem: the last axis.",
        ),
    ),
)

_OTHERS = "base_P1 = (rewards_PG.sum(1, keepdim=True) - rewards_PG) / (rewards_PG.shape[1] - 1)"
_HALF = "base_P1 = (rewards_PG.amax(1, keepdim=True) + rewards_PG.amin(1, keepdim=True)) / 2"

CENTRED = Coding(
    "centred",
    "Centred reward",
    minutes=15,
    difficulty=1,
    points=2,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "the mean of the others",
            "From each reward the mean of the *other* answers to the problem is taken off, its own left out.",
            (
                "reward - the mean reward of the answers to the same problem",
                "reward - the mean reward of the other answers to the same problem, itself left out",
            ),
            (_BASE, _OTHERS),
            also=(
                Mistake(
                    "all of them in the mean",
                    _OTHERS,
                    _BASE,
                    "An answer's own reward is in the mean. Only the others' are.",
                ),
                Mistake(
                    "divided by all",
                    "(rewards_PG.shape[1] - 1)",
                    "rewards_PG.shape[1]",
                    "The sum of the others was divided by the number of all answers. There is one fewer.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "half-way",
            "What is taken off is half-way between the best and the worst reward of the group.",
            (
                "reward - the mean reward of the answers to the same problem",
                "reward - half the sum of the best and the worst reward of the answers to the same problem",
            ),
            (_BASE, _HALF),
            also=(
                Mistake(
                    "the best alone",
                    _HALF,
                    "base_P1 = rewards_PG.amax(1, keepdim=True)",
                    "The best reward was taken off. It is half-way between the best and the worst.",
                ),
                Mistake(
                    "of all problems",
                    _HALF,
                    "base_P1 = (rewards_PG.max() + rewards_PG.min()) / 2",
                    "Best and worst were looked for among all problems. Each group has its own.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "no push up for the half-good",
            "An answer whose reward lies above its group's mean but below 1 has the advantage 0.",
            (
                "reward - the mean reward of the answers to the same problem\n",
                "reward - the mean reward of the answers to the same problem;\n"
                "                     0 where that is above 0 and the reward is below 1\n",
            ),
            (
                "return rewards_PG - base_P1",
                "found_PG = rewards_PG - base_P1\n    return found_PG * ~((found_PG > 0) & (rewards_PG < 1))",
            ),
            also=(
                Mistake(
                    "nothing for the half-bad",
                    "~((found_PG > 0) & (rewards_PG < 1))",
                    "(rewards_PG == 1)",
                    "Answers below the mean lost their advantage too. They keep it.",
                ),
                Mistake(
                    "rewards overwritten on the way",
                    "found_PG = rewards_PG - base_P1\n",
                    "found_PG = rewards_PG - base_P1\n    rewards_PG[rewards_PG < 1] = 0\n",
                    "The rewards themselves were changed.",
                ),
            ),
        ),
    ),
)
