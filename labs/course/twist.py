"""A twist is written as patches of the practice version, so that what differs can be seen at a glance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kimi_mini.checks import require
from kimi_mini.labs import Case
from labs.course.exercise import Mistake, Variant


def changed(source: str, *patches: tuple[str, str]) -> str:
    """`source` with every (old, new) in place. Raises ValueError where `old` is not found exactly once."""
    for old, new in patches:
        require(source.count(old) == 1, f"places of {old!r}", source.count(old), "exactly 1")
        source = source.replace(old, new)
    return source


def twist(
    practice: Variant,
    name: str,
    change: str,
    *patches: tuple[str, str],
    cases: Callable[[int], tuple[Case, ...]] | None = None,
    besides: tuple[str, ...] = (),
    also: tuple[Mistake, ...] = (),
) -> Variant:
    """A twist of `practice`, with its mistakes where their patch fits and is wrong (not those in `besides`), and `also`."""
    rename = (f"def {practice.function}(", f"def my_{practice.function}(")
    solution = changed(practice.solution, rename, *patches)
    kept = [each for each in practice.mistakes if solution.count(each.old) == 1 and each.name not in besides]
    return replace(
        practice, name=name, change=change, solution=solution, mistakes=(*kept, *also), cases=cases or practice.cases
    )
