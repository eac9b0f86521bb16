"""What a row of the benchmark is.

A goal is the smallest acceptable "ratio to ours": how many times the contender needs our time, the median over the rounds.
The goals were set before the rows existed; a row that misses one says so in bench/results/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from kimi_mini.kernels.work import Work

from .harness import Case

Goal = float | dict[int, float]  # the same for every number of threads, or one for each
Shape = dict[str, int]


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the benchmark. `toy` replaces `shape` in the tests.

    `cost` says what a shape needs at least, in FLOPs and bytes. `tolerance` is the largest error ours may have, one for all
    quantities or one for each (None: 1.5 times that of the most accurate peer). `floor` is the share of the floor aimed at,
    `limit_ms` a time that ours should stay below. Rows for a GPU are built on a device: `build(device, **shape)`.
    """

    id: str
    what: str
    build: Callable[..., Case]
    shape: Shape
    toy: Shape
    cost: Callable[..., Work] | None = None
    goals: dict[str, Goal] = field(default_factory=dict)
    tolerance: float | dict[str, float] | None = 1e-6
    floor: float | None = None
    limit_ms: float | None = None
    device: Literal["cpu", "cuda"] = "cpu"

    def goal(self, contender: str, threads: int) -> float | None:
        goal = self.goals.get(contender)
        return goal.get(threads) if isinstance(goal, dict) else goal

    def work(self, shape: Shape | None = None) -> Work | None:
        """FLOPs and bytes at this shape (default: the row's own); None for a row whose peers do different work."""
        return self.cost(**(self.shape if shape is None else shape)) if self.cost else None
