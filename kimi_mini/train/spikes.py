"""What is a loss spike? One exact rule, on the loss of every update as it was measured.

A trailing median says what the loss was lately, the median distance from it how much it scatters; an update whose loss
stands out of that is marked. Neither is moved by the spike itself, as a mean and a standard deviation would be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks import is_int, is_number, require

_NORMAL = 1.4826  # a normal distribution's standard deviation over its median absolute deviation


def deviations_above(loss_N: Sequence[float] | np.ndarray, window: int = 64) -> np.ndarray:
    """How far each loss stands above the median of the `window` losses before it, in robust standard deviations of these.

    The first `window` updates have too short a past and are -inf: what falls into warm-up is not judged. Raises ValueError
    for another shape than [updates] and for a loss that is not finite, which is no spike but the end of a run.
    """
    loss_N = np.asarray(loss_N, dtype=float)
    require(loss_N.ndim == 1, "shape of loss_N", loss_N.shape, "one axis, the updates")
    require(is_int(window, 2), "window", window, "an integer of at least 2")
    broken = np.flatnonzero(~np.isfinite(loss_N))
    require(not len(broken), "loss_N", loss_N[broken[:1]].tolist(), f"finite losses, also at update {broken[:1]}")
    above_N = np.full(len(loss_N), -np.inf)
    if len(loss_N) > window:
        past_NW = np.lib.stride_tricks.sliding_window_view(loss_N, window)[:-1]
        median_N = np.median(past_NW, axis=1)
        scatter_N = _NORMAL * np.median(np.abs(past_NW - median_N[:, None]), axis=1)
        rise_N = loss_N[window:] - median_N
        with np.errstate(divide="ignore", invalid="ignore"):  # no scatter at all: any rise is infinitely many
            above_N[window:] = np.where(rise_N > 0, rise_N / scatter_N, -np.inf)
    return above_N


def find_spikes(loss_N: Sequence[float] | np.ndarray, *, window: int = 64, deviations: float = 6.0) -> list[tuple[int, int]]:
    """(first, last) update of each spike, counted from 0; marked updates at most `window` apart are one spike."""
    require(is_number(deviations) and deviations > 0, "deviations", deviations, "a number > 0")
    spikes: list[tuple[int, int]] = []
    for update in np.flatnonzero(deviations_above(loss_N, window) > deviations).tolist():
        if spikes and update - spikes[-1][1] <= window:
            spikes[-1] = spikes[-1][0], update
        else:
            spikes.append((update, update))
    return spikes


def count_spikes(loss_N: Sequence[float] | np.ndarray, *, window: int = 64, deviations: float = 6.0) -> int:
    """How many spikes `loss_N` has: the loss of every update, never a smoothed one, which would hide them."""
    return len(find_spikes(loss_N, window=window, deviations=deviations))
