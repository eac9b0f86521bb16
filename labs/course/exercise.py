"""What an exercise is: a function to write, its twists, the cases that try it, and the mistakes that the cases must catch.

A solution is source text, so that a mistake can be a patch of a line or two, and a student's stub its first lines.
"""

from __future__ import annotations

import ast
import hashlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kimi_mini.checks import require
from kimi_mini.labs import Case
from kimi_mini.labs.source import remember


@dataclass(frozen=True)
class Mistake:
    """A wrong version: in the solution, `old` (found exactly once) becomes `new`. `hint` is what the student is told."""

    name: str
    old: str
    new: str
    hint: str


@dataclass(frozen=True)
class Variant:
    """One specification of an exercise: the report's own, or a twist of it.

    `solution` is the source of the whole answer: imports, then functions; the first function is the one that is asked for, its
    docstring the specification. `change` says in a sentence what differs from the practice version (empty there).
    `cases(seed)` makes the calls that try it, from a seed alone.
    """

    name: str
    solution: str
    cases: Callable[[int], tuple[Case, ...]]
    mistakes: tuple[Mistake, ...]
    change: str = ""

    @property
    def function(self) -> str:
        """Name of the function that is asked for."""
        return _definition(self.solution).name

    @property
    def stub(self) -> str:
        """What a student starts from: imports, signature, specification, and a refusal."""
        tree = ast.parse(self.solution)
        imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        asked = _definition(self.solution)
        lines = self.solution.splitlines()
        head = lines[asked.lineno - 1 : asked.body[0].end_lineno]
        body = ["    # YOUR CODE HERE", "    raise NotImplementedError"]
        return "\n".join([*map(ast.unparse, imports), *([""] * 2 if imports else []), *head, *body])

    def mutant(self, mistake: Mistake) -> str:
        """Source of the solution with that mistake in it. Raises ValueError where the patch does not fit exactly once."""
        count = self.solution.count(mistake.old)
        require(count == 1, f"places of {mistake.name!r} in {self.name!r}", count, "exactly 1")
        return self.solution.replace(mistake.old, mistake.new)


@dataclass(frozen=True)
class Coding:
    """An exercise that is marked by machine. `package` is source that answers the practice version by calling kimi_mini."""

    name: str
    title: str
    minutes: int
    difficulty: int  # 1 to 3
    points: int
    practice: Variant
    package: str
    twists: tuple[Variant, ...]

    def __post_init__(self) -> None:
        require(len(self.twists) >= 3, f"twists of {self.name}", len(self.twists), "at least 3")
        require(self.practice.function == self.name, "name", self.practice.function, f"{self.name!r}, the exercise's")
        for twist in self.twists:
            require(twist.function == f"my_{self.name}", f"function of {twist.name!r}", twist.function, f"'my_{self.name}'")
            require(bool(twist.change), f"change of {twist.name!r}", twist.change, "a sentence")


@dataclass(frozen=True)
class Guess:
    """A prediction that must have been locked, with a confidence, before the answer; marked from the answers file."""

    name: str
    title: str
    minutes: int
    points: int
    low: float
    high: float


@dataclass(frozen=True)
class Written:
    """Sentences in a cell of the notebook, marked by a person with `rubric`."""

    name: str
    title: str
    minutes: int
    points: int
    rubric: str


@dataclass(frozen=True)
class LabSpec:
    """A lab: its folder's name, and its exercises in the order of the notebook."""

    name: str
    title: str
    chapter: str  # page of the book, such as "glance"
    exercises: tuple[Coding | Guess | Written, ...]

    @property
    def coding(self) -> tuple[Coding, ...]:
        return tuple(each for each in self.exercises if isinstance(each, Coding))

    def __getitem__(self, name: str) -> Coding | Guess | Written:
        for each in self.exercises:
            if each.name == name:
                return each
        raise KeyError(f"{self.name} has no exercise {name!r}; it has {', '.join(e.name for e in self.exercises)}")


def define(source: str) -> dict[str, Any]:
    """Run trusted source (a solution, a mutant, a stub) and return its names."""
    source, names = textwrap.dedent(source), {"__name__": "exercise"}
    name = remember(source, f"<exercise {hashlib.sha256(source.encode()).hexdigest()[:12]}>")
    exec(compile(source, name, "exec"), names)
    return names


def _definition(source: str) -> ast.FunctionDef:
    return next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
