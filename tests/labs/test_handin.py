"""What is taken from a hand-in, what is made of hostile outcomes, and files that cannot be used."""

import ast

import pytest

from labs.course.__main__ import main
from labs.course._harness import definitions
from labs.course.bake import measure
from labs.course.grade import judge
from labs.course.handin import Tried
from labs.course.key import read_key, read_roster
from tests.labs.tiny import SCALE

HUGE = 10**400
GOOD = {"result": 3, "arguments": None, "largest": None}


@pytest.mark.parametrize(
    "outcome",
    [
        None, 3, [], {}, {"error": 3}, {"result": 3}, GOOD, GOOD | {"largest": HUGE}, GOOD | {"result": HUGE},
        GOOD | {"result": {"int": "x"}}, GOOD | {"result": {"config": []}}, GOOD | {"result": {"dict": [[{"list": []}, 1]]}},
        GOOD | {"result": {"tensor": "", "shape": [1 << 40], "dtype": "float32"}}, GOOD | {"result": {"tensor": "AAAA"}},
        GOOD | {"result": {"tensor": "", "shape": "ab", "dtype": "float64"}},
        GOOD | {"result": {"script": 1, "done": 2, "calls": 3}},
    ],
)  # fmt: skip
def test_an_outcome_that_no_function_has_is_a_failed_case(outcome):
    twist = SCALE.twists[0]
    check = measure(twist, twist.cases(5), [("a hint", twist.mutant(twist.mistakes[0]))])
    for case in check["cases"]:
        case["case"]["largest"] = 1000
    mark = judge(SCALE, check, Tried([outcome] * len(check["cases"])))
    assert mark["points"] == 0 and "3 of 3 cases fail" in mark["why"]


def test_feedback_repeats_nothing_that_a_hand_in_says():
    twist = SCALE.twists[0]
    check = measure(twist, twist.cases(5), [])
    for error in ("tensor([0.31])", "Stolen: 0.31", "ValueError0.31: x", "__import__: 0.31"):
        mark = judge(SCALE, check, Tried([{"error": error}] * 3))
        assert "it stopped with an error" in mark["why"] and "0.31" not in mark["why"]
    assert "stopped with KeyError." in judge(SCALE, check, Tried([{"error": "KeyError: 0.31"}]))["why"]


def test_only_definitions_are_taken_from_a_notebook():
    cells = [
        "%matplotlib inline\nimport math\n!pip install x",
        "A = 3\nB: int = A + 1\nC = float(A)\nA += 1\nprint(A)\nD = lambda x: float(x)\nE = [float(x) for x in (1, 2)]",
        "def f(): return g()\nclass G: pass\nif A:\n    import os\nf()",
        "x = (",
        "\0",
        "-" * 100_000 + "1",
    ]
    kept, broken = definitions(cells)
    assert [(number, ast.unparse(node).splitlines()[0]) for number, node in kept] == [
        (1, "import math"), (2, "A = 3"), (2, "B: int = A + 1"), (2, "D = lambda x: float(x)"),
        (3, "def f():"), (3, "class G:"),
    ]  # fmt: skip
    assert [number for number, _ in broken] == [4, 5, 6]


@pytest.mark.parametrize(
    ("content", "says"),
    [("id,name\n1,a\n", "the columns student and name"), ("student,name\n../x,a\n", "an id that can name a folder"),
     ("student,name\n.x,a\n", "an id that"), ("student,name\na,a\na,b\n", "each id once"), ("", "the columns")],
)  # fmt: skip
def test_a_roster_that_cannot_be_used_is_refused(tmp_path, content, says):
    (tmp_path / "roster.csv").write_text(content)
    with pytest.raises(ValueError, match=says):
        read_roster(tmp_path / "roster.csv")


def test_a_key_is_not_lost_and_no_other_file_is_one(tmp_path, capsys):
    path = tmp_path / "key.json"
    assert main(["key", "--course", "A", "--out", str(path)]) == 0
    assert path.stat().st_mode & 0o077 == 0
    content = path.read_text()
    assert main(["key", "--course", "A", "--out", str(path)]) == 1
    assert path.read_text() == content and "File exists" in capsys.readouterr().err
    for wrong in ("", "{}", '{"course": "A", "secret": "00"}', '{"course": "A", "secret": 3}'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="key.json"):
            read_key(path)
