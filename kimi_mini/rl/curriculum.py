"""Which problems come next: the half-solved ones, because groups that are all right or all wrong teach nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ..checks import require
from .types import Problem, Task

_TRAINING_SEEDS = 1_000_000  # held-out problems count from 0
_ROUNDS = 200  # seeds tried for each problem wanted, before a task is said to have too few
_FLOOR = 0.02  # a problem that is solved, or hopeless, is still tried now and then


def held_out_problems(task: Task, count: int) -> list[Problem]:
    """The first `count` different problems of the task. Raises ValueError where it has fewer."""
    return _different(task, count, 0, set())


def training_problems(task: Task, held_out: Sequence[Problem], size: int, seed: int) -> list[Problem]:
    """`size` different problems, none of them held out; each seed has its own. Raises ValueError where the task has fewer."""
    return _different(task, size, _TRAINING_SEEDS * (1 + seed), {problem.id for problem in held_out})


class Curriculum:
    """A pool of `size` problems, none of them held out, and of each the share of right answers when it was last drawn.

    With `prefer_half`, a problem is drawn with weight p (1 - p) plus a little; p is a half where it is not known. The same
    seed and history give the same draws.
    """

    def __init__(self, task: Task, held_out: Sequence[Problem], size: int, seed: int, prefer_half: bool = True) -> None:
        self.pool = training_problems(task, held_out, size, seed)
        self.seed, self.prefer_half = seed, prefer_half
        self.solved = torch.full((size,), 0.5, dtype=torch.float64)
        self.draws = 0

    def draw(self, count: int) -> list[int]:
        """Places in the pool of the next `count` problems, all different."""
        require(count <= len(self.pool), "problems", count, f"at most the pool's {len(self.pool)}")
        weights = self.solved * (1 - self.solved) + _FLOOR if self.prefer_half else torch.ones_like(self.solved)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.draws)
        self.draws += 1
        return torch.multinomial(weights, count, generator=generator).tolist()

    def note(self, places: Sequence[int], solved: Sequence[float]) -> None:
        """Remember the share of right answers of the problems at `places`."""
        self.solved[list(places)] = torch.tensor(solved, dtype=torch.float64).clamp(0, 1)

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"draws": self.draws, "solved": self.solved.tolist()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave. Raises ValueError for a pool of another size."""
        require(len(state["solved"]) == len(self.pool), "pool", len(self.pool), f"{len(state['solved'])}, as saved")
        self.draws, self.solved = state["draws"], torch.tensor(state["solved"], dtype=torch.float64)


def _different(task: Task, count: int, first_seed: int, taken: set[str]) -> list[Problem]:
    found: list[Problem] = []
    for problem in _problems(task, first_seed, _ROUNDS * count):
        if len(found) == count:
            break
        if problem.id not in taken:
            taken.add(problem.id)
            found.append(problem)
    require(len(found) == count, f"different problems of {task.name}", len(found), f"{count}: make the pool smaller")
    return found


def _problems(task: Task, first_seed: int, count: int) -> Iterator[Problem]:
    return (task.problem(seed) for seed in range(first_seed, first_seed + count))
