"""marks.csv in the forms that gradebooks read. Each form says below where it is described, and what it needs of the roster.

A student with a written part that nobody has read yet is left out of every form: a half mark is not handed on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from kimi_mini.checks import require

from .exercise import LabSpec
from .marks import TO_READ, write_text
from .written import read_table, table

Row = dict[str, str]


def export(form: str, spec: LabSpec, marks: Path, roster: Path, out: Path) -> tuple[int, list[str]]:
    """Write OUT from the folder that `grade` wrote; returns the number of students in it, and the ids of those left out."""
    require(form in FORMS, "form", form, f"one of {', '.join(FORMS)}")
    rows, people = read_table(marks / "marks.csv"), {row["student"]: row for row in read_table(roster)}
    columns = {f"{each.name} /{each.points}" for each in spec.exercises}
    require(bool(rows) and columns <= set(rows[0]), str(marks / "marks.csv"), "other columns", f"marks of {spec.name}")
    unknown = [row["student"] for row in rows if row["student"] not in people]
    require(not unknown, f"students of {marks / 'marks.csv'}", unknown, f"students of {roster}")
    done = [row for row in rows if TO_READ not in row.values()]
    FORMS[form](spec, done, people, marks, out)
    return len(done), [row["student"] for row in rows if TO_READ in row.values()]


def _largest(spec: LabSpec) -> int:
    return sum(each.points for each in spec.exercises)


def _plain(spec: LabSpec, rows: list[Row], people: dict[str, Row], marks: Path, out: Path) -> None:
    """student, name, total, out of."""
    plain = [{"student": r["student"], "name": r["name"], "total": r["total"], "out of": _largest(spec)} for r in rows]
    write_text(out, table(plain, ["student", "name", "total", "out of"]))


def _canvas(spec: LabSpec, rows: list[Row], people: dict[str, Row], marks: Path, out: Path) -> None:
    """What Canvas's *Gradebook, Import* reads (canvas-lms, lib/gradebook_importer.rb).

    The columns of the student in this order, the last Section, then one assignment; a line "Points Possible" gives its size.
    Canvas looks a student up by ID (its own number), else by SIS User ID, else by SIS Login ID, else by name: the roster's
    columns canvas_id, sis_user_id and sis_login_id, the last being the student's id where the roster has no such column.
    """
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", f"{spec.name}: {spec.title}"]
    lines = [dict(zip(columns, ["    Points Possible", "", "", "", "", str(_largest(spec))], strict=True))]
    for row in rows:
        person = people[row["student"]]
        ids = [person.get("canvas_id", ""), person.get("sis_user_id", ""), person.get("sis_login_id") or row["student"]]
        lines.append(dict(zip(columns, [row["name"], *ids, person.get("section", ""), row["total"]], strict=True)))
    write_text(out, table(lines, columns))


def _moodle(spec: LabSpec, rows: list[Row], people: dict[str, Row], marks: Path, out: Path) -> None:
    """What Moodle's *Grades, Import, CSV file* reads (docs.moodle.org, "Grade import").

    Map "ID number" to "useridnumber", or "Email address" to "useremail" (roster column email); map the marks *and* the
    feedback: Moodle's page warns that one without the other loses marks. ID number is the roster's id_number, else the
    student's id.
    """
    columns = ["ID number", "Email address", spec.title, f"{spec.title} (feedback)"]
    lines = []
    for row in rows:
        person = people[row["student"]]
        feedback = (marks / "feedback" / f"{row['student']}.md").read_text(encoding="utf-8").strip()
        cells = [person.get("id_number") or row["student"], person.get("email", ""), row["total"], feedback]
        lines.append(dict(zip(columns, cells, strict=True)))
    write_text(out, table(lines, columns))


def _gradescope(spec: LabSpec, rows: list[Row], people: dict[str, Row], marks: Path, out: Path) -> None:
    """A folder: roster.csv, and STUDENT/results.json.

    Gradescope's guides describe an upload of a roster (name, unique email, id), none of marks. Marks made elsewhere come in as
    what an autograder of yours writes, results.json (gradescope-autograders.readthedocs.io, "Autograder Specifications").
    """
    for row in rows:
        person = people[row["student"]]
        require(
            bool(person.get("email")), f"email of {row['student']} in the roster", "", "an address: Gradescope knows no other"
        )
        off = 1 - float(row["late_percent_off"]) / 100
        tests = []
        for each in spec.exercises:
            score = float(row[f"{each.name} /{each.points}"]) * off
            tests.append({"name": each.title, "score": round(score, 9), "max_score": each.points})
        feedback = (marks / "feedback" / f"{row['student']}.md").read_text(encoding="utf-8")
        result = {"score": float(row["total"]), "output": feedback, "tests": tests}
        write_text(out / row["student"] / "results.json", json.dumps(result, indent=1) + "\n")
    members = [{"Full Name": r["name"], "Email": people[r["student"]]["email"], "SID": r["student"]} for r in rows]
    write_text(out / "roster.csv", table(members, ["Full Name", "Email", "SID"]))


FORMS: dict[str, Callable[[LabSpec, list[Row], dict[str, Row], Path, Path], None]] = {
    "plain": _plain,
    "canvas": _canvas,
    "moodle": _moodle,
    "gradescope": _gradescope,
}
