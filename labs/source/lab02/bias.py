"""The bias rule: balance without a loss."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def move_bias(bias_E, micro_batches, grad_E, rate):
    """The selection biases of one layer after an update (DeepSeek-V3 report, 2.1.2).

    bias_E          [E], the biases that the update's tokens were routed with
    micro_batches   a list of pairs (expert_TK, weight_TK), what the router returned; T may differ
    grad_E          [E], the gradient of the loss that an optimizer would find at the bias. It is no part of the rule
    rate            the bias speed, DeepSeek-V3's is 0.001

        load_e   how often e was chosen, by all tokens of all micro-batches of the update
        bias_e <- bias_e + rate   if load_e is below the mean load
                  bias_e - rate   if it is above
                  bias_e          if it is equal

    Returns the new biases, [E].
    """
    load_E = torch.zeros_like(bias_E)
    for expert_TK, weight_TK in micro_batches:
        load_E = load_E + torch.bincount(expert_TK.flatten(), minlength=len(bias_E))
    mean = load_E.mean()
    push_E = torch.sign(mean - load_E)
    return bias_E + rate * push_E
'''

PACKAGE = """
import torch

import kimi_mini as km


def move_bias(bias_E, micro_batches, grad_E, rate):
    experts = len(bias_E)
    load_E = sum(torch.bincount(expert_TK.flatten(), minlength=experts) for expert_TK, _ in micro_batches)
    one = dict(num_hidden_layers=1, first_k_dense_replace=0, vocab_size=8)
    model = km.KimiMini(km.NANO.replace(n_routed_experts=experts, **one))
    model.blocks[0].mlp.router.selection_bias = bias_E.clone()
    km.optim.balance_experts_(model, load_E[None], rate=rate)
    return model.blocks[0].mlp.router.selection_bias
"""

# Loads of six experts in each micro-batch. In the first update two have the mean load; in the second, what micro-batches
# ask for one by one adds up to something else; in the third they differ in size, and an expert with the mean load has less
# than its share on average.
_LOADS = {
    "one micro-batch": [[6, 2, 4, 4, 3, 5]],
    "two micro-batches that disagree": [[6, 0, 2, 1, 3, 0], [1, 5, 3, 2, 0, 1]],
    "three micro-batches of different size": [[5, 1, 2, 2, 1, 1], [0, 3, 1, 0, 1, 1], [3, 6, 0, 2, 4, 3]],
    "an expert that nobody chose": [[11, 2, 8, 1, 2, 0]],
}


def cases(seed: int, loads: dict[str, list[list[int]]] = _LOADS) -> tuple[Case, ...]:
    """Updates with those loads, the experts renumbered; each token's first weight is large, so sums of weights mislead."""
    gen = torch.Generator().manual_seed(seed)

    def micro_batch(load: list[int], number_E: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen_A = number_E.repeat_interleave(torch.tensor(load))
        expert_TK = chosen_A.view(2, -1).T[torch.randperm(len(chosen_A) // 2, generator=gen)]
        loud_T = 1.2 + 0.1 * torch.rand(len(expert_TK), generator=gen, dtype=torch.float64)
        return expert_TK.contiguous(), torch.stack((loud_T, 1.4 - loud_T), 1)

    found = []
    for place, (name, rows) in enumerate(loads.items()):
        number_E = torch.randperm(6, generator=gen)
        if sum(row[5] for row in rows) == 0:  # then the last expert is the idle one
            number_E = torch.cat((number_E[number_E != 5], torch.tensor([5])))
        bias_E, grad_E = torch.randn(2, 6, generator=gen, dtype=torch.float64)
        found.append(Case(name, (0.1 * bias_E, [micro_batch(row, number_E) for row in rows], grad_E, (0.02, 0.05)[place % 2])))
    return tuple(found)


def uneven_cases(seed: int) -> tuple[Case, ...]:
    """The same without an expert at the mean in the first update: shares that are equal need not be so in floating point."""
    return cases(seed, _LOADS | {"one micro-batch": [[6, 2, 5, 3, 3, 5]]})


_COUNT = "torch.bincount(expert_TK.flatten(), minlength=len(bias_E))"

PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "sign reversed",
            "bias_E + rate * push_E",
            "bias_E - rate * push_E",
            "The sign is reversed: a busy expert became easier to choose. Its bias goes down.",
        ),
        Mistake(
            "proportional",
            "torch.sign(mean - load_E)",
            "(mean - load_E) / mean",
            "The step is proportional to the gap. Every bias that moves goes by exactly `rate`: only the sign counts.",
        ),
        Mistake(
            "proportional to the load itself",
            "torch.sign(mean - load_E)",
            "(mean - load_E)",
            "The step is the gap in tokens times rate. Every bias that moves goes by exactly `rate`: only the sign counts.",
        ),
        Mistake(
            "per micro-batch",
            f"        load_E = load_E + {_COUNT}\n    mean = load_E.mean()\n    push_E = torch.sign(mean - load_E)\n",
            f"        one_E = {_COUNT}.to(bias_E.dtype)\n        load_E = load_E + torch.sign(one_E.mean() - one_E)\n"
            "    push_E = load_E\n",
            "The bias moved once per micro-batch. It moves once per update, by the load of all its micro-batches.",
        ),
        Mistake(
            "moved inside the loop",
            f"        load_E = load_E + {_COUNT}\n    mean = load_E.mean()\n    push_E = torch.sign(mean - load_E)\n",
            f"        load_E = load_E + {_COUNT}\n        bias_E = bias_E + rate * torch.sign(load_E.mean() - load_E)\n"
            "    push_E = 0\n",
            "The bias moved inside the loop over micro-batches. Count them all first, and then move it once.",
        ),
        Mistake(
            "crash on an empty expert",
            ", minlength=len(bias_E))",
            ")",
            "It stopped where the last expert was chosen by nobody: bincount needs minlength.",
        ),
        Mistake(
            "last micro-batch only",
            f"load_E + {_COUNT}",
            f"0 * load_E + {_COUNT}",
            "Only the last micro-batch was counted. The load is that of the whole update.",
        ),
        Mistake(
            "load by weight",
            _COUNT,
            "torch.bincount(expert_TK.flatten(), weights=weight_TK.flatten(), minlength=len(bias_E))",
            "The load is a sum of weights. A chosen expert has its work to do however quiet its answer is: count choices.",
        ),
        Mistake(
            "gradient flows into the bias",
            "return bias_E + rate * push_E",
            "return bias_E + rate * push_E - rate * grad_E",
            "The gradient moved the bias as well. The rule stands in its place: a bias follows the load and nothing else.",
        ),
        Mistake(
            "gradient step",
            "return bias_E + rate * push_E",
            "return bias_E - rate * grad_E",
            "That is a gradient step. A bias is not learned: it follows the load and nothing else.",
        ),
        Mistake(
            "an expert at the mean moved",
            "torch.sign(mean - load_E)",
            "torch.where(load_E > mean, -1.0, 1.0)",
            "An expert whose load is exactly the mean was moved. Its bias stays.",
        ),
        Mistake(
            "only busy experts moved",
            "torch.sign(mean - load_E)",
            "torch.sign(mean - load_E).clamp(max=0)",
            "Only experts above the mean were moved. Those below it get a larger bias.",
        ),
        Mistake(
            "only idle experts moved",
            "torch.sign(mean - load_E)",
            "(load_E == 0).to(bias_E.dtype)",
            "Only experts that nobody chose were moved. The mean load is what decides, up as well as down.",
        ),
        Mistake(
            "only the push",
            "return bias_E + rate * push_E",
            "return rate * push_E",
            "The result is the step alone. Biases add up over updates: start from bias_E.",
        ),
    ),
)

BIAS = Coding(
    "move_bias",
    "Bias rule",
    minutes=20,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "centred",
            "The mean of all experts' signs (+1, 0 or -1) is subtracted from each before it is multiplied by rate, so the mean "
            "bias stays where it is (Moonlight's rule).",
            (
                "                  bias_e          if it is equal\n",
                "                  bias_e          if it is equal\n"
                "        but from each of these signs, +1, -1 or 0, their mean over the experts is subtracted first\n",
            ),
            (
                "push_E = torch.sign(mean - load_E)\n",
                "push_E = torch.sign(mean - load_E)\n    push_E = push_E - push_E.mean()\n",
            ),
            also=(
                Mistake(
                    "mean bias taken away",
                    "return bias_E + rate * push_E",
                    "return bias_E + rate * push_E - bias_E.mean()",
                    "The mean of the biases was taken away. It is the mean of the signs that is, so the mean bias stays.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "left alone near the mean",
            "An expert is left alone while its load differs from the mean by no more than 30 % of the mean.",
            ("if load_e is below the mean load\n", "if load_e is below 0.7 times the mean load\n"),
            ("if it is above\n", "if it is above 1.3 times the mean load\n"),
            ("if it is equal\n", "otherwise\n"),
            (
                "push_E = torch.sign(mean - load_E)\n",
                "push_E = torch.sign(mean - load_E) * ((load_E - mean).abs() > 0.3 * mean)\n",
            ),
            besides=("an expert at the mean moved",),
        ),
        twist(
            PRACTICE,
            "one up, one down",
            "Only two biases move: that of the expert with the smallest load goes up by rate, that of the one with the largest "
            "load goes down by rate. (No two tie for these places.)",
            ("if load_e is below the mean load\n", "if e has the smallest load of all\n"),
            ("if it is above\n", "if e has the largest load of all\n"),
            ("if it is equal\n", "otherwise\n"),
            (
                "    mean = load_E.mean()\n    push_E = torch.sign(mean - load_E)\n",
                "    push_E = torch.zeros_like(bias_E)\n    push_E[load_E.argmin()], push_E[load_E.argmax()] = 1, -1\n",
            ),
        ),
        twist(
            PRACTICE,
            "micro-batches count alike",
            "Every micro-batch counts alike, however many tokens it has: the load of an expert is the mean over the "
            "micro-batches of its share there, which is how often it was chosen, divided by all choices.",
            (
                "how often e was chosen, by all tokens of all micro-batches of the update\n",
                "the mean over micro-batches of e's share in each: how often it was chosen / all choices\n",
            ),
            (
                f"        load_E = load_E + {_COUNT}\n",
                f"        load_E = load_E + {_COUNT} / expert_TK.numel() / len(micro_batches)\n",
            ),
            cases=uneven_cases,
            besides=("an expert at the mean moved",),
            also=(
                Mistake(
                    "all tokens alike",
                    " / expert_TK.numel()",
                    "",
                    "The choices of all micro-batches were added up, so a large micro-batch counts more. Add up shares.",
                ),
            ),
        ),
    ),
)
