"""A row of the load table: what the experts of a layer had to do over some updates."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def load_row(updates, experts):
    """What the experts of one layer had to do over some updates: a row of a table.

    updates    a list of updates; each is a list of micro-batches expert_TK, [T, K], the experts that the tokens chose
    experts    how many experts there are; some may have been chosen by nobody

    Returns a dict:
        "load_E"      [experts], how often each was chosen, over all updates together
        "together"    the largest of these loads / their mean: 1 is perfect balance
        "single"      the same ratio of each update's own loads, and of that the mean over the updates
    """
    units = experts

    def ratio(load):
        return float(load.max() / (load.sum() / units))

    load_E, ratios = torch.zeros(units, dtype=torch.int64), []
    for micro_batches in updates:
        update_E = torch.zeros(units, dtype=torch.int64)
        for expert_TK in micro_batches:
            count_E = torch.bincount(expert_TK.flatten(), minlength=units)
            update_E = update_E + count_E
        load_E = load_E + update_E
        ratios.append(ratio(update_E))
    return {"load_E": load_E, "together": ratio(load_E), "single": sum(ratios) / len(ratios)}
'''

PACKAGE = """
import torch

from kimi_mini.optim import max_violation


def load_row(updates, experts):
    def load(micro_batches):
        return sum(torch.bincount(expert_TK.flatten(), minlength=experts) for expert_TK in micro_batches)

    each_UE = torch.stack([load(micro_batches) for micro_batches in updates])
    load_E = each_UE.sum(0)
    together, single = 1 + max_violation(load_E), 1 + max_violation(each_UE)
    return {"load_E": load_E, "together": float(together), "single": float(single.mean())}
"""

# Loads of six experts in each micro-batch of each update. The busiest expert of one update is not that of another,
# micro-batches disagree, and in the last case nobody chooses the last expert (nor, in twos, the last pair).
_LOADS = {
    "one update": [[[6, 2, 4, 4, 3, 5]]],
    "two updates, two favourites": [[[9, 1, 2, 3, 2, 1], [7, 1, 2, 2, 1, 5]], [[1, 8, 2, 3, 2, 2], [2, 9, 1, 2, 3, 1]]],
    "micro-batches that disagree": [[[8, 0, 1, 1, 1, 1], [0, 5, 3, 4, 5, 1]], [[1, 1, 1, 1, 2, 6], [3, 3, 4, 4, 3, 1]]],
    "experts that nobody chose": [[[5, 3, 7, 3, 0, 0], [2, 2, 2, 4, 0, 0]], [[6, 1, 1, 4, 0, 0]]],
}  # fmt: skip


def cases(seed: int, padding: bool = False) -> tuple[Case, ...]:
    """Updates with those loads; the first four experts renumbered, the choices of a token in any order."""
    gen = torch.Generator().manual_seed(seed)

    def micro_batch(load: list[int], number_E: torch.Tensor) -> torch.Tensor:
        chosen_A = number_E.repeat_interleave(torch.tensor(load))
        expert_TK = chosen_A[torch.randperm(len(chosen_A), generator=gen)].view(-1, 2)
        if padding:
            expert_TK = torch.cat((expert_TK, torch.full((3, 2), -1)))
        return expert_TK.contiguous()

    found = []
    for name, updates in _LOADS.items():
        number_E = torch.cat((torch.randperm(4, generator=gen), torch.tensor([4, 5])))
        found.append(Case(name, ([[micro_batch(load, number_E) for load in rows] for rows in updates], 6)))
    return tuple(found)


def padded_cases(seed: int) -> tuple[Case, ...]:
    """The same with three tokens of padding behind every micro-batch."""
    return cases(seed, padding=True)


_MEAN = '"single": sum(ratios) / len(ratios)'

PRACTICE = Variant(
    "as in the log",
    SOLUTION,
    cases,
    (
        Mistake(
            "first choice only",
            "expert_TK.flatten()",
            "expert_TK[:, 0].contiguous()",
            "The loads add up to the number of tokens. Each token makes K choices, and all of them are work.",
        ),
        Mistake(
            "last micro-batch only",
            "update_E = update_E + count_E",
            "update_E = count_E",
            "Only the last micro-batch of an update was counted. The loads must add up to K times all tokens.",
        ),
        Mistake(
            "last update only",
            "load_E = load_E + update_E",
            "load_E = update_E",
            "Only the last update was counted. The loads must add up to K times all tokens.",
        ),
        Mistake(
            "crash on an empty expert",
            ", minlength=units)",
            ")",
            "It stopped where the last expert was chosen by nobody: bincount needs minlength.",
        ),
        Mistake(
            "mean of the chosen only",
            "(load.sum() / units)",
            "load[load > 0].double().mean()",
            "Experts that nobody chose were left out of the mean. An idle expert is the worst imbalance there is.",
        ),
        Mistake(
            "shares for counts",
            '{"load_E": load_E',
            '{"load_E": load_E / load_E.sum()',
            "load_E holds shares. It holds how often each expert was chosen, as whole numbers.",
        ),
        Mistake(
            "ratio of a micro-batch",
            "ratios.append(ratio(update_E))",
            "ratios.append(ratio(count_E))",
            "A ratio was taken of one micro-batch. Add up the micro-batches of an update first.",
        ),
        Mistake(
            "together as a mean",
            '"together": ratio(load_E)',
            '"together": sum(ratios) / len(ratios)',
            '"together" is the ratio of the summed loads, not the mean of the ratios: favourites that change cancel in it.',
        ),
        Mistake(
            "single from the sum",
            _MEAN,
            '"single": ratio(load_E)',
            '"single" comes from the loads of each update by itself; here it was taken from their sum.',
        ),
        Mistake(
            "less one",
            "return float(load.max() / (load.sum() / units))",
            "return float(load.max() / (load.sum() / units)) - 1",
            "1 was subtracted. The ratio is largest load / mean load, and 1 in perfect balance.",
        ),
    ),
)

LOAD_ROW = Coding(
    "load_row",
    "A row of the load table",
    minutes=8,
    difficulty=1,
    points=2,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "two to a device",
            "Experts 0 and 1 share a device, 2 and 3 the next, and so on: loads are those of devices, and load_E has "
            "experts / 2 entries.",
            (
                '        "load_E"      [experts], how often each was chosen, over all updates together\n',
                '        "load_E"      [experts / 2], for each device (two experts, in order) the choices of both\n',
            ),
            ("units = experts\n", "units = experts // 2\n"),
            ("torch.bincount(expert_TK.flatten(),", "torch.bincount(expert_TK.flatten() // 2,"),
        ),
        twist(
            PRACTICE,
            "padding",
            "A row of expert_TK that holds -1 is padding: it is no choice of any expert.",
            ("the experts that the tokens chose\n", "the experts that the tokens chose; -1 is padding\n"),
            ("expert_TK.flatten()", "expert_TK[expert_TK >= 0]"),
            cases=padded_cases,
            also=(
                Mistake(
                    "padding as the first expert",
                    "expert_TK[expert_TK >= 0]",
                    "expert_TK.flatten().clamp(min=0)",
                    "Padding was counted as a choice of expert 0. It is nobody's work.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "spread",
            "In both ratios the numerator is the largest load minus the smallest, so 0 is perfect balance.",
            (
                "the largest of these loads / their mean: 1 is perfect balance\n",
                "(the largest of these loads - the smallest) / their mean: 0 is perfect balance\n",
            ),
            ("float(load.max() / (", "float((load.max() - load.min()) / ("),
        ),
        twist(
            PRACTICE,
            "the worst update",
            '"single" is the ratio of the update that was least even, not the mean over the updates.',
            (
                "the same ratio of each update's own loads, and of that the mean over the updates\n",
                "the same ratio of each update's own loads, and of that the largest over the updates\n",
            ),
            (_MEAN, '"single": max(ratios)'),
        ),
    ),
)
