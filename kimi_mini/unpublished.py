"""Released against trained: what one would need to run, check, pre-train or post-train K2, and where each piece is published.

The pieces are data/unpublished.json. What this package does instead is not copied there: a piece names it, `here` looks it up.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checks import require
from .claims import CHAPTERS

WISHES = {
    "run": "run it",
    "check": "check its figures",
    "pretrain": "pre-train it again",
    "posttrain": "post-train it again",
}
STATES = {
    "published": "in the report or in the release",
    "elsewhere": "only for a relative, or by third parties",
    "nowhere": "nowhere",
}


@dataclass(frozen=True)
class Piece:
    """One piece. `here` is `module:name.attribute` inside kimi_mini, or None where the package has no such choice (yet)."""

    name: str
    wish: str
    state: str
    said: str
    source: str
    here: str | None
    chapter: int

    def __post_init__(self) -> None:
        for field in ("name", "said", "source"):
            require(bool(getattr(self, field).strip()), field, getattr(self, field), "a text")
        require(self.wish in WISHES, f"wish of {self.name!r}", self.wish, f"one of {', '.join(WISHES)}")
        require(self.state in STATES, f"state of {self.name!r}", self.state, f"one of {', '.join(STATES)}")
        require(self.chapter in range(len(CHAPTERS)), f"chapter of {self.name!r}", self.chapter, "a number of CHAPTERS")

    def chosen_here(self) -> str | None:
        """What this book does, as `name = value` where it is a number: read from the package, so that it cannot go stale."""
        if self.here is None:
            return None
        name, value = self.here.partition(":")[2], _look_up(self.here)
        return f"{name} = {value}" if isinstance(value, int | float | tuple | dict) else name


def _look_up(here: str) -> Any:
    module, _, path = here.partition(":")
    value = importlib.import_module(f".{module}", __package__)
    for attribute in path.split("."):
        value = getattr(value, attribute)
    return value


def _read(path: Path) -> tuple[Piece, ...]:
    return tuple(Piece(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))


PIECES = _read(Path(__file__).parent / "data" / "unpublished.json")


def count_states(wish: str, pieces: Iterable[Piece] = PIECES) -> dict[str, int]:
    """How many pieces of a wish are in each state, in the order of STATES. Raises ValueError for an unknown wish."""
    require(wish in WISHES, "wish", wish, f"one of {', '.join(WISHES)}")
    states = [piece.state for piece in pieces if piece.wish == wish]
    return {state: states.count(state) for state in STATES}
