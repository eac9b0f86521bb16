"""The register of claims: what the sources say, what would show it in miniature, and how far the tests do."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .checks import is_int, require

OUTCOMES = ("reproduced", "partly", "not at this scale", "not yet")
CHAPTERS = (
    "Touch it first",
    "K2 at a glance",
    "Where is a word?",
    "Multi-head latent attention",
    "Routing",
    "Keeping 384 experts busy",
    "Two bets: more experts, fewer heads",
    "Muon",
    "MuonClip",
    "The bug museum",
    "Saying it ten ways",
    "15.5 trillion tokens without a spike",
    "From formula to kernel",
    "Fitting in memory",
    "Many machines",
    "Tools and trajectories",
    "Verifiable rewards",
    "The critic in the mirror",
    "Rollouts and weight updates",
    "Reading K2's scoreboard",
    "Serving a trillion parameters",
    "What stood, what fell, what nobody knows",
)


class Chapter(NamedTuple):
    """A chapter of the book's plan; that it is named here does not mean that it is written."""

    number: int
    title: str


@dataclass(frozen=True)
class Claim:
    """One claim and its state. `evidence` names paths in this repository, tests as `tests/file.py::test_name`.

    Every outcome but "not yet" needs evidence; "partly" and "not at this scale" also need a note on what is missing.
    """

    number: int
    title: str
    claim: str
    source: str
    experiment: str
    evidence: tuple[str, ...]
    outcome: str
    chapter: Chapter
    lab: int | None
    note: str

    def __post_init__(self) -> None:
        require(is_int(self.number, 1), "number", self.number, "an integer of at least 1")
        for field in ("title", "claim", "source", "experiment"):
            require(bool(getattr(self, field).strip()), f"{field} of claim {self.number}", getattr(self, field), "a text")
        require(self.outcome in OUTCOMES, f"outcome of claim {self.number}", self.outcome, f"one of {OUTCOMES}")
        known = is_int(self.chapter.number, 0) and self.chapter in list(map(Chapter._make, enumerate(CHAPTERS)))
        require(known, f"chapter of claim {self.number}", self.chapter, "a chapter of CHAPTERS with its own number")
        require(self.lab is None or is_int(self.lab, 0), f"lab of claim {self.number}", self.lab, "None or a lab's number")
        require(isinstance(self.evidence, tuple), f"evidence of claim {self.number}", self.evidence, "a tuple of paths")
        if self.outcome != "not yet":
            require(
                bool(self.evidence), f"evidence of claim {self.number}", self.evidence, f"a path, as it is {self.outcome!r}"
            )
        if self.outcome in ("partly", "not at this scale"):
            require(bool(self.note.strip()), f"note of claim {self.number}", self.note, "what is missing")


def _read(path: Path) -> tuple[Claim, ...]:
    entries = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Claim(
            **entry | {"evidence": tuple(entry["evidence"]), "chapter": Chapter(entry["chapter"], CHAPTERS[entry["chapter"]])}
        )
        for entry in entries
    )


CLAIMS = _read(Path(__file__).parent / "data" / "claims.json")


def claim(number: int) -> Claim:
    """The claim of that number. Raises ValueError if there is none."""
    for each in CLAIMS:
        if each.number == number:
            return each
    raise ValueError(f"number = {number!r} will not do; expected one of 1 to {len(CLAIMS)}")


def count_outcomes(claims: Iterable[Claim] = CLAIMS) -> dict[str, int]:
    """How many claims have each outcome, in the order of OUTCOMES, zeros included."""
    outcomes = [each.outcome for each in claims]
    return {outcome: outcomes.count(outcome) for outcome in OUTCOMES}


def missing_evidence(claims: Iterable[Claim], root: Path) -> tuple[str, ...]:
    """What the claims name as evidence and the repository at `root` does not hold, one line each."""
    return tuple(f"claim {each.number}: {named}" for each in claims for named in each.evidence if not _exists(named, root))


def _exists(named: str, root: Path) -> bool:
    """Whether a path inside `root` is there and, after `::`, a test function of that name in it."""
    path, separator, test = named.partition("::")
    file = (root / path).resolve()
    if not path or not file.is_relative_to(root.resolve()) or not file.exists():
        return False
    if not separator:
        return file.suffix != ".py" or "tests" not in Path(path).parts  # of a test file, the test must be named
    if file.suffix != ".py":
        return False
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return test.startswith("test_") and any(isinstance(node, ast.FunctionDef) and node.name == test for node in body)
