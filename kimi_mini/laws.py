"""Scaling laws from few runs: loss against training FLOPs, its band over seeds, and the FLOPs that a better shape saves.

The K2 report fits such curves for several sparsities (section 2.3, Fig. 5) and reads its factors off them at one loss; form
and coefficients are not published. Here a law is loss = floor + scale * FLOPs ** -exponent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .checks import is_number, require

_FLOORS = np.linspace(0.0, 0.98, 99)  # tried, as shares of the lowest loss


@dataclass(frozen=True)
class Law:
    """loss = floor + scale * FLOPs ** -exponent, in nats per token."""

    floor: float
    scale: float
    exponent: float

    def loss(self, flops: np.ndarray | float) -> np.ndarray:
        """What the law says of these FLOPs; outside the fitted runs that is a guess."""
        return self.floor + self.scale * np.asarray(flops, float) ** -self.exponent


def fit_law(flops_N: np.ndarray, loss_N: np.ndarray, floor: float | None = None) -> Law:
    """The law through N runs, N >= 3 (2 for a given floor): least squares in log(loss - floor) against log(FLOPs).

    Of the floors tried (0 to 98 % of the lowest loss) the one with the smallest squared error of the losses is kept, unless
    `floor` is given. Raises ValueError for too few runs, FLOPs that are not positive, or a floor not below every loss.
    """
    flops_N, loss_N = _as_runs(flops_N, loss_N, 2 if floor is not None else 3)
    lowest = float(loss_N.min())
    if floor is not None:
        require(is_number(floor) and floor < lowest, "floor", floor, f"a number below the lowest loss, {lowest:.4g}")
    candidates = [floor] if floor is not None else (_FLOORS * lowest).tolist()
    laws = [_fit_above(flops_N, loss_N, each) for each in candidates]
    return min(laws, key=lambda law: float(((law.loss(flops_N) - loss_N) ** 2).sum()))


def _fit_above(flops_N: np.ndarray, loss_N: np.ndarray, floor: float) -> Law:
    x, y = np.log(flops_N), np.log(loss_N - floor)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return Law(floor, float(np.exp(y.mean() - slope * x.mean())), float(-slope))


def draws(seeds: int, count: int = 200, seed: int = 0) -> np.ndarray:
    """Numbers of seeds drawn with replacement, [count, seeds]: what a bootstrap over seeds resamples."""
    return np.random.default_rng(seed).integers(0, seeds, (count, seeds))


def law_band(
    flops_N: np.ndarray,
    loss_SN: np.ndarray,
    draws_RS: np.ndarray,
    at_M: np.ndarray,
    floor: float | None = None,
    level: float = 0.8,
) -> tuple[np.ndarray, np.ndarray]:
    """(low_M, high_M): between them lies the middle `level` of the laws fitted to resampled seeds, at each of `at_M`.

    Seeds are resampled first and averaged then: averaged first, they would have no spread left. With three seeds there are
    ten different resamples, so the band is coarse; it does not know of errors that all seeds share.
    """
    loss_SN = np.asarray(loss_SN, float)
    require(loss_SN.ndim == 2, "axes of loss_SN", loss_SN.ndim, "2: seeds, runs")
    require(0 < level < 1, "level", level, "a number between 0 and 1")
    laws = [fit_law(flops_N, loss_SN[drawn_S].mean(0), floor) for drawn_S in np.asarray(draws_RS)]
    loss_RM = np.stack([law.loss(at_M) for law in laws])
    return np.quantile(loss_RM, (1 - level) / 2, axis=0), np.quantile(loss_RM, (1 + level) / 2, axis=0)


def flops_to_reach(flops_N: np.ndarray, loss_N: np.ndarray, target: float) -> float:
    """FLOPs at which runs whose loss falls with FLOPs pass `target`, on straight lines between them in logarithms.

    Raises ValueError for a target that the runs do not enclose, and for losses that do not fall: measured, not extrapolated.
    """
    flops_N, loss_N = _as_runs(flops_N, loss_N, 2)
    order = np.argsort(flops_N)
    flops_N, loss_N = flops_N[order], loss_N[order]
    require(bool((np.diff(loss_N) < 0).all()), "loss_N", loss_N.tolist(), "losses that fall as FLOPs rise")
    low, high = float(loss_N[-1]), float(loss_N[0])
    require(low <= target <= high, "target", target, f"a loss that was measured, from {low:.4g} to {high:.4g}")
    return float(np.exp(np.interp(-np.log(target), -np.log(loss_N), np.log(flops_N))))


def flops_saved(flops_N: np.ndarray, usual_N: np.ndarray, better_N: np.ndarray, target: float) -> float:
    """How many times the FLOPs the usual shape needs to reach the loss that the better one reaches: `target`.

    The report's 1.69, 1.39 and 1.15 are such factors: sparsity 48 against 8, 16 and 32 at a validation loss of 1.5. Raises
    ValueError as `flops_to_reach`, for either shape.
    """
    return flops_to_reach(flops_N, usual_N, target) / flops_to_reach(flops_N, better_N, target)


def _as_runs(flops_N: np.ndarray, loss_N: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    flops_N, loss_N = np.asarray(flops_N, float), np.asarray(loss_N, float)
    if flops_N.ndim != 1 or flops_N.shape != loss_N.shape:
        raise ValueError(f"flops_N has shape {list(flops_N.shape)} and loss_N {list(loss_N.shape)}; expected [N] for both")
    require(len(set(flops_N.tolist())) >= least, "different FLOPs", len(set(flops_N.tolist())), f"at least {least}")
    require(bool((flops_N > 0).all()), "flops_N", flops_N.tolist(), "numbers > 0")
    require(bool((loss_N > 0).all() and np.isfinite(loss_N).all()), "loss_N", loss_N.tolist(), "finite numbers > 0")
    return flops_N, loss_N
