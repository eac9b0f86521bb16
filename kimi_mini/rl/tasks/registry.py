"""All tasks by name."""

from __future__ import annotations

from ..types import Task


def tasks() -> dict[str, Task]:
    """One task of each kind, as the benchmarks use them; other difficulties are made by their classes."""
    from .arithmetic import Arithmetic
    from .code import Code
    from .countdown import Countdown
    from .dialogues import ToolTask
    from .instructions import Instructions
    from .requests import ASKS
    from .rising import Rising

    made = (Countdown(), Rising(), Arithmetic(), Instructions(), Code(), Code(real=True), *map(ToolTask, ASKS))
    return {task.name: task for task in made}
