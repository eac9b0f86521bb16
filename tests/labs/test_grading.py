"""The round of a course: key, hand-out, hand-ins good and bad, marks."""

import copy
import csv
import json
import os
import time
from datetime import datetime, timedelta

import nbformat
import pytest

from kimi_mini.labs import answers_file
from kimi_mini.sandbox import SandboxUnavailable, run
from labs.course import find, handin
from labs.course.__main__ import main
from labs.course.exercise import Guess, Written
from labs.course.key import read_key
from labs.course.marks import late_days
from tests.labs.attacks import ATTACKS, OWN_FAULT
from tests.labs.notebooks import fill

DUE = datetime(2026, 11, 20, 23, 59)


@pytest.fixture(scope="module", autouse=True)
def isolated():
    try:
        run("")
    except SandboxUnavailable as error:
        pytest.skip(str(error))


class Course:
    """Files of a course: key, roster, hand-outs; and its hand-ins, to be filled."""

    def __init__(self, folder, lab, students):
        self.folder = folder
        self.handins = folder / "handins"
        roster = folder / "roster.csv"
        roster.write_text("student,name\n" + "".join(f"{student},Name of {student}\n" for student in students))
        self.files = ["--roster", str(roster), "--key-file", str(folder / "key.json")]
        assert main(["key", "--course", "Autumn 2026", "--out", str(folder / "key.json")]) == 0
        assert main(["handout", *self.files, "--lab", lab, "--out", str(folder / "handout")]) == 0
        self.key = read_key(folder / "key.json")

    def notebook(self, student, lab):
        return nbformat.read(self.folder / "handout" / student / f"{lab}.ipynb", as_version=4)

    def right(self, student, lab):
        """{exercise: source} of all right answers to a student's versions."""
        return {name: twist.solution for name, twist in self.key.twists(student, find.load_spec(lab)).items()}

    def hand_in(self, student, lab, notebook, guess=True, at=DUE):
        """A notebook (or bytes) with or without guesses, as of a time."""
        folder = self.handins / student
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{lab}.ipynb"
        path.write_bytes(notebook if isinstance(notebook, bytes) else nbformat.writes(copy.deepcopy(notebook)).encode())
        os.utime(path, (at.timestamp(), at.timestamp()))
        if guess:
            guesses = {each.name: {"value": each.low, "confidence": 50} for each in _each(lab, Guess)}
            (folder / answers_file(lab)).write_text(json.dumps({"lab": lab, "guesses": guesses}))

    def grade(self, lab):
        """Rows of marks.csv by student, and the feedback."""
        out = self.folder / f"marks-{lab}"
        due = ["--due", DUE.isoformat()]
        assert main(["grade", str(self.handins), "--lab", lab, *self.files, *due, "--out", str(out)]) == 0
        with open(out / "marks.csv", newline="") as file:
            rows = {row["student"]: row for row in csv.DictReader(file)}
        return rows, {student: (out / "feedback" / f"{student}.md").read_text() for student in rows}


def _each(lab, kind):
    return [each for each in find.load_spec(lab).exercises if isinstance(each, kind)]


def _points(lab, row):
    """Points by exercise, of all that is marked by machine."""
    spec = find.load_spec(lab)
    return {each.name: float(row[f"{each.name} /{each.points}"]) for each in spec.exercises if not isinstance(each, Written)}


def _full(lab):
    return {each.name: each.points for each in find.load_spec(lab).exercises if not isinstance(each, Written)}


@pytest.mark.slow
@pytest.mark.parametrize("lab", find.lab_names())
def test_a_course_from_the_key_to_the_marks(lab, tmp_path, capsys):
    students = ["right", "half", "empty", "broken", "stray", "late", "copy", "mate", "wrong", "guesses", "missing"]
    course = Course(tmp_path, lab, students)
    spec = find.load_spec(lab)
    first = spec.coding[0]
    own = {student: course.notebook(student, lab) for student in students}
    right = {student: course.right(student, lab) for student in students}
    course.hand_in("right", lab, fill(own["right"], right["right"], written="Forty <b>percent</b>, and I had said ten."))
    course.hand_in("half", lab, fill(own["half"], {first.name: right["half"][first.name]}))
    course.hand_in("empty", lab, own["empty"], guess=False)
    (course.handins / "empty" / answers_file(lab)).touch()
    course.hand_in("broken", lab, b'{"cells": [', guess=False)
    stray = ["def not python", "%time x = 1", "!rm -rf x", "import nowhere", "x = undefined", 'lab.check("a", b)', "1 / 0"]
    course.hand_in("stray", lab, fill(own["stray"], right["stray"], cells=stray))
    course.hand_in("late", lab, fill(own["late"], right["late"]), at=DUE + timedelta(days=2, hours=1))
    copies = {each.name: f"{each.package}\n\n\nmy_{each.name} = {each.name}" for each in spec.coding}
    course.hand_in("copy", lab, fill(own["copy"], copies))
    others = {each.name: next(t for t in each.twists if t.solution != right["mate"][each.name]) for each in spec.coding}
    course.hand_in("mate", lab, fill(own["mate"], {name: twist.solution for name, twist in others.items()}))
    twist = course.key.twists("wrong", spec)[first.name]
    mistakes = right["wrong"] | {first.name: twist.mutant(twist.mistakes[0])}
    course.hand_in("wrong", lab, fill(own["wrong"], mistakes))
    course.hand_in("guesses", lab, own["guesses"], guess=False)
    (course.handins / "guesses" / answers_file(lab)).write_text("[" * 50_000)
    (course.handins / "nobody").mkdir()

    started = time.monotonic()
    rows, feedback = course.grade(lab)
    seconds = time.monotonic() - started
    print(f"{seconds / (len(students) - 1):.1f} s for each hand-in")
    full, guesses = _full(lab), {each.name: each.points for each in _each(lab, Guess)}
    nothing = dict.fromkeys(full, 0)
    rest_full = full | {first.name: 0}
    wanted = dict.fromkeys(("right", "stray", "late"), full)
    wanted |= dict.fromkeys(("copy", "mate"), nothing | guesses) | {"wrong": rest_full}
    wanted |= {"half": nothing | guesses | {first.name: first.points}}
    wanted |= dict.fromkeys(("empty", "broken", "guesses", "missing"), nothing)
    assert {student: _points(lab, rows[student]) for student in students} == wanted
    assert list(rows) == students and rows["right"]["name"] == "Name of right"
    assert "nobody is not in" in capsys.readouterr().out

    total = sum(full.values())
    assert (rows["right"]["auto"], rows["right"]["total"], rows["right"]["late_days"]) == (str(total), str(total), "0")
    assert (rows["late"]["auto"], rows["late"]["late_days"], rows["late"]["late_percent_off"]) == (str(total), "3", "30")
    assert float(rows["late"]["total"]) == pytest.approx(0.7 * total)
    assert (
        f"{rows['late']['total']} after what is off" in feedback["late"] and "after" not in feedback["right"].split("Marked")[1]
    )
    assert "late: 3 days begun, 30 % of all marks off" in rows["late"]["remark"]
    assert rows["missing"]["remark"] == "nothing was handed in" and "nothing was handed in" in feedback["missing"]
    assert "cell " in rows["stray"]["remark"] and "SyntaxError" in feedback["stray"]
    assert "the notebook cannot be read" in feedback["broken"]
    assert feedback["empty"].count("nothing is written there") >= len(spec.coding)
    assert "is empty" in feedback["empty"] or not guesses
    assert "is no JSON" in feedback["guesses"] or not guesses
    assert f"It looks like this: {twist.mistakes[0].hint}".rstrip(".") in feedback["wrong"]
    assert "Yours differs: " in feedback["copy"]
    assert "another version of the exercise" in feedback["mate"]
    for written in _each(lab, Written):
        column = f"{written.name} /{written.points}"
        assert (rows["right"][column], rows["half"][column], rows["missing"][column]) == ("to read", "0", "0")
        to_read = (tmp_path / f"marks-{lab}" / "to_read" / "right.md").read_text()
        assert "> Forty <b>percent</b>, and I had said ten." in to_read and written.rubric in to_read

    results = tmp_path / f"marks-{lab}" / "results"
    before = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    course.hand_in("half", lab, fill(own["half"], right["half"]))
    again, _ = course.grade(lab)
    changed = {path.name for path in results.iterdir() if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {"half.json"}, "what is marked is not run again"
    with open(tmp_path / f"marks-{lab}" / "changes.csv", newline="") as file:
        changes = list(csv.DictReader(file))
    assert [(each["student"], each["exercise"]) for each in changes] == [
        *(("half", each.name) for each in spec.coding[1:]),
        ("half", "total"),
    ]
    assert "11 students, 1 hand-ins run" in capsys.readouterr().out
    assert _points(lab, again["half"]) == full
    assert [again[student] for student in students if student != "half"] == [rows[s] for s in students if s != "half"]


@pytest.mark.slow
def test_a_hostile_hand_in_costs_itself_alone(tmp_path, monkeypatch):
    lab = find.lab_names()[0]
    monkeypatch.setattr(handin, "SECONDS", 5.0)
    course = Course(tmp_path, lab, [*ATTACKS, "good"])
    first = find.load_spec(lab).coding[0]
    for student, attack in ATTACKS.items():
        sources = course.right(student, lab) | {first.name: attack.format(name=f"my_{first.name}")}
        course.hand_in(student, lab, fill(course.notebook(student, lab), sources))
    course.hand_in("good", lab, fill(course.notebook("good", lab), course.right("good", lab)))
    rows, feedback = course.grade(lab)
    full = _full(lab)
    guesses = {each.name: each.points for each in _each(lab, Guess)}
    others = {student: full | {first.name: 0} for student in ATTACKS}
    others |= {student: dict.fromkeys(full, 0) | guesses for student in OWN_FAULT}
    assert {student: _points(lab, rows[student]) for student in rows} == others | {"good": full}
    assert all("NOTHING" not in text and course.key.secret.hex() not in text for text in feedback.values())
    results = "".join(path.read_text() for path in (tmp_path / f"marks-{lab}" / "results").iterdir())
    assert "NOTHING" not in results
    assert f"did not end within {handin.SECONDS:.0f} s" in feedback["hangs"]
    assert "ended from within" in feedback["kills"]
    assert "KeyError" not in feedback["reads"], "that would say that it found something"
    assert "stopped with ValueError" in feedback["reads"] or "did not end within" in feedback["reads"], "on a busy machine"


def test_days_late_are_days_begun():
    at = [timedelta(days=-3), timedelta(0), timedelta(seconds=1), timedelta(days=1), timedelta(days=1, seconds=1)]
    assert [late_days(DUE + each, DUE) for each in at] == [0, 0, 1, 1, 2]
    assert late_days(None, DUE) == late_days(DUE, None) == 0


def test_a_time_of_receipt_overrules_the_files(tmp_path):
    lab = find.lab_names()[0]
    course = Course(tmp_path, lab, ["ada", "bob"])
    for student in ("ada", "bob"):
        course.hand_in(student, lab, course.notebook(student, lab), at=DUE + timedelta(days=9))
    (course.handins / "received.csv").write_text(f"student,time\nada,{DUE.isoformat()}\n")
    rows, _ = course.grade(lab)
    assert (rows["ada"]["late_days"], rows["bob"]["late_days"]) == ("0", "9")
    assert float(rows["bob"]["total"]) == pytest.approx(0.1 * float(rows["bob"]["auto"]))
