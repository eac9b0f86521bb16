"""All tasks by name."""

from __future__ import annotations

from ..types import Task


def tasks() -> dict[str, Task]:
    """One task of each kind, as the benchmarks use them; other difficulties are made by their classes."""
    from .arithmetic import Arithmetic
    from .code import Code
    from .instructions import Instructions

    made = (Arithmetic(), Instructions(), Code(), Code(real=True))
    return {task.name: task for task in made}
