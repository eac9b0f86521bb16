"""Points for one hand-in, with reasons that a student may read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from kimi_mini.labs import answers_file, difference, read_answers, unsolved
from kimi_mini.labs.lab import recognise

from .bake import NOT_CHANGED, measure
from .exercise import Coding, Guess, LabSpec, Variant, Written
from .handin import Tried, error_kind, read_cells, read_plain, try_functions
from .key import Key
from .student import role_of

ANOTHER = "This answers another version of the exercise than the one that you were given."
MAX_TEXT = 20_000  # characters of a written part


@dataclass(frozen=True)
class Grader:
    """Marks hand-ins of one lab. `notebook` is the students' version; what it holds in a written cell is no answer."""

    spec: LabSpec
    key: Key
    notebook: NotebookNode

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hidden", {})

    def hidden(self, exercise: Coding, variant: Variant) -> dict[str, Any]:
        """Hidden cases of a twist, with right outcomes and fingerprints of wrong ones."""
        if variant.name not in self._hidden.setdefault(exercise.name, {}):
            wrong = [(mistake.hint, variant.mutant(mistake)) for mistake in variant.mistakes]
            wrong.append((NOT_CHANGED.format(change=variant.change), exercise.practice.solution))
            wrong += [(ANOTHER, other.solution) for other in exercise.twists if other is not variant]
            found = measure(variant, variant.cases(self.key.seed(self.spec.name, exercise.name)), wrong)
            self._hidden[exercise.name][variant.name] = found
        return self._hidden[exercise.name][variant.name]

    def stamp(self, student: str, folder: Path) -> str:
        """Changes when the hand-in, the lab, the key or the hidden cases do: an earlier result then is not this one."""
        digest = hashlib.sha256(f"{self.spec.name} {self.key.mark} {student}".encode())
        for exercise in self.spec.coding:
            twist = self.key.twists(student, self.spec)[exercise.name]
            digest.update(json.dumps(self.hidden(exercise, twist)).encode())
        digest.update(repr([each for each in self.spec.exercises if not isinstance(each, Coding)]).encode())
        digest.update(repr([each.points for each in self.spec.exercises]).encode())
        for path in (folder / f"{self.spec.name}.ipynb", folder / answers_file(self.spec.name)):
            try:
                digest.update(hashlib.sha256(read_plain(path)).digest())
            except (ValueError, OSError) as error:
                digest.update(str(error).encode())
        return digest.hexdigest()

    def mark(self, student: str, folder: Path) -> dict[str, Any]:
        """{"exercises": {name: {"points", "why"}}, "texts": {name: text}, "notes": [text]} of a hand-in's folder.

        A bad hand-in is a bad mark, never an exception; SandboxUnavailable is raised where nothing can be run.
        """
        exercises, texts, notes = {}, {}, []
        try:
            cells = read_cells(read_plain(folder / f"{self.spec.name}.ipynb"))
        except (ValueError, OSError) as error:
            exercises = {each.name: _mark(0, str(error)) for each in self.spec.coding}
        else:
            marked, notes = self._mark_functions(student, cells)
            exercises |= marked
            texts = {each.name: self._text(cells, each.name) for each in self._written}
        exercises |= self._mark_guesses(folder)
        return {"exercises": exercises, "texts": texts, "notes": notes}

    @property
    def _written(self) -> list[Written]:
        return [each for each in self.spec.exercises if isinstance(each, Written)]

    def _mark_functions(self, student: str, cells: list[dict]) -> tuple[dict[str, Any], list[str]]:
        twists = self.key.twists(student, self.spec)
        hidden = {each.name: self.hidden(each, twists[each.name]) for each in self.spec.coding}
        names = {each.name: twists[each.name].function for each in self.spec.coding}
        cases = {names[name]: [case["case"] for case in check["cases"]] for name, check in hidden.items()}
        tried, notes = try_functions(cells, cases)
        marked = {each.name: judge(each, hidden[each.name], tried[names[each.name]]) for each in self.spec.coding}
        return marked, notes

    def _mark_guesses(self, folder: Path) -> dict[str, Any]:
        guesses = [each for each in self.spec.exercises if isinstance(each, Guess)]
        path = folder / answers_file(self.spec.name)
        try:
            read_plain(path)
            locked = read_answers(path, self.spec.name)
        except (ValueError, OSError) as error:
            return {each.name: _mark(0, str(error)) for each in guesses}
        return {each.name: _judge_guess(each, locked.get(each.name)) for each in guesses}

    def _text(self, cells: list[dict], name: str) -> str:
        """What stands in a written cell; nothing if the cell is gone, or as it was."""
        given = [cell.source for cell in self.notebook.cells if role_of(cell) == ("written", name)]
        found = [cell["source"] for cell in cells if cell["metadata"].get("km") == {"role": "written", "exercise": name}]
        text = found[0].strip()[:MAX_TEXT] if found else ""
        return "" if text in [source.strip() for source in given] else text


def judge(exercise: Coding, check: dict[str, Any], tried: Tried) -> dict[str, Any]:
    """Full points if every hidden case passes, else none, with the failed cases' names: no number of theirs, no text of the
    hand-in's."""
    name, cases = f"`my_{exercise.name}`", check["cases"]
    if not tried.outcomes:
        return _mark(0, f"{name}: {tried.why}")
    outcomes = [outcome if _is_outcome(outcome) else {"error": "ValueError"} for outcome in tried.outcomes[: len(cases)]]
    if all(map(unsolved, outcomes)):
        return _mark(0, f"{name}: nothing is written there")
    passed = [_passes(case, outcome) for case, outcome in zip(cases, outcomes, strict=False)]
    passed += [False] * (len(cases) - len(passed))
    if all(passed):
        return _mark(exercise.points, f"{name}: all {len(cases)} cases pass")
    failed = [f'"{case["case"]["name"]}"' for case, good in zip(cases, passed, strict=True) if not good]
    why = f"{name}: {len(failed)} of {len(cases)} cases fail: {', '.join(failed)}."
    first = passed.index(False)
    if first >= len(outcomes):
        return _mark(0, f"{why} In {failed[0]}, {tried.why}")
    if "error" in outcomes[first]:
        why += f" In {failed[0]}, it stopped with {error_kind(outcomes[first]['error'])}."
    hint = _recognise(check, outcomes, passed)
    return _mark(0, f"{why} It looks like this: {hint}" if hint else why)


def _mark(points: float, why: str) -> dict[str, Any]:
    return {"points": points, "why": why}


def _is_outcome(outcome: Any) -> bool:
    if not isinstance(outcome, dict):
        return False
    whole = {"result", "arguments", "largest"} <= set(outcome) and isinstance(outcome["largest"], (int, type(None)))
    return isinstance(outcome["error"], str) if "error" in outcome else whole


def _passes(case: dict[str, Any], outcome: dict[str, Any]) -> bool:
    try:
        return difference(case["expected"], outcome, case["case"]["largest"]) is None
    except Exception:  # an outcome that attempt() never writes: the hand-in wrote it itself, to whatever effect
        return False


def _recognise(check: dict[str, Any], outcomes: list[dict[str, Any]], right: list[bool]) -> str | None:
    try:
        return recognise(check, outcomes, right)
    except Exception:  # as above
        return None


def _judge_guess(guess: Guess, locked: dict[str, float] | None) -> dict[str, Any]:
    if locked is None:
        return _mark(0, "no guess is locked")
    if not guess.low <= locked["value"] <= guess.high or not 0 < locked["confidence"] <= 100:
        return _mark(0, "the file holds a guess that the notebook does not take")
    return _mark(guess.points, f"locked: {locked['value']:g}, {locked['confidence']:g} % sure")
