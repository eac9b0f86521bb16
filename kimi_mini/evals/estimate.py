"""Avg@k and pass@k with intervals over problems: 30 questions with 64 samples each are 30 questions, not 1,920."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..checks import is_int, require
from ..synth import wilson_interval


class Estimate(NamedTuple):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


def average(right_P: Sequence[int], samples: int) -> Estimate:
    """Avg@k: the mean over problems of the share of `samples` answers that were right, right_P of each problem's."""
    _check(right_P, samples)
    return _over_problems([right / samples for right in right_P])


def pass_at_k(right_P: Sequence[int], samples: int, k: int) -> Estimate:
    """The mean over problems of the chance that k of the samples, drawn without putting back, hold a right one.

    1 - C(n-c, k) / C(n, k), the unbiased estimator of Chen et al. (2021, arXiv 2107.03374), with n samples and c right ones.
    """
    _check(right_P, samples)
    require(is_int(k, 1) and k <= samples, "k", k, f"an integer from 1 to the {samples} samples")
    ways = math.comb(samples, k)
    return _over_problems([1 - math.comb(samples - right, k) / ways for right in right_P])


def _over_problems(share_P: Sequence[float]) -> Estimate:
    total = min(math.fsum(share_P), len(share_P))
    return Estimate(total / len(share_P), *wilson_interval(total, len(share_P)))


def _check(right_P: Sequence[int], samples: int) -> None:
    require(is_int(samples, 1), "samples", samples, "an integer >= 1")
    require(len(right_P) > 0, "right_P", right_P, "a number for each of at least one problem")
    for right in right_P:
        require(is_int(right, 0) and right <= samples, "a number of right_P", right, f"an integer from 0 to {samples}")
