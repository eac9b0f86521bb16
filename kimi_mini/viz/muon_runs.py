"""The recorded points of `runs.muon` as arrays, and what is asked of them: groups, equal loss, the size of updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from .series import read_rows, unpack

GROUPS = ("attention queries", "attention keys, values", "attention out", "dense MLP", "experts", "shared expert", "router")


@dataclass(frozen=True)
class Run:
    """One recorded point.

    loss [steps]; held_out and `at` (updates) [n]; weight_rms [n + 1] starts before the first update; update_rms
    [looks, matrices]; entropy and entropy_start [matrices]; spectra [looks, directions] by matrix, of MINI's shape only.
    """

    matrices: str
    lr: float
    decay: float
    seed: int
    steps: int
    model: str
    at: np.ndarray
    loss: np.ndarray
    held_out: np.ndarray
    weight_rms: np.ndarray
    shapes: Mapping[str, tuple[int, int]]
    looks: tuple[int, ...]
    update_rms: np.ndarray
    entropy_start: np.ndarray
    entropy: np.ndarray
    spectra: Mapping[str, np.ndarray]
    tokens_per_update: int

    @property
    def end(self) -> float:
        """Held-out loss of the finished run, in nats a token."""
        return float(self.held_out[-1])

    @property
    def longer(self) -> np.ndarray:
        """max(A, B) of each matrix: what the factor on an update is the root of."""
        return np.array([max(shape) for shape in self.shapes.values()])

    @property
    def groups(self) -> np.ndarray:
        """The group of each matrix, one of GROUPS."""
        return np.array([group_of(name) for name in self.shapes])

    def rms_without_factor(self) -> np.ndarray:
        """update_rms had one number multiplied all updates instead of sqrt(max(A, B)), such that their mean stays."""
        plain = self.update_rms / np.sqrt(self.longer)
        return plain * (self.update_rms.mean(1) / plain.mean(1))[:, None]


def group_of(name: str) -> str:
    """Which of GROUPS a matrix such as "blocks.1.attn.q_up" belongs to. Raises ValueError for one in a place of its own."""
    _, _, part, *rest = name.split(".")
    if part == "attn" and rest[0] in ("q_down", "q_up"):
        return "attention queries"
    if part == "attn" and rest[0] in ("kv_down", "kv_up"):
        return "attention keys, values"
    kinds = {"out": "attention out", "experts": "experts", "shared": "shared expert", "router": "router"}
    kinds |= dict.fromkeys(("gate", "up", "down"), "dense MLP")
    require(rest[0] in kinds, "name", name, "a matrix of attention, an MLP, an expert or a router")
    return kinds[rest[0]]


def load_runs(folder: str | Path) -> list[Run]:
    """The recorded points of `runs.muon`. Raises ValueError for a folder without any."""
    return [_run(row) for row in read_rows(folder, "muon")]


def _run(row: Mapping[str, Any]) -> Run:
    point, shapes, looks = row["point"], {name: tuple(shape) for name, shape in row["matrices"].items()}, tuple(row["looks"])
    at = [*range(row["every"], row["ran"] + 1, row["every"])]
    at += [row["ran"]] if row["ran"] % row["every"] else []
    return Run(
        point["matrices"], point["lr"], point["decay"], point["seed"], point["steps"], point["model"],
        np.array(at), unpack(row["loss"], (row["ran"],)), np.array(row["held_out_loss"]), np.array(row["weight_rms"]),
        shapes, looks, unpack(row["update_rms"], (len(looks), len(shapes))),
        unpack(row["entropy_start"], (len(shapes),)), unpack(row["entropy"], (len(shapes),)),
        {name: unpack(packed, (len(looks), -1)) for name, packed in row["spectra"].items()}, row["tokens_per_update"],
    )  # fmt: skip


def pick(runs: Iterable[Run], **wanted: Any) -> list[Run]:
    """The runs with these settings, such as `matrices="muon", steps=600`; small model, decay 0.1 if not named."""
    wanted = {"decay": 0.1, "model": "small"} | wanted
    return [run for run in runs if all(getattr(run, name) == value for name, value in wanted.items())]


def updates_to(lengths: Iterable[int], ends: Iterable[float], loss: float) -> float | None:
    """Updates of a whole run that ends at `loss`, between recorded lengths along a straight line over log updates.

    None where the loss lies outside what was recorded: nothing is extrapolated.
    """
    lengths, ends = np.log(list(lengths)), np.array(list(ends))
    if not ends.min() <= loss <= ends.max():
        return None
    order = np.argsort(ends)
    return float(np.exp(np.interp(loss, ends[order], lengths[order])))
