"""Points that a person gives for written parts: OUT/written.csv, a line for each text, filled in by hand, then merged."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

from kimi_mini.checks import require

from .exercise import LabSpec, Written

COLUMNS = ("student", "exercise", "points", "text", "remark")


def merge(path: Path, spec: LabSpec, texts: dict[str, dict[str, str]]) -> tuple[dict[str, dict[str, float]], str]:
    """Points that `path` gives, by student and exercise, and what should now stand in it.

    texts: by student (all of the roster) and exercise. The column `text` holds a mark of the text that was read; points for
    another text than the one that is there now do not count, and move to the remark. Lines without that mark are believed.
    Raises ValueError for a line about nobody or nothing, and for points that the exercise does not have.
    """
    lines = _read(path, spec, texts)
    given: dict[str, dict[str, float]] = {}
    rows = []
    for student, written in texts.items():
        for exercise in (each.name for each in spec.exercises if isinstance(each, Written)):
            line, mark = lines.get((student, exercise)), _mark(written.get(exercise, ""))
            if line and line["points"] and line["text"] not in ("", mark):
                line |= {"points": "", "remark": f"{line['points']} points were for an earlier text"}
            if line and line["points"]:
                given.setdefault(student, {})[exercise] = float(line["points"])
            if line or mark:
                rows.append(
                    {"points": "", "remark": ""} | (line or {}) | {"student": student, "exercise": exercise, "text": mark}
                )
    return given, table(rows, COLUMNS) if rows else ""


def table(rows: list[dict[str, Any]], columns: tuple[str, ...] | list[str]) -> str:
    """A CSV with a line of names first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV, whatever wrote it: a byte order mark is skipped, what is missing is empty."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        return [
            {name: (value or "").strip() for name, value in row.items() if name} for row in csv.DictReader(file, restval="")
        ]


def _read(path: Path, spec: LabSpec, texts: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    lines: dict[tuple[str, str], dict[str, str]] = {}
    largest = {each.name: each.points for each in spec.exercises if isinstance(each, Written)}
    for number, row in enumerate(read_table(path) if path.is_file() else [], 2):
        line, place = {name: row.get(name, "") for name in COLUMNS}, f"line {number} of {path}"
        require(line["student"] in texts, f"student in {place}", line["student"], "one of the roster")
        require(line["exercise"] in largest, f"exercise in {place}", line["exercise"], f"one of {', '.join(largest) or 'none'}")
        key = line["student"], line["exercise"]
        require(key not in lines, place, key, "one line for each text")
        if line["points"]:
            points = _number(line["points"])
            good = 0 <= points <= largest[line["exercise"]]  # false for what is no number
            require(good, f"points in {place}", line["points"], f"0 to {largest[line['exercise']]}")
        lines[key] = line
    return lines


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _mark(text: str) -> str:
    return text and "t" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:9]  # the t keeps spreadsheets from 1e9
