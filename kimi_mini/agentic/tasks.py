"""Tasks easy to hard in four worlds, drawn by seed."""

from __future__ import annotations

from collections.abc import Callable

from ..checks import is_int, require
from ..corpus.draw import Draw
from . import airline_tasks, desk_tasks, shop_tasks
from .task import AgentTask

KINDS: dict[str, tuple[Callable[[int, Draw], AgentTask], ...]] = {
    "shop": shop_tasks.KINDS,
    "airline": airline_tasks.KINDS,
    "files": desk_tasks.FILES,
    "calendar": desk_tasks.CALENDAR,
}


def draw_task(world: str, seed: int) -> AgentTask:
    """A task in `world`; the same seed gives the same. A kind that this seed's world cannot hold gives way to an easier one."""
    require(world in KINDS, "world", world, ", ".join(KINDS))
    require(is_int(seed, 0), "seed", seed, "an integer >= 0")
    draw = Draw("task", world, seed)
    return draw.one(KINDS[world])(seed, draw)
