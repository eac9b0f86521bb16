"""A law with its band: what loss more compute would bring, and how far the seeds let one say so."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from kimi_mini.laws import Law
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def law_band(flops_N, loss_SN, draws_RS, at_M):
    """Where the law loss = floor + scale * FLOPs ** -exponent lies at some FLOPs, as a band over seeds.

    flops_N     [N], training FLOPs of N runs, rising
    loss_SN     [S, N], their losses, for each of S seeds
    draws_RS    [R, S], numbers of seeds, drawn with replacement: row r is the r-th resample
    at_M        [M], FLOPs to say something about, inside and outside of the runs

        for each resample        take the losses of its seeds (one drawn twice counts twice), and average them over the seeds
        for each floor tried     0, 0.01, 0.02, ..., 0.98 times the lowest of these averages: the line
                                 through log(loss - floor) against log(FLOPs), by least squares
        keep                     the floor whose law has the smallest sum of squared errors of the loss itself
        low, high                at each of at_M, the 0.1 and the 0.9 quantile of what the R laws say (torch.quantile)

    Returns (low_M, high_M).
    """
    flops, said = flops_N, []

    def line(x, y):
        slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
        return slope, y.mean() - slope * x.mean()

    def fit(loss):
        best, floor_best = None, None
        for share in range(99):
            floor = 0.01 * share * loss.min()
            slope, start = line(flops.log(), (loss - floor).log())
            error = ((floor + (start + slope * flops.log()).exp() - loss) ** 2).sum()
            if best is None or error < best[0]:
                best = error, floor, slope, start
        return best[1:]

    for drawn_S in draws_RS:
        loss_N = loss_SN[drawn_S].mean(0)
        floor, slope, start = fit(loss_N)
        asked = at_M
        said.append(floor + (start + slope * asked.log()).exp())
    said_RM = torch.stack(said)
    return said_RM.quantile(0.1, 0), said_RM.quantile(0.9, 0)
'''

PACKAGE = """
import torch

from kimi_mini import laws


def law_band(flops_N, loss_SN, draws_RS, at_M):
    return tuple(map(torch.from_numpy, laws.law_band(*(each.numpy() for each in (flops_N, loss_SN, draws_RS, at_M)))))
"""

_BUDGETS = torch.tensor([1e11, 2e11, 4e11, 8e11, 16e11], dtype=torch.float64)


def cases(seed: int) -> tuple[Case, ...]:
    """Laws with and without a floor, seeds that spread, resamples, and FLOPs inside, below and beyond the runs."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, law: Law, seeds: int, spread: float, at: list[float]) -> Case:
        truth_N = torch.from_numpy(law.loss(_BUDGETS.numpy()))
        # What a seed is worth is the same at all budgets but for a little: such a spread does not average out along the law.
        offset_S1 = spread * torch.randn(seeds, 1, generator=gen, dtype=torch.float64)
        tilt_SN = 0.3 * spread * torch.randn(seeds, len(_BUDGETS), generator=gen, dtype=torch.float64)
        draws_RS = torch.randint(seeds, (12, seeds), generator=gen)
        return Case(name, (_BUDGETS, truth_N + offset_S1 + tilt_SN, draws_RS, torch.tensor(at, dtype=torch.float64)))

    return (
        case("three seeds, at the runs themselves", Law(1.4, 700.0, 0.24), 3, 0.06, _BUDGETS.tolist()),
        case("four seeds, below and beyond the runs", Law(0.9, 60.0, 0.13), 4, 0.06, [2e10, 6e11, 5e12, 5e13]),
        case("a law that is nearly flat at the end", Law(2.2, 3e5, 0.5), 3, 0.03, [1e11, 1e12, 1e14]),
    )


_MEAN = "loss_N = loss_SN[drawn_S].mean(0)"

PRACTICE = Variant(
    "mean over seeds",
    SOLUTION,
    cases,
    (
        Mistake(
            "seeds averaged before resampling",
            _MEAN,
            "loss_N = loss_SN.mean(0)",
            "The seeds were averaged before they were resampled: every resample is the same, and the band has no width.",
        ),
        Mistake(
            "floor forced to 0",
            "for share in range(99):",
            "for share in range(1):",
            "The floor was forced to 0. Try all of 0, 0.01, ..., 0.98 times the lowest loss.",
        ),
        Mistake(
            "band not widening outside the data",
            "asked = at_M",
            "asked = at_M.clamp(float(flops.min()), float(flops.max()))",
            "Outside of the runs the band stays what it is at the nearest one. Evaluate every law where it is asked for.",
        ),
        Mistake(
            "least and largest",
            "said_RM.quantile(0.1, 0), said_RM.quantile(0.9, 0)",
            "said_RM.quantile(0.0, 0), said_RM.quantile(1.0, 0)",
            "The band runs from the least to the largest. It is the middle: the 0.1 to the 0.9 quantile.",
        ),
        Mistake(
            "one law",
            "said_RM.quantile(0.1, 0), said_RM.quantile(0.9, 0)",
            "said_RM.mean(0), said_RM.mean(0)",
            "Low and high are the same. They are quantiles over the resamples.",
        ),
        Mistake(
            "floor not put back",
            "said.append(floor + (",
            "said.append((",
            "The floor was taken off and not put back: the law says floor + scale * FLOPs ** -exponent.",
        ),
        Mistake(
            "the last floor",
            "if best is None or error < best[0]:",
            "if True:",
            "The last floor tried was kept. Keep the one with the smallest squared error.",
        ),
        Mistake(
            "a straight law",
            "line(flops.log(), (loss - floor).log())",
            "line(flops, (loss - floor).log())",
            "FLOPs were not taken as logarithms: a power law is a straight line only on two logarithmic axes.",
        ),
        Mistake(
            "each seed once",
            _MEAN,
            "loss_N = loss_SN[drawn_S.unique()].mean(0)",
            "A seed that was drawn twice counted once. It counts twice: that is how a resample differs from a choice.",
        ),
    ),
)

LAW_BAND = Coding(
    "law_band",
    "A law with its band",
    minutes=25,
    difficulty=3,
    points=5,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "one floor for all",
            "The floor is found once, from the mean over all seeds (each counted once), and all resamples are fitted above it.",
            (
                "        for each floor tried     0, 0.01, 0.02, ..., 0.98 times the lowest of these averages: the line\n",
                "        for the one floor        found as below from the mean over all seeds, used for every resample;\n"
                "                                 tried are 0, 0.01, 0.02, ..., 0.98 times that mean's lowest: the line\n",
            ),
            (
                "    for drawn_S in draws_RS:\n",
                "    common = fit(loss_SN.mean(0))[0]\n    for drawn_S in draws_RS:\n",
            ),
            (
                "floor, slope, start = fit(loss_N)",
                "floor = common\n        slope, start = line(flops.log(), (loss_N - floor).log())",
            ),
            also=(
                Mistake(
                    "a floor for each",
                    "floor = common\n        slope, start = line(flops.log(), (loss_N - floor).log())",
                    "floor, slope, start = fit(loss_N)",
                    "Every resample found a floor of its own. It is found once, from the mean over all seeds.",
                ),
            ),
            besides=("a straight law",),
        ),
        twist(
            PRACTICE,
            "median over seeds",
            "Within a resample the losses are joined by their median over the seeds (torch.quantile at 0.5), not their mean.",
            ("and average them over the seeds\n", "and take their median\n"),
            ("times the lowest of these averages", "times the lowest of these medians"),
            (_MEAN, "loss_N = loss_SN[drawn_S].quantile(0.5, 0)"),
            also=(
                Mistake(
                    "the lower of two",
                    "loss_SN[drawn_S].quantile(0.5, 0)",
                    "loss_SN[drawn_S].median(0).values",
                    "torch's median takes the lower of the two in the middle. quantile(0.5) goes between them.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "without the smallest run",
            "The run with the fewest FLOPs is left out of every fit, floor included: it is too short to lie on the law.",
            (
                "        for each resample        take",
                "        leave out                the run with the fewest FLOPs, everywhere below\n"
                "        for each resample        take",
            ),
            ("flops, said = flops_N, []", "flops, said = flops_N[1:], []"),
            (_MEAN, "loss_N = loss_SN[drawn_S, 1:].mean(0)"),
            also=(
                Mistake(
                    "all runs",
                    "flops, said = flops_N[1:], []",
                    "flops, said, loss_SN = flops_N, [], torch.cat((loss_SN[:, :1], loss_SN), 1)",
                    "All runs were fitted. Leave out the one with the fewest FLOPs.",
                ),
            ),
        ),
    ),
)
