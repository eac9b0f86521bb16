"""The router: who answers for a token, and how loud."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def router(x_TD, weight_ED, bias_E, k, scale):
    """Who answers for each token, and with what weight (DeepSeek-V3 report, equations 12-16; K2 routes alike).

    x_TD        [T, D], tokens
    weight_ED   [E, D], one row per expert
    bias_E      [E], the selection bias
    k           how many experts answer for a token
    scale       the factor on the weights, 2.827 in K2

        s = sigmoid(x . w_e)                     each expert's score
        chosen: the k experts with the largest   s + bias
        weight of a chosen expert                scale * s / (sum of s over the chosen)

    Returns (expert_TK, weight_TK), both [T, k]: the numbers of the chosen, largest s + bias first, and their weights.
    """
    logit_TE = x_TD @ weight_ED.T
    score_TE = torch.sigmoid(logit_TE)
    choice_TE = score_TE + bias_E
    expert_TK = choice_TE.topk(k, dim=-1).indices
    score_TK = score_TE.gather(1, expert_TK)
    share_TK = score_TK / score_TK.sum(-1, keepdim=True)
    return expert_TK, scale * share_TK
'''

PACKAGE = """
import torch

import kimi_mini as km
from kimi_mini.model import Router


def router(x_TD, weight_ED, bias_E, k, scale):
    n, width = weight_ED.shape
    shape = dict(hidden_size=width, n_routed_experts=n, num_experts_per_tok=k, routed_scaling_factor=scale)
    tensors = {"weight": weight_ED, "selection_bias": bias_E}
    return tuple(torch.func.functional_call(Router(km.NANO.replace(**shape)), tensors, (x_TD,))[:2])
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Scores from near 0 to near 1; biases that change who is chosen, and the order of those who are."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, experts: int, k: int, scale: float, size: float, bias: float) -> Case:
        x_TD = size * torch.randn(7, 5, generator=gen, dtype=torch.float64)
        weight_ED = torch.randn(experts, 5, generator=gen, dtype=torch.float64)
        bias_E = bias * torch.randn(experts, generator=gen, dtype=torch.float64)
        return Case(name, (x_TD, weight_ED, bias_E, k, scale))

    return (
        case("no bias yet", 6, 2, 1.4, 0.5, 0.0),
        case("small biases", 8, 3, 2.446, 0.7, 0.15),
        case("large biases, negative ones too", 8, 4, 2.0, 0.7, 0.6),
        case("large logits", 9, 3, 2.827, 3.0, 0.4),
        case("one expert a token", 5, 1, 1.5, 0.8, 0.5),
    )


_SHARE = "share_TK = score_TK / score_TK.sum(-1, keepdim=True)"

PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "weights from biased scores",
            "score_TE.gather(1, expert_TK)",
            "choice_TE.gather(1, expert_TK)",
            "The weights were made from s + bias. The bias decides who is chosen and never how loud: weigh with s.",
        ),
        Mistake(
            "softmax",
            "torch.sigmoid(logit_TE)",
            "torch.softmax(logit_TE, -1)",
            "The scores are a softmax over the experts. Here each expert has a sigmoid of its own: they do not compete.",
        ),
        Mistake(
            "normalised over all experts",
            "score_TK.sum(-1, keepdim=True)",
            "score_TE.sum(-1, keepdim=True)",
            "The weights were divided by the sum over all experts. Divide by the sum over the chosen.",
        ),
        Mistake(
            "scale missing",
            "expert_TK, scale * share_TK",
            "expert_TK, share_TK",
            "The factor `scale` is missing: a token's weights add up to scale, not to 1.",
        ),
        Mistake(
            "weights returned first",
            "return expert_TK, scale * share_TK",
            "return scale * share_TK, expert_TK",
            "The numbers of the chosen come first, their weights second.",
        ),
        Mistake(
            "not normalised",
            _SHARE,
            "share_TK = score_TK",
            "The scores of the chosen were not divided by their sum.",
        ),
        Mistake(
            "normalised over tokens",
            "score_TK.sum(-1, keepdim=True)",
            "score_TK.sum(0, keepdim=True)",
            "The sum went over the tokens. Each token's own k scores are summed: the last axis.",
        ),
        Mistake(
            "bias ignored",
            "score_TE + bias_E",
            "score_TE",
            "The bias did nothing. The k largest s + bias are chosen.",
        ),
        Mistake(
            "bias subtracted",
            "score_TE + bias_E",
            "score_TE - bias_E",
            "The bias was subtracted. A positive bias helps an expert to be chosen.",
        ),
        Mistake(
            "bias on the logits",
            "score_TE + bias_E",
            "torch.sigmoid(logit_TE + bias_E)",
            "The bias was added before the sigmoid. It is added to the score.",
        ),
        Mistake(
            "sorted by number",
            "choice_TE.topk(k, dim=-1).indices",
            "choice_TE.topk(k, dim=-1).indices.sort(-1).values",
            "The chosen are right, their order is not: largest s + bias first.",
        ),
        Mistake(
            "sorted by score",
            "choice_TE.topk(k, dim=-1).indices\n",
            "choice_TE.topk(k, dim=-1).indices\n"
            "    expert_TK = expert_TK.gather(1, score_TE.gather(1, expert_TK).argsort(-1, descending=True))\n",
            "The chosen are right, but they are sorted by s. The order is that of s + bias, the largest first.",
        ),
    ),
)

ROUTER = Coding(
    "router",
    "Router",
    minutes=25,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "bias before the sigmoid",
            "The bias is added before the sigmoid: the chosen are those with the largest sigmoid(x . w_e + bias). "
            "The weights are still made from scores without bias.",
            (
                "chosen: the k experts with the largest   s + bias\n",
                "chosen: the k experts with the largest   c = sigmoid(x . w_e + bias)\n",
            ),
            ("largest s + bias first", "largest c first"),
            ("choice_TE = score_TE + bias_E", "choice_TE = torch.sigmoid(logit_TE + bias_E)"),
            also=(
                Mistake(
                    "bias ignored",
                    "logit_TE + bias_E",
                    "logit_TE",
                    "The bias did nothing. The k largest sigmoid(x . w_e + bias) are chosen.",
                ),
                Mistake(
                    "biased everywhere",
                    "logit_TE = x_TD @ weight_ED.T",
                    "logit_TE = x_TD @ weight_ED.T + bias_E / 2",
                    "The bias came in twice, or into the weights as well. It is added once, for the choice alone.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "softmax of the chosen",
            "The weights are scale times a softmax over the chosen experts' x . w_e, the numbers before the sigmoid and "
            "without bias. Who is chosen, and in what order, stays as it is.",
            ("scale * s / (sum of s over the chosen)", "scale * softmax of x . w_e, over the chosen"),
            ("    score_TK = score_TE.gather(1, expert_TK)\n", ""),
            (_SHARE, "share_TK = logit_TE.gather(1, expert_TK).softmax(-1)"),
            also=(
                Mistake(
                    "softmax of sigmoids",
                    "logit_TE.gather",
                    "score_TE.gather",
                    "The softmax was given the scores. It is given what stands before the sigmoid, x . w_e.",
                ),
                Mistake(
                    "softmax over all",
                    "logit_TE.gather(1, expert_TK).softmax(-1)",
                    "logit_TE.softmax(-1).gather(1, expert_TK)",
                    "The softmax went over all experts. It goes over the chosen: their weights add up to scale.",
                ),
                Mistake(
                    "softmax with the bias",
                    "logit_TE.gather(1, expert_TK)",
                    "(logit_TE + bias_E).gather(1, expert_TK)",
                    "The softmax was given the bias too. The bias decides who is chosen and never how loud.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "unit length",
            "The scores of the chosen are divided by the root of the sum of their squares, not by their sum. The factor "
            "`scale` still follows.",
            ("scale * s / (sum of s over the chosen)", "scale * s / sqrt(sum of s^2 over the chosen)"),
            (_SHARE, "share_TK = score_TK / score_TK.square().sum(-1, keepdim=True).sqrt()"),
            also=(
                Mistake(
                    "root over all experts",
                    "score_TK.square()",
                    "score_TE.square()",
                    "The squares were summed over all experts. They are summed over the chosen.",
                ),
                Mistake(
                    "no root",
                    ".sum(-1, keepdim=True).sqrt()",
                    ".sum(-1, keepdim=True)",
                    "The root is missing: divide by the square root of the sum of squares.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "favourite first",
            "The expert with the largest score s, without bias, is always chosen and stands first. The k - 1 others are those "
            "with the largest s + bias among the rest, largest first.",
            (
                "chosen: the k experts with the largest   s + bias\n",
                "chosen: the expert with the largest      s\n"
                "            and k - 1 of the others, with the largest   s + bias\n",
            ),
            ("the numbers of the chosen, largest s + bias first,", "the numbers of the chosen, in that order,"),
            (
                "    expert_TK = choice_TE",
                "    choice_TE = choice_TE.scatter(1, score_TE.argmax(-1, keepdim=True), 1e9)\n    expert_TK = choice_TE",
            ),
            besides=("sorted by score", "sorted by number", "weights from biased scores"),
            also=(
                Mistake(
                    "favourite with its bias",
                    "score_TE.argmax(-1",
                    "choice_TE.argmax(-1",
                    "The first expert was found with the bias. It is the one with the largest s.",
                ),
                Mistake(
                    "weights from biased scores",
                    "score_TE.gather(1, expert_TK)",
                    "(score_TE + bias_E).gather(1, expert_TK)",
                    "The weights were made from s + bias. The bias decides who is chosen and never how loud: weigh with s.",
                ),
            ),
        ),
    ),
)
