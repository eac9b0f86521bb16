"""The recorded points of `runs.museum` as arrays, the band of healthy losses, and what the ledger tells of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from .series import read_rows, unpack

WINDOW = 50  # updates that a loss is averaged over before it is compared
SIGMAS = 2.0  # half width of the band of healthy losses, in standard deviations between seeds
TENTH = 0.1  # a run that is outside of the band for more than this share of the updates has left it
PARTS = ("content query", "content key", "rotary query", "shared key", "values", "down")


@dataclass(frozen=True)
class Run:
    """One recorded point.

    `loss` has every update; all else a row per window of `every` updates. `maxima` and `logged` [n, L, H] are each head's
    largest logit on the window's last batch, as it was and as the run itself logged it; `told` [n, L, H] the log-factors that
    it reported; `factors` [n, part, L] what was done to the weights, mean over heads; `due`, `below`, `needless`, `drift`,
    `missed` and `values` [n, L] as in `runs.ledger`.
    """

    version: str
    seed: int
    lr: float
    tau: float
    every: int
    falling: int
    broke_at: int | None
    diff: tuple[str, ...]
    loss: np.ndarray
    maxima: np.ndarray
    logged: np.ndarray
    told: np.ndarray
    factors: np.ndarray
    due: np.ndarray
    below: np.ndarray
    needless: np.ndarray
    drift: np.ndarray
    missed: np.ndarray
    values: np.ndarray

    @property
    def running(self) -> np.ndarray:
        """Mean loss over WINDOW updates, from the first update that has so many behind it."""
        return np.convolve(self.loss, np.full(WINDOW, 1 / WINDOW), mode="valid")

    @property
    def end_loss(self) -> float:
        """Mean loss of the last WINDOW updates."""
        return float(self.loss[-WINDOW:].mean())

    @property
    def clipped(self) -> np.ndarray:
        """Share of heads, per window, that the clip says to have shrunk at least once."""
        return (self.told < 0).mean((1, 2))


def load_runs(folder: str | Path) -> list[Run]:
    """The recorded points of `runs.museum`. Raises ValueError for a folder without any."""
    return [_run(row) for row in read_rows(folder, "museum")]


def _run(row: dict[str, Any]) -> Run:
    n, layers, heads = row["shape"]
    by_layer = {name: unpack(row[name], (n, layers)) for name in ("due", "below", "needless", "drift", "missed", "values")}
    done = row["steps"] if row["broke_at"] is None else row["broke_at"] - 1
    return Run(
        row["point"]["version"], row["point"]["seed"], row["lr"], row["tau"], row["every"], row["falling"], row["broke_at"],
        tuple(row["diff"]), unpack(row["loss"], (done,)),
        np.sinh(unpack(row["maxima_asinh"], (n, layers, heads))), np.sinh(unpack(row["logged_asinh"], (n, layers, heads))),
        unpack(row["told"], (n, layers, heads)), unpack(row["factors"], (n, len(row["parts"]), layers)), **by_layer,
    )  # fmt: skip


def pick(runs: Iterable[Run], version: str, seed: int = 0) -> Run:
    """The run of that version and seed. Raises ValueError where there is none."""
    found = [run for run in runs if (run.version, run.seed) == (version, seed)]
    require(len(found) == 1, "version", f"{version}, seed {seed}", "one recorded run")
    return found[0]


def healthy(runs: Iterable[Run]) -> list[Run]:
    """The right version at every recorded seed."""
    return sorted((run for run in runs if run.version == "right"), key=lambda run: run.seed)


def band(runs: Iterable[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Edges of where healthy losses lie: mean over seeds of the running mean, minus and plus SIGMAS deviations."""
    losses = np.stack([run.running for run in runs])
    middle, spread = losses.mean(0), SIGMAS * losses.std(0, ddof=1)
    return middle - spread, middle + spread


def outside(run: Run, edges: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Whether the running mean is outside of the band, for each update from WINDOW on; a run that broke stays outside."""
    low, high = edges
    inside = np.zeros(len(low), dtype=bool)
    inside[: len(run.running)] = (run.running >= low[: len(run.running)]) & (run.running <= high[: len(run.running)])
    return ~inside


def leaves(run: Run, edges: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether the run is outside of the band for more than a tenth of the updates."""
    return bool(outside(run, edges).mean() > TENTH)


def lied(run: Run) -> float:
    """Share of recorded maxima, over windows and heads, that the run's own log has wrong by more than a hundredth."""
    return float((np.abs(run.logged - run.maxima) > 0.01 * np.abs(run.maxima)).mean())


def identical(run: Run, other: Run) -> bool:
    """Whether two runs are the same number for number: losses, maxima and factors."""
    names = ("loss", "maxima", "told", "factors")
    return all(np.array_equal(getattr(run, name), getattr(other, name)) for name in names)
