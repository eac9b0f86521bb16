"""After the first marks: points for written parts come in, a test is fixed, gradebooks read the result."""

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import nbformat
import pytest

from kimi_mini.labs import Case
from labs.course import find, grade
from labs.course.__main__ import main
from labs.course.export import FORMS, export
from labs.course.grade import Grader
from labs.course.handin import Tried
from labs.course.key import Key
from labs.course.marks import mark_all
from labs.course.written import read_table
from tests.labs.tiny import SCALE, TINY

KEY = Key("Autumn", bytes(range(32)))
ROSTER = {"ada": "Ada Lovelace", "bob": "Bob", "cy": "=Cy", "dan": "Dan"}
TWISTS = {student: KEY.twists(student, TINY)["scale_rows"].name for student in ROSTER}


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Hand-ins of three students; in place of the sandbox, functions give what is wanted, and count."""
    state = SimpleNamespace(ran=[], handins=tmp_path / "handins", out=tmp_path / "marks", right=True)
    for student in ("ada", "bob", "cy"):
        (state.handins / student).mkdir(parents=True)
        _write(state, student, f"I had said {student}.")

    def try_functions(cells, cases):
        state.ran.append(next(cell["source"] for cell in cells if cell["source"].startswith("# of ")))
        return {function: Tried(why="it was not tried") for function in cases}, []

    def judge(exercise, check, tried):
        return {"points": exercise.points * state.right, "why": "so it was decided"}

    monkeypatch.setattr(grade, "try_functions", try_functions)
    monkeypatch.setattr(grade, "judge", judge)
    return state


def _write(state, student, text):
    written = nbformat.v4.new_markdown_cell(text, metadata={"km": {"role": "written", "exercise": "gap"}})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"# of {student}"), written])
    (state.handins / student / "tiny.ipynb").write_text(nbformat.writes(notebook))


def _mark(state, spec=TINY, due=None):
    state.ran.clear()
    marked = mark_all(Grader(spec, KEY, nbformat.v4.new_notebook()), state.handins, ROSTER, due, state.out)
    assert marked.ran == [source.removeprefix("# of ") for source in state.ran]
    return marked, {row["student"]: row for row in read_table(state.out / "marks.csv")}


def _give(state, **points):
    """Points into the lines of written.csv, as a marker would."""
    rows = read_table(state.out / "written.csv")
    for row in rows:
        row["points"] = points.get(row["student"], row["points"])
    with open(state.out / "written.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_points_for_written_parts_come_in_with_the_next_call(course):
    _, rows = _mark(course)
    assert rows["ada"]["gap /2"] == "to read" and rows["ada"]["total"] == "4" and rows["dan"]["gap /2"] == "0"
    assert [row["student"] for row in read_table(course.out / "written.csv")] == ["ada", "bob", "cy"]
    _give(course, ada="1.5", bob="0")
    marked, rows = _mark(course)
    assert marked.ran == []
    assert (rows["ada"]["gap /2"], rows["ada"]["written"], rows["ada"]["total"]) == ("1.5", "1.5", "5.5")
    assert (rows["bob"]["gap /2"], rows["bob"]["total"], rows["cy"]["gap /2"]) == ("0", "4", "to read")
    feedback = (course.out / "feedback" / "ada.md").read_text()
    assert "(1.5 of 2): your marker has read it" in feedback and "by your marker: 1.5" in feedback
    assert "(0 of 2): your marker has read it" in (course.out / "feedback" / "bob.md").read_text()
    wanted = [("ada", "gap", "to read", "1.5"), ("ada", "total", "4", "5.5"), ("bob", "gap", "to read", "0")]
    assert [tuple(change.values()) for change in read_table(course.out / "changes.csv")] == wanted
    assert _mark(course)[0].changes == [] and len(read_table(course.out / "changes.csv")) == 3, "the last changes stay"


def test_points_for_another_text_do_not_count(course):
    _mark(course)
    _give(course, ada="2")
    _write(course, "ada", "Something else.")
    _, rows = _mark(course)
    assert rows["ada"]["gap /2"] == "to read"
    line = read_table(course.out / "written.csv")[0]
    assert (line["points"], line["remark"]) == ("", "2 points were for an earlier text")
    assert _mark(course)[1] == rows, "and the next call reads the same"


def test_a_file_of_ones_own_will_do(course):
    course.out.mkdir()
    (course.out / "written.csv").write_text("\ufeffstudent,exercise,points\nada,gap,2\ndan,gap,1\n", encoding="utf-8")
    _, rows = _mark(course)
    assert (rows["ada"]["gap /2"], rows["dan"]["gap /2"], rows["dan"]["total"]) == ("2", "1", "1")


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("eve,gap,1", "student in line 2"),
        ("ada,scale_rows,1", "exercise in line 2"),
        ("ada,gap,3", "points in line 2"),
        ("ada,gap,nan", "points in line 2"),
        ("ada,gap,good", "points in line 2"),
        ("ada,gap,-1", "points in line 2"),
        ("ada,gap,1\nada,gap,2", "line 3"),
    ],
)
def test_a_wrong_line_is_named(course, line, field):
    course.out.mkdir()
    (course.out / "written.csv").write_text(f"student,exercise,points\n{line}\n")
    with pytest.raises(ValueError, match=field):
        _mark(course)


def test_a_fixed_test_runs_what_it_concerns_and_says_what_changed(course):
    course.right = False
    _mark(course)
    before = (course.out / "marks.csv").read_text()
    concerned = [student for student in ("ada", "bob", "cy") if TWISTS[student] == TWISTS["ada"]]
    assert len(concerned) < 3, "this key gives them more than one twist"
    twists = tuple(_fixed(twist) if twist.name == TWISTS["ada"] else twist for twist in SCALE.twists)
    spec = replace(TINY, exercises=(replace(SCALE, twists=twists), *TINY.exercises[1:]))
    course.right = True
    marked, rows = _mark(course, spec)
    assert marked.ran == concerned
    assert (course.out / "marks-before.csv").read_text() == before
    wanted = [(s, name, "0", "4") for s in concerned for name in ("scale_rows", "total")]
    assert [tuple(change.values()) for change in read_table(course.out / "changes.csv")] == wanted
    assert _mark(course, spec)[0].ran == []


def test_other_points_mark_everybody_again(course):
    _mark(course)
    spec = replace(TINY, exercises=(replace(SCALE, points=6), *TINY.exercises[1:]))
    marked, rows = _mark(course, spec)
    assert marked.ran == ["ada", "bob", "cy"] and rows["ada"]["scale_rows /6"] == "6"
    assert ("ada", "scale_rows", "4", "6") in [tuple(change.values()) for change in marked.changes]


def _fixed(twist):
    return replace(twist, cases=lambda seed: (*twist.cases(seed), Case("one more", twist.cases(seed + 1)[0].args)))


# --- gradebooks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def marked(course, tmp_path):
    """Marks of ada, bob and dan; cy's text is still to read."""
    lines = ["ada,Ada Lovelace,ada@u.edu,101,A", "bob,Bob,bob@u.edu,102,B", "cy,=Cy,cy@u.edu,103,B", "dan,Dan,dan@u.edu,104,B"]
    (tmp_path / "roster.csv").write_text("student,name,email,canvas_id,section\n" + "\n".join(lines) + "\n")
    _mark(course)
    _give(course, ada="1.5", bob="0")
    _mark(course)

    def write(form):
        assert export(form, TINY, course.out, tmp_path / "roster.csv", tmp_path / form) == (3, ["cy"])
        return tmp_path / form

    return write


def test_plain(marked):
    assert marked("plain").read_text() == "student,name,total,out of\nada,Ada Lovelace,5.5,7\nbob,Bob,4,7\ndan,Dan,0,7\n"


def test_canvas(marked):
    rows = list(csv.reader(io.StringIO(marked("canvas").read_text())))
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "tiny: A tiny lab"]
    assert rows[1][0].strip() == "Points Possible" and rows[1][5] == "7"
    assert rows[2:] == [
        ["Ada Lovelace", "101", "", "ada", "A", "5.5"],
        ["Bob", "102", "", "bob", "B", "4"],
        ["Dan", "104", "", "dan", "B", "0"],
    ]


def test_moodle(marked, course):
    rows = list(csv.DictReader(io.StringIO(marked("moodle").read_text())))
    assert list(rows[0]) == ["ID number", "Email address", "A tiny lab", "A tiny lab (feedback)"]
    assert (rows[0]["ID number"], rows[0]["Email address"], rows[0]["A tiny lab"]) == ("ada", "ada@u.edu", "5.5")
    assert rows[0]["A tiny lab (feedback)"] == (course.out / "feedback" / "ada.md").read_text().strip()


def test_gradescope(marked):
    folder = marked("gradescope")
    assert read_table(folder / "roster.csv")[0] == {"Full Name": "Ada Lovelace", "Email": "ada@u.edu", "SID": "ada"}
    result = json.loads((folder / "ada" / "results.json").read_text())
    assert result["score"] == 5.5 == sum(test["score"] for test in result["tests"])
    assert {test["name"]: test["max_score"] for test in result["tests"]} == {each.title: each.points for each in TINY.exercises}
    assert not (folder / "cy").exists()


def test_one_line_exports(marked, course, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(find, "load_spec", {"tiny": TINY}.get)
    line = ["export", str(course.out), "--lab", "tiny", "--form", "canvas", "--roster", str(tmp_path / "roster.csv")]
    assert main([*line, "--out", str(tmp_path / "one.csv")]) == 0
    assert (tmp_path / "one.csv").read_text() == marked("canvas").read_text()
    assert "3 students\nleft out, as written parts are still to read: cy" in capsys.readouterr().out


def test_what_does_not_fit_is_refused(marked, course, tmp_path):
    other = replace(TINY, exercises=TINY.exercises[:1] + (replace(TINY.exercises[1], points=7),))
    with pytest.raises(ValueError, match="marks of tiny"):
        export("plain", other, course.out, tmp_path / "roster.csv", tmp_path / "out")
    (tmp_path / "few.csv").write_text("student,name\nada,Ada\n")
    with pytest.raises(ValueError, match="bob"):
        export("plain", TINY, course.out, tmp_path / "few.csv", tmp_path / "out")
    (tmp_path / "bare.csv").write_text("student,name\n" + "".join(f"{student},x\n" for student in ROSTER))
    with pytest.raises(ValueError, match="email"):
        export("gradescope", TINY, course.out, tmp_path / "bare.csv", tmp_path / "out")
    assert set(FORMS) == {"plain", "canvas", "moodle", "gradescope"}
