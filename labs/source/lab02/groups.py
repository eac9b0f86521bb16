"""Choice in groups, as DeepSeek-V3 has it and K2 has not."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def grouped_choice(choice_TE, n_group, topk_group, k):
    """The chosen experts, where only the best groups are open to a token (as in DeepSeek-V3; K2 has one group).

    choice_TE    [T, E], score plus bias; may be negative
    n_group      number of groups: experts 0 ... E / n_group - 1 are group 0, the next E / n_group group 1, and so on
    topk_group   how many groups are open to a token
    k            how many experts are chosen; the open groups hold at least so many

        worth of a group    the sum of its two largest choices
        open                each token's topk_group groups of largest worth
        chosen              the k largest choices in open groups, whatever their sign

    Returns expert_TK, [T, k]: the numbers (0 ... E - 1) of the chosen, largest choice first.
    """
    experts = choice_TE.shape[1]
    group_E = torch.arange(experts) // (experts // n_group)
    parts = [choice_TE[:, group_E == g] for g in range(n_group)]
    worth_TG = torch.stack([part.topk(2, dim=-1).values.sum(-1) for part in parts], 1)
    best_TG = worth_TG.topk(topk_group, dim=-1).indices
    open_TG = torch.zeros_like(worth_TG, dtype=torch.bool).scatter(1, best_TG, True)
    open_TE = open_TG[:, group_E]
    return choice_TE.masked_fill(~open_TE, float("-inf")).topk(k, dim=-1).indices
'''

PACKAGE = """
import torch

import kimi_mini as km
from kimi_mini.model import Router


def grouped_choice(choice_TE, n_group, topk_group, k):
    n = choice_TE.shape[1]
    shape = dict(n_routed_experts=n, num_experts_per_tok=k, n_group=n_group, topk_group=topk_group)
    router = Router(km.NANO.replace(**shape))
    x_1D = torch.zeros(1, km.NANO.hidden_size, dtype=choice_TE.dtype)  # every score is 0.5
    torch.nn.init.zeros_(router.weight)
    return torch.cat([torch.func.functional_call(router, {"selection_bias": c - 0.5}, (x_1D,)).expert_TK for c in choice_TE])
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Twelve experts. In two tokens of a case, a group has the best expert of all and is closed; in two others, the worth
    of two experts together and that of the second alone open different groups."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, n_group: int, shift: float) -> Case:
        choice_TE = 1.2 * torch.rand(7, 12, generator=gen, dtype=torch.float64) - 0.3
        size = 12 // n_group
        for token in range(4):
            rest = [-0.55] * (size - 2)
            lone = [[0.9, -0.7, *rest], [0.55, 0.45, *rest], [0.5, 0.4, *rest], [0.45, -0.6, *rest]]
            pairs = [[0.92, 0.2, *rest], [0.5, 0.45, *rest], [0.45, 0.4, *rest], [0.0, -0.6, *rest]]
            rows = torch.tensor((lone, pairs)[token % 2][:n_group], dtype=torch.float64)
            rows = rows + 0.03 * torch.rand(rows.shape, generator=gen, dtype=torch.float64)
            rows = rows[torch.randperm(n_group, generator=gen)]
            choice_TE[token] = torch.stack([row[torch.randperm(size, generator=gen)] for row in rows]).flatten()
        return Case(name, (choice_TE - shift, n_group, 2, 4))

    return (
        case("two of four groups", 4, 0.0),
        case("two of three groups", 3, 0.0),
        case("choices of both signs", 4, 0.55),
        case("every choice is negative", 3, 1.5),
    )


def interleaved_cases(seed: int) -> tuple[Case, ...]:
    """The same tokens, with the experts in an order in which their groups are interleaved."""
    found = []
    for case in cases(seed):
        choice_TE, n_group, *rest = case.args
        found.append(Case(case.name, (choice_TE.unflatten(1, (n_group, -1)).mT.flatten(1), n_group, *rest)))
    return tuple(found)


_WORTH = "part.topk(2, dim=-1).values.sum(-1)"

PRACTICE = Variant(
    "DeepSeek-V3's",
    SOLUTION,
    cases,
    (
        Mistake(
            "best one for best two",
            "part.topk(2, dim=-1)",
            "part.topk(1, dim=-1)",
            "Groups were judged by their best expert. A group is worth the sum of its two best.",
        ),
        Mistake(
            "worth of the whole group",
            _WORTH,
            "part.sum(-1)",
            "Groups were judged by the sum of all their experts. A group is worth the sum of its two best.",
        ),
        Mistake(
            "closed groups filled with 0",
            'float("-inf")',
            "0.0",
            "Closed groups were filled with 0, which beats every negative choice: a closed expert was chosen. Fill with -inf.",
        ),
        Mistake(
            "groups interleaved",
            "// (experts // n_group)",
            "% n_group",
            "The groups are blocks of neighbours: the first E / n_group experts are group 0. You took every n_group-th expert.",
        ),
        Mistake(
            "n_group taken for the size of a group",
            "// (experts // n_group)",
            "// n_group % n_group",
            "n_group is the number of groups, not the size of one: a group has E / n_group experts.",
        ),
        Mistake(
            "same groups for every token",
            "worth_TG.topk(",
            "worth_TG.mean(0, keepdim=True).expand_as(worth_TG).topk(",
            "All tokens had the same groups open. Every token opens its own.",
        ),
        Mistake(
            "groups ignored",
            'choice_TE.masked_fill(~open_TE, float("-inf"))',
            "choice_TE",
            "The groups closed nothing: an expert of a closed group was chosen.",
        ),
        Mistake(
            "choices returned",
            ".topk(k, dim=-1).indices",
            ".topk(k, dim=-1).values",
            "The choices themselves were returned. What is asked for are the numbers of the chosen experts.",
        ),
        Mistake(
            "worst groups open",
            "worth_TG.topk(topk_group, dim=-1)",
            "worth_TG.topk(topk_group, dim=-1, largest=False)",
            "The groups of smallest worth were opened. Open those of largest worth.",
        ),
    ),
)

GROUPS = Coding(
    "grouped_choice",
    "Groups",
    minutes=15,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "favourite's group",
            "The group of the largest choice of all is always open. The topk_group - 1 others are those of largest worth "
            "among the rest.",
            (
                "each token's topk_group groups of largest worth",
                "the group of the token's largest choice, and topk_group - 1 of the others, of largest worth",
            ),
            (
                "    best_TG = ",
                "    favourite_T1 = group_E[choice_TE.argmax(-1, keepdim=True)]\n"
                '    worth_TG = worth_TG.scatter(1, favourite_T1, float("inf"))\n    best_TG = ',
            ),
            besides=("same groups for every token",),
        ),
        twist(
            PRACTICE,
            "every n-th expert",
            "The groups are interleaved: expert e belongs to group e % n_group.",
            (
                "experts 0 ... E / n_group - 1 are group 0, the next E / n_group group 1, and so on",
                "experts 0, n_group, 2 n_group, ... are group 0; expert e belongs to group e % n_group",
            ),
            ("// (experts // n_group)", "% n_group"),
            cases=interleaved_cases,
        ),
        twist(
            PRACTICE,
            "even shares",
            "Every open group gives the same number of experts, its k / topk_group best (k is a multiple of topk_group). "
            "The order is still that of the choices.",
            (
                "the k largest choices in open groups, whatever their sign",
                "the k / topk_group largest choices of each open group, whatever their sign",
            ),
            (
                "    open_TE = open_TG[:, group_E]\n",
                "    order_GTE = [(choice_TE - 9.0 * (group_E != g)).argsort(-1, descending=True) for g in range(n_group)]\n"
                "    first_TE = torch.zeros_like(choice_TE, dtype=torch.bool)\n"
                "    for order_TE in order_GTE:\n"
                "        first_TE = first_TE.scatter(1, order_TE[:, : k // topk_group], True)\n"
                "    open_TE = open_TG[:, group_E] & first_TE\n",
            ),
        ),
        twist(
            PRACTICE,
            "second best",
            "A group is worth its second largest choice alone.",
            ("the sum of its two largest choices", "its second largest choice alone"),
            (_WORTH, "part.topk(2, dim=-1).values[:, 1]"),
        ),
    ),
)
