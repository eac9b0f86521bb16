"""Dispatch and combine: tokens sorted to their experts, and the answers back."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch
import torch.nn.functional as F


def dispatch_and_combine(x_TD, expert_TK, weight_TK, experts, shared):
    """The output of a layer of experts: every expert answers once, for all tokens that chose it (DeepSeek-V3, equation 12).

    x_TD        [T, D], tokens
    expert_TK   [T, K], the experts that each token chose; an expert may have been chosen by nobody
    weight_TK   [T, K], their weights
    experts     (gate_up_E2FD, down_EDF): of expert e, gate and up matrix [F, D] each, and down matrix [D, F]
    shared      (gate_up_2SD, down_DS): the same of the shared expert, which answers for every token

        f(x)  = down (silu(gate x) * (up x))
        y_t   = shared(x_t) + sum over j of  weight_tj * f_e(x_t),   e = expert_tj

    Returns y_TD, [T, D].
    Sort the T K assignments by expert, let each expert answer for its part, and put the answers back in their places.
    """
    (gate_up_E2FD, down_EDF), (shared_2SD, shared_DS) = experts, shared
    tokens, k = expert_TK.shape
    number = len(down_EDF)
    chosen_A = expert_TK.flatten()
    order_A = chosen_A.argsort(stable=True)
    sent_AD = x_TD[order_A // k]
    load_E = torch.bincount(chosen_A, minlength=number)
    parts = sent_AD.split(load_E.tolist())
    answers = []
    for e in range(number):
        gate_FD, up_FD = gate_up_E2FD[e]
        answer_nD = (F.silu(parts[e] @ gate_FD.T) * (parts[e] @ up_FD.T)) @ down_EDF[e].T
        answers.append(answer_nD)
    sorted_AD = torch.cat(answers)
    answer_AD = sorted_AD[order_A.argsort()]
    routed_TD = (answer_AD.view(tokens, k, -1) * weight_TK[..., None]).sum(1)
    gate_SD, up_SD = shared_2SD
    heard_TD = x_TD
    shared_TD = (F.silu(heard_TD @ gate_SD.T) * (heard_TD @ up_SD.T)) @ shared_DS.T
    return routed_TD + shared_TD
'''

PACKAGE = """
import torch.nn.functional as F

import kimi_mini as km


def dispatch_and_combine(x_TD, expert_TK, weight_TK, experts, shared):
    (gate_SD, up_SD), down_DS = shared
    shared_TD = (F.silu(x_TD @ gate_SD.T) * (x_TD @ up_SD.T)) @ down_DS.T
    return km.kernels.grouped_mlp(x_TD, expert_TK, weight_TK, *experts) + shared_TD
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Expert 0 is chosen in all; experts nobody chose in the middle and at the end; one that all chose; a single token."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, choices: list[list[int]], number: int) -> Case:
        def matrix(*shape: int) -> torch.Tensor:
            return 0.7 * torch.randn(*shape, generator=gen, dtype=torch.float64)

        expert_TK = torch.tensor(choices)[torch.randperm(len(choices), generator=gen)]
        weight_TK = 0.2 + torch.rand(expert_TK.shape, generator=gen, dtype=torch.float64)
        weight_TK = 1.4 * weight_TK / weight_TK.sum(-1, keepdim=True)
        experts, shared = (matrix(number, 2, 3, 4), matrix(number, 4, 3)), (matrix(2, 2, 4), matrix(4, 2))
        return Case(name, (2 * matrix(len(choices), 4), expert_TK, weight_TK, experts, shared))

    return (
        case("every expert is chosen", [[2, 0], [1, 3], [3, 2], [0, 1], [2, 3]], 4),
        case("nobody chose one in the middle", [[3, 0], [1, 3], [0, 1], [3, 1]], 4),
        case("nobody chose the last ones", [[2, 0], [0, 1], [1, 2]], 5),
        case("one expert that all chose", [[0, 1], [2, 0], [0, 3], [3, 0], [1, 0], [0, 2]], 4),
        case("a single token, three experts", [[4, 0, 2]], 5),
    )


_NEIGHBOURS = Mistake(
    "neighbours count",
    "        answers.append(answer_nD)",
    "        answer_nD[len(chosen_A) // number + 1 :] = 0\n        answers.append(answer_nD)",
    "An expert stopped answering when it had many tokens, so what a token gets depends on its neighbours. "
    "No assignment is dropped, however busy an expert is.",
)

PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "un-sort wrong",
            "sorted_AD[order_A.argsort()]",
            "sorted_AD[order_A]",
            "The answers came back in the wrong order: indexing with the order that sorted them sorts once more. "
            "Row order[i] of the result is row i of the sorted answers.",
        ),
        Mistake(
            "not un-sorted",
            "sorted_AD[order_A.argsort()]",
            "sorted_AD",
            "The answers were left in the order of the experts. Put them back to the assignments they belong to.",
        ),
        Mistake(
            "crash on an empty expert",
            "torch.bincount(chosen_A, minlength=number)",
            "torch.bincount(chosen_A)",
            "It stopped because the last experts were chosen by nobody: bincount needs minlength, or there are too few parts.",
        ),
        Mistake(
            "empty experts skipped over",
            "torch.bincount(chosen_A, minlength=number)",
            "torch.nn.functional.pad(chosen_A.unique(return_counts=True)[1], (0, number - len(chosen_A.unique())))",
            "An expert that nobody chose was left out of the count, so all behind it answered for the tokens of another.",
        ),
        Mistake(
            "gate twice",
            "weight_TK[..., None]",
            "weight_TK[..., None] ** 2",
            "The weights came in twice. An answer is multiplied by its weight once.",
        ),
        Mistake(
            "weight on the way in",
            "sent_AD = x_TD[order_A // k]\n",
            "sent_AD = x_TD[order_A // k] * weight_TK.flatten()[order_A, None]\n    weight_TK = torch.ones_like(weight_TK)\n",
            "The token was multiplied by the weight before it went to the expert. The weight belongs to the answer.",
        ),
        Mistake(
            "weight on both ways",
            "sent_AD = x_TD[order_A // k]\n",
            "sent_AD = x_TD[order_A // k] * weight_TK.flatten()[order_A, None]\n",
            "Token and answer were both multiplied by the weight. It belongs to the answer alone.",
        ),
        Mistake(
            "weights forgotten",
            "(answer_AD.view(tokens, k, -1) * weight_TK[..., None]).sum(1)",
            "answer_AD.view(tokens, k, -1).sum(1)",
            "The answers were added without their weights.",
        ),
        Mistake(
            "shared expert scaled",
            "return routed_TD + shared_TD",
            "return routed_TD + shared_TD * weight_TK.sum(-1, keepdim=True)",
            "The shared expert was multiplied by the weights' sum. It has no weight: its answer is added as it is.",
        ),
        Mistake(
            "shared expert forgotten",
            "return routed_TD + shared_TD",
            "return routed_TD",
            "The shared expert is missing. It answers for every token.",
        ),
        _NEIGHBOURS,
        Mistake(
            "wrong token sent",
            "x_TD[order_A // k]",
            "x_TD[order_A % tokens]",
            "The wrong tokens were sent: assignment a (row after row through expert_TK) belongs to token a // K.",
        ),
        Mistake(
            "one answer per token kept",
            "(answer_AD.view(tokens, k, -1) * weight_TK[..., None]).sum(1)",
            "(answer_AD.view(tokens, k, -1) * weight_TK[..., None])[:, -1]",
            "Only one of a token's answers is left. All K are added: `out[token] = ...` writes over what is there.",
        ),
        Mistake(
            "gate and up exchanged",
            "gate_FD, up_FD = gate_up_E2FD[e]",
            "up_FD, gate_FD = gate_up_E2FD[e]",
            "The experts' silu is on the wrong matrix: gate comes first, and silu belongs to it.",
        ),
    ),
)

DISPATCH = Coding(
    "dispatch_and_combine",
    "Dispatch and combine",
    minutes=30,
    difficulty=3,
    points=6,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "expert 0 does nothing",
            "Expert 0 has matrices that are not used: its answer for a token is the token itself, f_0(x) = x. It is weighted "
            "as any other answer.",
            (
                "        f(x)  = down (silu(gate x) * (up x))\n",
                "        f(x)  = down (silu(gate x) * (up x));   but of expert 0, f_0(x) = x\n",
            ),
            ("        answers.append(answer_nD)", "        answers.append(parts[e] if e == 0 else answer_nD)"),
            also=(
                Mistake(
                    "expert 0 unweighted",
                    "* weight_TK[..., None]",
                    "* torch.where(expert_TK == 0, 1.0, weight_TK)[..., None]",
                    "Expert 0's answer was added without its weight.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "shared expert last",
            "The shared expert answers last: it is given the token plus the routed experts' weighted sum.",
            (
                "        y_t   = shared(x_t) + sum over j of  weight_tj * f_e(x_t),   e = expert_tj\n",
                "        r_t   = sum over j of  weight_tj * f_e(x_t),   e = expert_tj\n"
                "        y_t   = r_t + shared(x_t + r_t)\n",
            ),
            ("heard_TD = x_TD\n", "heard_TD = x_TD + routed_TD\n"),
            also=(
                Mistake(
                    "token left out",
                    "heard_TD = x_TD + routed_TD",
                    "heard_TD = routed_TD",
                    "The shared expert was given the routed sum alone. It is given the token plus that sum.",
                ),
                Mistake(
                    "routed sum lost",
                    "return routed_TD + shared_TD",
                    "return shared_TD",
                    "The routed sum is not in the result: it goes through the shared expert and is added as well.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a limit per expert",
            "An expert answers at most ceil(T K / E) assignments, those that come first when expert_TK is read row after row; "
            "the others are dropped: nothing is added for them, and no weight changes.",
            (
                "        y_t   = shared(x_t) + sum over j of  weight_tj * f_e(x_t),   e = expert_tj\n",
                "        y_t   = shared(x_t) + sum over j of  weight_tj * f_e(x_t),   e = expert_tj\n"
                "        but an expert answers only the first ceil(T K / E) of its assignments, row after row of expert_TK\n",
            ),
            (
                "        answers.append(answer_nD)",
                "        room = -(-tokens * k // number)\n"
                "        answers.append(answer_nD * (torch.arange(len(answer_nD)) < room)[:, None])",
            ),
            also=(
                Mistake(
                    "limit rounded down",
                    "-(-tokens * k // number)",
                    "tokens * k // number",
                    "The limit was rounded down. It is T K / E rounded up.",
                ),
                Mistake(
                    "last ones answered",
                    "torch.arange(len(answer_nD)) < room",
                    "torch.arange(len(answer_nD)).flip(0) < room",
                    "A busy expert answered the last of its assignments. It answers the first.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "weight on the way in",
            "The weight multiplies the token on its way to the expert, not the answer on its way back.",
            ("weight_tj * f_e(x_t)", "f_e(weight_tj * x_t)"),
            ("sent_AD = x_TD[order_A // k]\n", "sent_AD = x_TD[order_A // k] * weight_TK.flatten()[order_A, None]\n"),
            (" * weight_TK[..., None]).sum(1)", ").sum(1)"),
            besides=("gate twice",),
            also=(
                Mistake(
                    "weights not sorted",
                    "weight_TK.flatten()[order_A, None]",
                    "weight_TK.flatten()[:, None]",
                    "A token got the weight of another: the weights have to be sorted like the assignments.",
                ),
                Mistake(
                    "weights forgotten on the way",
                    " * weight_TK.flatten()[order_A, None]",
                    "",
                    "The weights are missing: the token is multiplied by its weight before the expert sees it.",
                ),
            ),
        ),
    ),
)
