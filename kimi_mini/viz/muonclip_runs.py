"""The recorded points of `runs.muonclip` as arrays, and how to pick among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from .series import read_rows, unpack

LIMIT = 100.0  # K2's tau: the level that the figures ask about
TAIL = 50  # updates at the end whose mean loss is compared


@dataclass(frozen=True)
class Run:
    """One recorded point as arrays over its recorded updates: loss [n], max_logits and log_gamma [n, layers, heads]."""

    optimizer: str
    lr: float
    tau: float
    seed: int
    decay: float
    every: int
    loss: np.ndarray
    max_logits: np.ndarray
    log_gamma: np.ndarray

    @property
    def end_loss(self) -> float:
        """Mean loss of the last TAIL updates, of which every second is recorded."""
        return float(self.loss[-TAIL // self.every :].mean())

    @property
    def passed(self) -> int:
        """Heads whose largest logit was above LIMIT at some recorded update."""
        return int((self.max_logits.max(0) > LIMIT).sum())


def load_runs(folder: str | Path) -> list[Run]:
    """The recorded points of `runs.muonclip`. Raises ValueError for a folder without any, or with unequal lengths."""
    runs = [_run(row) for row in read_rows(folder, "muonclip")]
    lengths = {len(run.loss) for run in runs}
    require(len(lengths) == 1, "recorded updates", sorted(lengths), "the same in every run")
    return runs


def max_logits(row: Mapping[str, Any]) -> np.ndarray:
    """[recorded updates, layers, heads] of a recorded point, to about half a percent."""
    return np.sinh(unpack(row["max_logits_asinh"], row["shape"]))


def _run(row: Mapping[str, Any]) -> Run:
    point, shape = row["point"], row["shape"]
    return Run(
        point["optimizer"], point["lr"], float(point["tau"]), point["seed"], row["weight_decay"], row["every"],
        unpack(row["loss"], shape[:1]), max_logits(row), unpack(row["log_gamma"], shape),
    )  # fmt: skip


def pick(runs: Iterable[Run], **wanted: Any) -> list[Run]:
    """The runs with these settings, such as `optimizer="muon", lr=0.1, tau=math.inf`; decay is 0 unless it is named."""
    wanted = {"decay": 0.0} | wanted
    return [run for run in runs if all(getattr(run, name) == value for name, value in wanted.items())]
