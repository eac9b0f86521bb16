"""The museum: wrong versions of MuonClip, each a line or two away from the package's own code.

A piece is a patch of one function of this package, so right and wrong can be read side by side, and a model can be trained
with either: inside `with piece("one-for-all").installed():` every `train_step` of this process runs the wrong version.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..checks import require
from . import pieces

SUSPECTS = {
    "statistic": "how each head's largest logit is measured and carried to the end of the step",
    "factor": "which factor each head gets from its largest logit",
    "place": "which rows of which weights the factor is written into",
    "optimizer": "Muon's own lines: momentum, direction, size, decay",
}


@dataclass(frozen=True)
class Piece:
    """A wrong version: in the source of `function` ("module:qualified name"), each `old` (found once) becomes its `new`.

    `suspect` is one of SUSPECTS, `explanation` what goes wrong and why, `killed_by` the check of the conformance suite that
    catches it, as "kind.check".
    """

    name: str
    title: str
    suspect: str
    function: str
    changes: tuple[tuple[str, str], ...]
    explanation: str
    killed_by: str

    @property
    def right(self) -> str:
        """Source of the package's function."""
        return _source(self.function)

    @property
    def wrong(self) -> str:
        """The same with the mistake in it. Raises ValueError where a patch does not fit exactly once."""
        text = self.right
        for old, new in self.changes:
            require(text.count(old) == 1, f"places of {old!r} in {self.function}", text.count(old), "exactly 1")
            text = text.replace(old, new)
        return text

    @property
    def diff(self) -> tuple[str, ...]:
        """The lines that differ, "- " before the right ones and "+ " before the wrong ones."""
        lines = difflib.ndiff(self.right.splitlines(), self.wrong.splitlines())
        return tuple(line for line in lines if line[0] in "+-")

    def compiled(self) -> Callable[..., Any]:
        """The wrong version as a function of the module that the right one is in."""
        module, _, qualified = self.function.partition(":")
        path = f"<museum: {self.name}>"  # a name of its own, so that tracebacks and inspect show the wrong lines
        linecache.cache[path] = (len(self.wrong), None, self.wrong.splitlines(keepends=True), path)
        code = compile(self.wrong, path, "exec", flags=annotations.compiler_flag, dont_inherit=True)
        found: dict[str, Any] = {}
        exec(code, vars(importlib.import_module(module)), found)
        return found[qualified.rpartition(".")[2]]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Run the package with this piece in place of the right function, in the whole process, until the block ends."""
        owner, name = _home(self.function)
        right, wrong = vars(owner)[name], self.compiled()
        setattr(owner, name, wrong)
        try:
            yield
        finally:
            setattr(owner, name, right)


def piece(name: str) -> Piece:
    """The piece of that name. Raises ValueError for one that the museum does not have."""
    named = {p.name: p for p in PIECES}
    require(name in named, "piece", name, " or ".join(map(repr, named)))
    return named[name]


def _home(function: str) -> tuple[Any, str]:
    """What holds the function (a module or a class), and its name there."""
    module, _, qualified = function.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = qualified.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, name


@cache
def _source(function: str) -> str:
    owner, name = _home(function)
    return textwrap.dedent(inspect.getsource(vars(owner)[name]))


PIECES: tuple[Piece, ...] = tuple(Piece(**fields) for fields in pieces.PIECES)
for _piece in PIECES:
    _source(_piece.function)  # read now, while nothing is installed
