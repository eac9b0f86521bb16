"""The recorded points of `runs.recorder` as arrays: trunks with their landings, cosine runs, and the run with a bad batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import is_int, require
from .series import unpack

KINDS = ("trunk", "cosine", "bad")


@dataclass(frozen=True)
class Flight:
    """What every update of one run reported: loss, lr, grad and violation [updates], max_logits [updates, layers, heads]."""

    loss: np.ndarray
    lr: np.ndarray
    grad: np.ndarray
    max_logits: np.ndarray
    violation: np.ndarray


@dataclass(frozen=True)
class Landing:
    """What followed from update `branch` of a trunk while the rate fell; held-out loss before and after."""

    branch: int
    flight: Flight
    before: float
    after: float

    @property
    def end(self) -> int:
        """Updates in all, those of the trunk included."""
        return self.branch + len(self.flight.loss)


@dataclass(frozen=True)
class Trunk:
    """A run at a constant rate, its landings by branch point, and (update, text) of what it wrote on the way."""

    flight: Flight
    landings: dict[int, Landing]
    samples: list[tuple[int, str]]

    @property
    def last(self) -> Landing:
        """The landing from the trunk's end."""
        return self.landings[max(self.landings)]


@dataclass(frozen=True)
class Recording:
    """Trunks and cosine runs (with their held-out loss) by seed, the run with a bad batch, and the rows as they are stored."""

    trunks: dict[int, Trunk]
    cosines: dict[int, tuple[Flight, float]]
    bad: Flight
    rows: dict[str, dict[str, Any]]

    @property
    def batch_tokens(self) -> int:
        return self.rows["bad-seed0"]["tokens_per_update"]


def load_recording(folder: str | Path) -> Recording:
    """All rows of `runs.recorder`. Raises ValueError unless each seed has a trunk and a cosine run, and one run is bad."""
    rows = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))}
    by_kind = {kind: {row["point"]["seed"]: row for row in rows.values() if row["point"]["kind"] == kind} for kind in KINDS}
    complete = by_kind["trunk"].keys() == by_kind["cosine"].keys() and len(by_kind["trunk"]) > 0 and "bad-seed0" in rows
    require(complete, "rows", sorted(rows), "a trunk and a cosine run for each seed, and bad-seed0 (`python -m runs.recorder`)")
    return Recording(
        {seed: _trunk(row) for seed, row in by_kind["trunk"].items()},
        {seed: (_flight(row, row["run"]), row["held_out"]) for seed, row in by_kind["cosine"].items()},
        _flight(rows["bad-seed0"], rows["bad-seed0"]["run"]),
        rows,
    )


def _trunk(row: Mapping[str, Any]) -> Trunk:
    landings = [Landing(one["branch"], _flight(row, one["run"]), one["before"], one["after"]) for one in row["landings"]]
    samples = [(one["update"], one["text"]) for one in row["samples"]]
    return Trunk(_flight(row, row["run"]), {landing.branch: landing for landing in landings}, samples)


def _flight(row: Mapping[str, Any], run: Mapping[str, Any]) -> Flight:
    count, shape = [run["updates"]], [run["updates"], *row["shape"]]
    return Flight(
        unpack(run["loss"], count), unpack(run["lr"], count), np.sinh(unpack(run["grad_asinh"], count)),
        np.sinh(unpack(run["max_logits_asinh"], shape)), unpack(run["violation"], count),
    )  # fmt: skip


def smooth(loss_N: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last `width` losses at every update, of fewer at the start: what a dashboard's smoothing draws."""
    require(is_int(width, 1), "width", width, "an integer of at least 1")
    total_N = np.concatenate([[0.0], np.cumsum(np.asarray(loss_N, dtype=float))])
    end_N = np.arange(1, len(total_N))
    start_N = np.maximum(0, end_N - width)
    return (total_N[end_N] - total_N[start_N]) / (end_N - start_N)
