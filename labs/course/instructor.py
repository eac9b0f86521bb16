"""The `lab` of an instructor's notebook."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

from kimi_mini.labs import Lab
from kimi_mini.labs.answers import lock

from .bake import bake, function_of
from .exercise import LabSpec
from .find import load_spec


class InstructorLab(Lab):
    """A `Lab` with the first twist of every exercise, its solution at hand, and its answers in a folder that goes away.

    Every guess is locked already, at the middle of its range, so that cells that wait for it run.
    """

    def __init__(self, spec: LabSpec) -> None:
        self._spec = spec
        self._twists = {exercise.name: exercise.twists[0] for exercise in spec.coding}
        self._folder = tempfile.TemporaryDirectory(prefix=f"{spec.name}-")
        super().__init__(bake(spec, self._twists), self._folder.name)
        for name, (low, high) in self._guesses.items():
            lock(self._path, self.name, name, (low + high) / 2, 50)

    def solve(self, name: str) -> Callable:
        """The function that answers the first twist of an exercise."""
        return function_of(self._twists[name].solution)

    def practice(self, name: str) -> Callable:
        """The function that answers the practice version of an exercise, where the package has none."""
        return function_of(self._spec[name].practice.solution)


def instructor_lab(name: str) -> InstructorLab:
    """The lab of that name, as its own notebook in labs/source uses it. Raises ValueError for a name that no lab has."""
    return InstructorLab(load_spec(name))
