"""The recorded points of `runs.balance` as arrays: runs by their rule, and MINI's load on held-out text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from .series import read_rows, unpack

TAIL = 80  # updates at the end that are averaged
IDLE = 0.1  # of its fair share


@dataclass(frozen=True)
class Run:
    """One trained point. `rule` names the setting; arrays over updates u and recorded ones r:

    loss_u, violation_ul, echo_ul, load_rle (every `every`-th update), bias_rle and bias_mean_rl (every `bias_every`-th).
    """

    rate: float
    alpha: float
    centred: bool
    seed: int
    every: int
    bias_every: int
    chosen: int
    tokens: int
    layers: tuple[int, ...]
    loss: np.ndarray
    violation: np.ndarray
    echo: np.ndarray
    load: np.ndarray
    bias: np.ndarray
    bias_mean: np.ndarray
    held_out: float

    @property
    def rule(self) -> str:
        """ "rate0.01", "rate0.01-centred" or "alpha0.1"."""
        return f"alpha{self.alpha:g}" if self.alpha else f"rate{self.rate:g}{'-centred' if self.centred else ''}"

    @property
    def key(self) -> str:
        return f"{self.rule}/{self.seed}"

    @property
    def end_violation(self) -> float:
        """Mean over layers and the last TAIL updates."""
        return float(self.violation[-TAIL:].mean())

    @property
    def end_echo(self) -> float:
        """Correlation of an update's loads with the next one's: mean over layers and the last TAIL updates."""
        return float(self.echo[-TAIL:].mean())

    @cached_property
    def end_share(self) -> np.ndarray:
        """share_LE: each expert's load over its layer's mean, all of the last TAIL updates that were recorded together."""
        load = self.load[-TAIL // self.every :].sum(0)
        return load / load.mean(1, keepdims=True)

    @property
    def idle(self) -> list[int]:
        """Experts of each layer with less than IDLE of their fair share over the last TAIL updates."""
        return [int(count) for count in (self.end_share < IDLE).sum(1)]


def load_runs(folder: str | Path) -> list[Run]:
    """The recorded trainings, by rule and seed. Raises ValueError for a folder without any."""
    rows = read_rows(folder, "balance", "*-seed*.json")
    return sorted(map(_run, rows), key=lambda run: (run.alpha, run.rate, run.centred, run.seed))


def load_mini(folder: str | Path) -> tuple[np.ndarray, dict[str, Any]]:
    """(load_WLE of MINI in each held-out window, the row that says which). Raises ValueError where it is missing."""
    path = Path(folder) / "mini.json"
    require(path.exists(), "folder", str(folder), "one with mini.json; `python -m runs.balance` makes it")
    row = json.loads(path.read_text(encoding="utf-8"))
    shape = (len(row["domains"]) * row["windows"], len(row["layers"]), row["experts"])
    return unpack(row["load"], shape), row


def _run(row: dict[str, Any]) -> Run:
    point, steps, layers, experts = row["point"], row["steps"], len(row["layers"]), row["experts"]
    return Run(
        **point, every=row["every"], bias_every=row["bias_every"], chosen=row["chosen"], tokens=row["tokens_per_update"],
        layers=tuple(row["layers"]), loss=unpack(row["loss"], (steps,)),
        violation=unpack(row["violation"], (steps, layers)), echo=unpack(row["echo"], (steps, layers)),
        load=unpack(row["load"], (steps // row["every"], layers, experts)),
        bias=unpack(row["bias"], (steps // row["bias_every"], layers, experts)),
        bias_mean=np.array(row["bias_mean"]), held_out=row["held_out_loss"],
    )  # fmt: skip


def pick(runs: list[Run], rule: str) -> list[Run]:
    """The seeds of one rule."""
    return [run for run in runs if run.rule == rule]
