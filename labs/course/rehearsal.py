"""A class that does not exist, marked on this machine: how long will the real one take, and does the sandbox hold here?"""

from __future__ import annotations

import copy
import json
import resource
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from kimi_mini.labs import answers_file

from .exercise import Guess, LabSpec, Variant
from .grade import Grader
from .key import Key
from .marks import mark_all, write_text
from .student import Address, personal_notebook, public_notebook, role_of

KINDS = ("right", "right", "right", "right", "half", "half", "wrong", "wrong", "copy", "untouched", "broken", "hangs")
HANGS = "def my_{name}(*args):\n    while True:\n        pass"


@dataclass(frozen=True)
class Rehearsal:
    """Seconds of each hand-in by kind, seconds in all, those of the processors, and points by kind (the same for all of it)."""

    seconds: dict[str, list[float]]
    total: float
    processors: float
    points: dict[str, set[float]]

    @property
    def count(self) -> int:
        return sum(map(len, self.seconds.values()))

    def __str__(self) -> str:
        lines = [f"{'kind':<12}{'hand-ins':>9}{'s each':>9}{'points':>9}"]
        for kind, each in self.seconds.items():
            points = "/".join(f"{value:g}" for value in sorted(self.points[kind]))
            lines.append(f"{kind:<12}{len(each):>9}{sum(each) / len(each):>9.1f}{points:>9}")
        per = self.total / self.count
        lines.append(
            f"{self.count} hand-ins in {self.total:.0f} s ({self.processors:.0f} s of processor time), {per:.1f} s each;"
        )
        lines.append(f"120 such hand-ins: {120 * per / 60:.0f} minutes")
        return "\n".join(lines)


def rehearse(spec: LabSpec, source: NotebookNode, count: int) -> Rehearsal:
    """Make `count` hand-ins, of all KINDS in turn, under a key of their own in a folder that does not stay, and mark them."""
    key, nowhere = Key("rehearsal", secrets.token_bytes(32)), Address("", "main")
    kinds = {f"{number:03d}-{KINDS[number % len(KINDS)]}": KINDS[number % len(KINDS)] for number in range(count)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for student, kind in kinds.items():
            twists = key.twists(student, spec)
            notebook = personal_notebook(spec, source, nowhere, student, twists)
            _hand_in(folder / "handins" / student, spec, _answered(notebook, _answers(spec, twists, kind)), kind)
        timed = _Timed(Grader(spec, key, public_notebook(spec, source, nowhere)))
        started, spent = time.monotonic(), _processors()
        rows = mark_all(timed, folder / "handins", dict.fromkeys(kinds, ""), None, folder / "marks").rows
        total, processors = time.monotonic() - started, _processors() - spent
    seconds, points = {kind: [] for kind in KINDS[:count]}, {kind: set() for kind in KINDS[:count]}
    for row in rows:
        seconds[kinds[row["student"]]].append(timed.seconds[row["student"]])
        points[kinds[row["student"]]].add(float(row["auto"]))
    return Rehearsal(seconds, total, processors, points)


class _Timed:
    """A Grader with a watch."""

    def __init__(self, grader: Grader):
        self.spec, self.stamp, self._grader = grader.spec, grader.stamp, grader
        self.seconds: dict[str, float] = {}

    def mark(self, student: str, folder: Path) -> dict[str, Any]:
        started = time.monotonic()
        result = self._grader.mark(student, folder)
        self.seconds[student] = time.monotonic() - started
        return result


def _answers(spec: LabSpec, twists: dict[str, Variant], kind: str) -> dict[str, str]:
    """Sources of a kind's answers, by exercise."""
    right = {name: twist.solution for name, twist in twists.items()}
    names = list(right)
    if kind == "half":
        return {name: right[name] for name in names[: (len(names) + 1) // 2]}
    if kind == "wrong":
        return {name: twist.mutant(twist.mistakes[0]) for name, twist in twists.items()}
    if kind == "copy":
        return {each.name: f"{each.package}\n\n\nmy_{each.name} = {each.name}" for each in spec.coding}
    if kind == "hangs":
        return right | {names[0]: HANGS.format(name=names[0])}
    return right if kind == "right" else {}


def _answered(notebook: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        role, name = role_of(cell)
        if role == "twist" and name in answers:
            cell.source = answers[name]
    return notebook


def _hand_in(folder: Path, spec: LabSpec, notebook: NotebookNode, kind: str) -> None:
    text = '{"cells": [' if kind == "broken" else nbformat.writes(notebook)
    write_text(folder / f"{spec.name}.ipynb", text)
    guesses = {e.name: {"value": e.low, "confidence": 50} for e in spec.exercises if isinstance(e, Guess)}
    write_text(folder / answers_file(spec.name), json.dumps({"lab": spec.name, "guesses": guesses}))


def _processors() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
