"""From a folder of hand-ins to marks: results one by one, resumable; then a CSV, feedback, and the texts to read."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .exercise import LabSpec, Written
from .grade import Grader

LATE_PERCENT = 10  # of the marks, per day that has begun
TO_READ = "to read"


def mark_all(grader: Grader, handins: Path, roster: dict[str, str], due: datetime | None, out: Path) -> list[dict[str, Any]]:
    """Mark every student of the roster and write all of OUT; returns the rows of marks.csv.

    A result that is there for the same hand-in, lab, key and cases is kept, so a call that was cut off is simply repeated.
    """
    received = _received(handins)
    rows = []
    for student, name in tqdm(roster.items(), desc=grader.spec.name, unit="student"):
        folder = handins / student
        if not folder.is_dir():
            result = _nothing(grader.spec)
            days = 0
        else:
            result = _result(grader, student, folder, out / "results" / f"{student}.json")
            days = late_days(_time(received.get(student), folder / f"{grader.spec.name}.ipynb"), due)
        row = _row(grader.spec, student, name, result, days)
        rows.append(row)
        write_text(out / "feedback" / f"{student}.md", _feedback(grader.spec, row, result))
        if any(result["texts"].values()):
            write_text(out / "to_read" / f"{student}.md", _to_read(grader.spec, student, result))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / "marks.csv", text.getvalue())
    return rows


def strangers(handins: Path, roster: dict[str, str]) -> list[str]:
    """Folders of hand-ins that no student of the roster owns."""
    return sorted(path.name for path in handins.iterdir() if path.is_dir() and path.name not in roster)


def late_days(received: datetime | None, due: datetime | None) -> int:
    """Days that have begun since it was due; times without a zone are local."""
    if received is None or due is None:
        return 0
    return max(0, math.ceil((received.astimezone() - due.astimezone()).total_seconds() / 86400))


def write_text(path: Path, text: str) -> None:
    """Write beside `path`, then rename; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(text, encoding="utf-8", errors="replace")
    partial.replace(path)


def _received(handins: Path) -> dict[str, datetime]:
    path = handins / "received.csv"
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        return {row["student"]: datetime.fromisoformat(row["time"]) for row in csv.DictReader(file)}


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


def _result(grader: Grader, student: str, folder: Path, path: Path) -> dict[str, Any]:
    stamp = grader.stamp(student, folder)
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["stamp"] == stamp:
            return kept
    result = {"stamp": stamp, **grader.mark(student, folder)}
    write_text(path, json.dumps(result, indent=1) + "\n")
    return result


def _row(spec: LabSpec, student: str, name: str, result: dict[str, Any], days: int) -> dict[str, Any]:
    points = {f"{each.name} /{each.points}": _points(each, result) for each in spec.exercises}
    auto = sum(mark["points"] for mark in result["exercises"].values())
    off = min(100, LATE_PERCENT * days)
    remarks = list(result["notes"])
    if off:
        remarks.append(f"late: {days} day{'s' * (days > 1)} begun, {off} % of all marks off, written parts too")
    return {
        "student": student,
        "name": name,
        **points,
        "auto": auto,
        "late_days": days,
        "late_percent_off": off,
        "total": f"{auto * (100 - off) / 100:.10g}",
        "remark": "; ".join(remarks),
    }


def _points(exercise: Any, result: dict[str, Any]) -> float | str:
    if isinstance(exercise, Written):
        return TO_READ if result["texts"].get(exercise.name) else 0
    return result["exercises"][exercise.name]["points"]


def _feedback(spec: LabSpec, row: dict[str, Any], result: dict[str, Any]) -> str:
    lines = [f"# {spec.title}: {row['name'] or row['student']}", ""]
    for each in spec.exercises:
        points = row[f"{each.name} /{each.points}"]
        if isinstance(each, Written):
            why = "your marker reads it" if points == TO_READ else "nothing is written there"
            points = "?" if points == TO_READ else points
        else:
            why = result["exercises"][each.name]["why"]
        lines.append(f"- **{each.title}** ({points} of {each.points}): {why.rstrip('.')}.")
    late = f", {row['total']} after what is off for being late" if row["late_days"] else ""
    lines += ["", f"Marked by machine: {row['auto']} points{late}."]
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
