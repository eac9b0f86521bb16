"""From a folder of hand-ins to marks: results one by one, resumable; then a CSV, feedback, and the texts to read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kimi_mini.whole import write_whole

from .exercise import LabSpec, Written
from .grade import Grader
from .written import merge, read_table, table

LATE_PERCENT = 10  # of the marks, per day that has begun
TO_READ = "to read"


@dataclass(frozen=True)
class Marked:
    """What a call did: rows of marks.csv, ids of the hand-ins that it ran, and the marks that changed since the call before."""

    rows: list[dict[str, Any]]
    ran: list[str]
    changes: list[dict[str, str]]


def mark_all(grader: Grader, handins: Path, roster: dict[str, str], due: datetime | None, out: Path) -> Marked:
    """Mark every student of the roster and write all of OUT.

    A result that is there for the same hand-in, lab, key and cases is kept, so a call that was cut off is simply repeated, and
    after a test was fixed only hand-ins that it concerns are run. Points in OUT/written.csv are merged. Where a mark is another
    than in the marks.csv of the call before, that file becomes marks-before.csv, and changes.csv lists the differences.
    """
    spec, results, days, ran = grader.spec, {}, {}, []
    received = _received(handins)
    for student in tqdm(roster, desc=spec.name, unit="student"):
        folder = handins / student
        if folder.is_dir():
            results[student], fresh = _result(grader, student, folder, out / "results" / f"{student}.json")
            days[student] = late_days(_time(received.get(student), folder / f"{spec.name}.ipynb"), due)
            ran += [student] * fresh
        else:
            results[student], days[student] = _nothing(spec), 0
    given, written = merge(out / "written.csv", spec, {student: result["texts"] for student, result in results.items()})
    rows = [_row(spec, student, roster[student], results[student], days[student], given.get(student, {})) for student in roster]
    for row in rows:
        result = results[row["student"]]
        write_text(out / "feedback" / f"{row['student']}.md", _feedback(spec, row, result))
        if any(result["texts"].values()):
            write_text(out / "to_read" / f"{row['student']}.md", _to_read(spec, row["student"], result))
    if written:
        write_text(out / "written.csv", written)
    return Marked(rows, ran, _write_marks(out, rows))


def _write_marks(out: Path, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    path, text = out / "marks.csv", table(rows, list(rows[0]))
    changes = _changes(read_table(path), rows) if path.is_file() else []
    if changes:
        write_text(out / "marks-before.csv", path.read_text(encoding="utf-8"))
        write_text(out / "changes.csv", table(changes, list(changes[0])))
    write_text(path, text)
    return changes


def _changes(before: list[dict[str, str]], after: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Points, and totals, that differ; a column's name may have changed with its points."""
    old, new = ({row["student"]: _marks(row) for row in rows} for rows in (before, after))
    changes = []
    for student in [*new, *(each for each in old if each not in new)]:
        then, now = old.get(student, {}), new.get(student, {})
        for name in [*now, *(each for each in then if each not in now)]:
            if then.get(name) != now.get(name):
                changes.append({"student": student, "exercise": name, "before": then.get(name, ""), "after": now.get(name, "")})
    return changes


def _marks(row: dict[str, Any]) -> dict[str, str]:
    return {name.partition(" /")[0]: str(value) for name, value in row.items() if " /" in name or name == "total"}


def strangers(handins: Path, roster: dict[str, str]) -> list[str]:
    """Folders of hand-ins that no student of the roster owns."""
    return sorted(path.name for path in handins.iterdir() if path.is_dir() and path.name not in roster)


def late_days(received: datetime | None, due: datetime | None) -> int:
    """Days that have begun since it was due; times without a zone are local."""
    if received is None or due is None:
        return 0
    return max(0, math.ceil((received.astimezone() - due.astimezone()).total_seconds() / 86400))


def write_text(path: Path, text: str) -> None:
    """Write `text` whole; what cannot be written, which a hand-in may hold, becomes a question mark."""
    write_whole(path, text.encode(errors="replace"))


def _received(handins: Path) -> dict[str, datetime]:
    path = handins / "received.csv"
    if not path.is_file():
        return {}
    return {row["student"]: datetime.fromisoformat(row["time"]) for row in read_table(path)}


def _time(received: datetime | None, notebook: Path) -> datetime | None:
    """When it came: as received.csv says, else when the file was last written."""
    if received is None and notebook.is_file():
        return datetime.fromtimestamp(notebook.stat().st_mtime)
    return received


def _nothing(spec: LabSpec) -> dict[str, Any]:
    marked = [each for each in spec.exercises if not isinstance(each, Written)]
    return {
        "exercises": {each.name: {"points": 0, "why": "nothing was handed in"} for each in marked},
        "texts": {},
        "notes": ["nothing was handed in"],
    }


def _result(grader: Grader, student: str, folder: Path, path: Path) -> tuple[dict[str, Any], bool]:
    """The result, and whether it was made now."""
    stamp = grader.stamp(student, folder)
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["stamp"] == stamp:
            return kept, False
    result = {"stamp": stamp, **grader.mark(student, folder)}
    write_text(path, json.dumps(result, indent=1) + "\n")
    return result, True


def _row(spec: LabSpec, student: str, name: str, result: dict[str, Any], days: int, given: dict[str, float]) -> dict[str, Any]:
    points = {f"{each.name} /{each.points}": _points(each, result, given) for each in spec.exercises}
    auto = sum(mark["points"] for mark in result["exercises"].values())
    written = sum(given.values())
    off = min(100, LATE_PERCENT * days)
    remarks = list(result["notes"])
    if off:
        remarks.append(f"late: {days} day{'s' * (days > 1)} begun, {off} % of all marks off, written parts too")
    return {
        "student": student,
        "name": name,
        **points,
        "auto": auto,
        "written": f"{written:g}",
        "late_days": days,
        "late_percent_off": off,
        "total": f"{(auto + written) * (100 - off) / 100:.10g}",
        "remark": "; ".join(remarks),
    }


def _points(exercise: Any, result: dict[str, Any], given: dict[str, float]) -> float | str:
    if exercise.name in given:
        return f"{given[exercise.name]:g}"
    if isinstance(exercise, Written):
        return TO_READ if result["texts"].get(exercise.name) else 0
    return result["exercises"][exercise.name]["points"]


def _feedback(spec: LabSpec, row: dict[str, Any], result: dict[str, Any]) -> str:
    lines = [f"# {spec.title}: {row['name'] or row['student']}", ""]
    for each in spec.exercises:
        points = row[f"{each.name} /{each.points}"]
        if isinstance(each, Written):
            why = "your marker has read it" if isinstance(points, str) else "nothing is written there"
            if points == TO_READ:
                points, why = "?", "your marker reads it"
        else:
            why = result["exercises"][each.name]["why"]
        lines.append(f"- **{each.title}** ({points} of {each.points}): {why.rstrip('.')}.")
    late = f", {row['total']} after what is off for being late" if row["late_days"] else ""
    person = f", by your marker: {row['written']}" if row["written"] != "0" else ""
    lines += ["", f"Marked by machine: {row['auto']} points{person}{late}."]
    if row["remark"]:
        lines += ["", f"Remarks: {row['remark']}."]
    return "\n".join(lines) + "\n"


def _to_read(spec: LabSpec, student: str, result: dict[str, Any]) -> str:
    """The written parts for the marker, each with its rubric; a student's text is quoted line by line."""
    parts = [f"# {spec.title}: {student}"]
    for each in spec.exercises:
        if isinstance(each, Written):
            text = result["texts"].get(each.name) or "(nothing)"
            quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
            parts.append(f"## {each.title} ({each.points} points)\n\nRubric: {each.rubric}\n\n{quoted}")
    return "\n\n".join(parts) + "\n"
