"""The recorded trunks of `runs.bets`, grouped by shape: losses of all seeds at all budgets, beside what the shape costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..accounting import count_parameters
from ..checks import require
from ..config import ModelConfig
from ..laws import flops_to_reach
from .series import read_rows

USUAL = (16, 8)  # experts and heads of the shape that both rows of runs share
BYTES = 2  # of a weight, bf16


@dataclass(frozen=True)
class Shape:
    """One model shape, trained from `seeds` and landed at B budgets: held-out loss_SB against tokens_B and flops_B."""

    experts: int
    heads: int
    config: ModelConfig
    seeds: tuple[int, ...]
    loss_SB: np.ndarray
    tokens_B: np.ndarray
    flops_B: np.ndarray
    busiest: float  # load of the busiest expert of any layer, seed and budget, as a multiple of the mean

    @property
    def bytes(self) -> int:
        """Bytes of all weights, at work or not."""
        return BYTES * count_parameters(self.config).total

    def to_reach(self, target: float) -> np.ndarray:
        """Training FLOPs to a held-out loss of `target`, for each seed; ValueError where a seed did not enclose it."""
        return np.array([flops_to_reach(self.flops_B, loss_B, target) for loss_B in self.loss_SB])


Shapes = dict[tuple[int, int], Shape]


def load_shapes(folder: str | Path) -> Shapes:
    """The recorded shapes by (experts, heads), with the seeds that all of them have.

    Raises ValueError for a folder without recorded points, or without a seed that every shape has.
    """
    rows = read_rows(folder, "bets")
    by_shape: dict[tuple[int, int], dict[int, dict]] = {}
    for row in rows:
        by_shape.setdefault((row["experts"], row["heads"]), {})[row["seed"]] = row
    seeds = set.intersection(*map(set, by_shape.values()))
    require(bool(seeds), "seeds that every shape has", sorted(seeds), "at least one; `python -m runs.bets --list`")
    return {key: _shape([by_shape[key][seed] for seed in sorted(seeds)]) for key in sorted(by_shape)}


def _shape(rows: list[dict]) -> Shape:
    first = rows[0]
    return Shape(
        first["experts"], first["heads"], ModelConfig.from_hf(first["model"]), tuple(row["seed"] for row in rows),
        np.array([[landed["held_out"] for landed in row["landed"]] for row in rows]),
        np.array([landed["tokens"] for landed in first["landed"]], float),
        np.array([landed["flops"] for landed in first["landed"]], float),
        max(load for row in rows for landed in row["landed"] for load in landed["busiest"]),
    )  # fmt: skip


def saved(usual: Shape, better: Shape, target: float) -> tuple[float, float, float]:
    """How many times fewer training FLOPs `better` needs to a loss of `target`: (of the mean losses, lowest, highest seed).

    Each shape is read at its own FLOPs: a router with more rows costs a little more per token.
    """
    need = [flops_to_reach(shape.flops_B, shape.loss_SB.mean(0), target) for shape in (usual, better)]
    pairs = usual.to_reach(target) / better.to_reach(target)
    return need[0] / need[1], float(pairs.min()), float(pairs.max())


def common_range(shapes: Shapes) -> tuple[float, float]:
    """(low, high): between them lies every loss that each seed of each shape passed between its first and last budget."""
    ends = [shape.loss_SB[:, -1].max() for shape in shapes.values()]
    starts = [shape.loss_SB[:, 0].min() for shape in shapes.values()]
    return float(max(ends)), float(min(starts))
