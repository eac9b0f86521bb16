"""Two additions: a price for answers that are too long, and text that the policy must not forget."""

from __future__ import annotations

import random

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def budget_and_ptx(answers, texts, budget, penalty, weight):
    """The rewards that train, and the auxiliary loss on hand-picked texts (K2 report, section 3.2.3).

    answers    list of {"score": what the verifier says, "tokens": how many the answer has, "ended": whether it ended by
               itself, "logprobs": [tokens] log-probabilities}
    texts      list of {"logprobs": [tokens] log-probabilities of a hand-picked text under the policy}
    budget     the most tokens that an answer may have
    penalty    a number > 0
    weight     of the auxiliary loss (PTX)

        truncated    an answer that has more than `budget` tokens, or did not end by itself
        reward       the score; of a truncated answer -penalty, whatever the verifier said of it
        ptx          weight * the mean over all tokens of all texts of their negative log-probability

    Returns (rewards, ptx): a list of numbers, and a number (0 where there is no text).
    """
    rewards = []
    for answer in answers:
        truncated = answer["tokens"] > budget or not answer["ended"]
        rewards.append(-penalty if truncated else answer["score"])
    if not texts:
        return rewards, 0.0
    ptx = weight * -torch.cat([text["logprobs"] for text in texts]).mean()
    return rewards, ptx
'''

PACKAGE = """
import torch

from kimi_mini.rl.budget import shaped
from kimi_mini.rl.types import Rollout, Score


def budget_and_ptx(answers, texts, budget, penalty, weight):
    rewards = []
    for answer in answers:
        kept = answer["ended"] and answer["tokens"] <= budget
        rewards.append(shaped(Score(answer["score"], {}), Rollout((), (), (), 0, kept), penalty))
    text = torch.cat([text["logprobs"] for text in texts]) if texts else torch.zeros(1)
    return rewards, weight * -text.mean()
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Answers within the budget, at it, beyond it and cut off; texts of several lengths, and none."""
    gen, rng = torch.Generator().manual_seed(seed), random.Random(seed)

    def row(tokens: int, level: float) -> torch.Tensor:
        return -level * torch.rand(tokens, generator=gen, dtype=torch.float64) - 0.05

    def answer(score: float, tokens: int, ended: bool = True) -> dict:
        return {"score": score, "tokens": tokens, "ended": ended, "logprobs": row(tokens, 0.6)}

    def case(name: str, answers: list[dict], lengths: list[int], budget: int) -> Case:
        texts = [{"logprobs": row(length, 4.0)} for length in lengths]
        return Case(name, (answers, texts, budget, rng.choice((0.25, 0.5, 0.75)), rng.choice((0.1, 0.2, 0.3))))

    size = rng.randint(8, 12)
    return (
        case("all within the budget", [answer(1.0, size - 2), answer(0.0, size - 3), answer(1.0, 3)], [4, 9], size),
        case(
            "right, but cut off at the budget", [answer(1.0, size, False), answer(0.0, size), answer(1.0, size)], [3, 8], size
        ),
        case("right and wrong, too long", [answer(1.0, size + 3), answer(0.0, size + 7), answer(1.0, 4)], [12, 2, 5], size),
        case("exactly at the budget, ended", [answer(1.0, size), answer(0.0, size)], [5], size),
        case("no text", [answer(1.0, size + 1), answer(0.0, 2), answer(0.1, size + 2, False)], [], size),
        case("half a mark, far too long", [answer(0.5, 3 * size, False), answer(0.5, 2), answer(1.0, size + 1)], [2, 20], size),
    )


_REWARD = 'rewards.append(-penalty if truncated else answer["score"])'
_TRUNCATED = 'truncated = answer["tokens"] > budget or not answer["ended"]'
_PTX = 'ptx = weight * -torch.cat([text["logprobs"] for text in texts]).mean()'

PRACTICE = Variant(
    "a fixed price",
    SOLUTION,
    cases,
    (
        Mistake(
            "truncated answers pass",
            _REWARD,
            'rewards.append(answer["score"])',
            "An answer that was cut off kept its score. Then nothing ever speaks for being brief.",
        ),
        Mistake(
            "penalty for everyone",
            _REWARD,
            'rewards.append(-penalty if truncated else answer["score"] - penalty)',
            "Answers within the budget were penalised too. What everyone pays is taken off again with the mean.",
        ),
        Mistake(
            "PTX on own rollouts",
            _PTX,
            'ptx = weight * -torch.cat([answer["logprobs"] for answer in answers]).mean()',
            "The auxiliary loss was taken over the model's own answers. It is over hand-picked texts: it keeps them alive.",
        ),
        Mistake(
            "cut off but short enough",
            _TRUNCATED,
            'truncated = answer["tokens"] > budget',
            "An answer that fills the budget and did not end was cut: it is truncated too.",
        ),
        Mistake(
            "one token early",
            "> budget",
            ">= budget",
            "An answer of exactly `budget` tokens that ended by itself is within the budget.",
        ),
        Mistake(
            "the penalty is taken off the score",
            _REWARD,
            'rewards.append(answer["score"] - penalty * truncated)',
            "A right answer that was cut kept a part of its score. It gets -penalty, whatever the verifier said.",
        ),
        Mistake(
            "a sum over the tokens",
            ".mean()",
            ".sum()",
            "The auxiliary loss is the mean over the tokens, not their sum.",
        ),
        Mistake(
            "sign of PTX",
            "weight * -torch",
            "weight * torch",
            "The auxiliary loss has the wrong sign: it is the negative log-probability that is to be small.",
        ),
        Mistake(
            "a mean of means",
            _PTX,
            'ptx = weight * -torch.stack([text["logprobs"].mean() for text in texts]).mean()',
            "A short text counted as much as a long one. The mean is over all tokens.",
        ),
    ),
)

_SPARED = 'rewards.append(None if truncated else answer["score"])'
_GROWING = 'rewards.append(-penalty * answer["tokens"] / budget if truncated else answer["score"])'

BUDGET = Coding(
    "budget_and_ptx",
    "Budget and PTX",
    minutes=20,
    difficulty=1,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "left out",
            "A truncated answer is not penalised but left out: its reward is None.",
            (
                "reward       the score; of a truncated answer -penalty, whatever the verifier said of it",
                "reward       the score; of a truncated answer None, whatever the verifier said of it",
            ),
            (_REWARD, _SPARED),
            also=(
                Mistake(
                    "penalised",
                    _SPARED,
                    _REWARD,
                    "A truncated answer was penalised. It is left out: None.",
                ),
                Mistake(
                    "nothing at all",
                    _SPARED,
                    'if not truncated:\n            rewards.append(answer["score"])',
                    "Truncated answers are missing from the list. They stay in it, as None.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a growing price",
            "The price of a truncated answer grows with its length: -penalty * tokens / budget.",
            (
                "of a truncated answer -penalty, whatever the verifier said of it",
                "of a truncated answer -penalty * tokens / budget, whatever the verifier said of it",
            ),
            (_REWARD, _GROWING),
            also=(
                Mistake(
                    "the excess alone",
                    'answer["tokens"] / budget',
                    '(answer["tokens"] - budget) / budget',
                    "Only the tokens beyond the budget were paid for. The price counts all of them.",
                ),
                Mistake(
                    "a fixed price",
                    _GROWING,
                    _REWARD,
                    "The price was the same for every length. It grows with the number of tokens.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "text by text",
            "Every text counts the same in the auxiliary loss, whatever its length: the mean over texts of the mean over their "
            "tokens.",
            (
                "weight * the mean over all tokens of all texts of their negative log-probability",
                "weight * the mean over the texts of the mean negative log-probability of their tokens",
            ),
            (_PTX, 'ptx = weight * -torch.stack([text["logprobs"].mean() for text in texts]).mean()'),
            also=(
                Mistake(
                    "token by token",
                    'torch.stack([text["logprobs"].mean() for text in texts])',
                    'torch.cat([text["logprobs"] for text in texts])',
                    "A long text counted more than a short one. Every text counts the same.",
                ),
                Mistake(
                    "a sum over each text",
                    'text["logprobs"].mean() for',
                    'text["logprobs"].sum() for',
                    "The sum over a text was taken. It is the mean over its tokens.",
                ),
                Mistake(
                    "own answers, one by one",
                    'torch.stack([text["logprobs"].mean() for text in texts])',
                    'torch.stack([answer["logprobs"].mean() for answer in answers])',
                    "The auxiliary loss was taken over the model's own answers. It is over hand-picked texts.",
                ),
            ),
            besides=("a sum over the tokens",),
        ),
    ),
)
