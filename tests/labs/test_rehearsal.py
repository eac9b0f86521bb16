"""A made-up class: every kind of hand-in is marked as it should be, and the watch has looked at each."""

import pytest

from kimi_mini.sandbox import SandboxUnavailable, run
from labs.course import find, handin
from labs.course.__main__ import main
from labs.course.exercise import Guess
from labs.course.rehearsal import KINDS, Rehearsal, rehearse


@pytest.mark.slow
def test_a_made_up_class_is_marked(monkeypatch):
    try:
        run("")
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    monkeypatch.setattr(handin, "SECONDS", 5.0)
    spec = find.load_spec("lab00")
    outcome = rehearse(spec, find.load_notebook("lab00"), len(KINDS))
    guesses = sum(each.points for each in spec.exercises if isinstance(each, Guess))
    points = [each.points for each in spec.coding]
    full, half, rest = sum(points), sum(points[: (len(points) + 1) // 2]), sum(points[1:])
    wanted = dict.fromkeys(KINDS, {guesses}) | {"right": {guesses + full}, "half": {guesses + half}, "hangs": {guesses + rest}}
    assert outcome.points == wanted
    assert {kind: len(seconds) for kind, seconds in outcome.seconds.items()} == {kind: KINDS.count(kind) for kind in KINDS}
    assert all(second > 0 for seconds in outcome.seconds.values() for second in seconds) and outcome.count == len(KINDS)


def test_what_it_says():
    text = str(Rehearsal({"right": [1.0, 2.0], "hangs": [21.0]}, 30.0, 12.0, {"right": {11.0}, "hangs": {7.0}}))
    assert "right               2      1.5       11\n" in text
    assert text.endswith("3 hand-ins in 30 s (12 s of processor time), 10.0 s each;\n120 such hand-ins: 20 minutes")


def test_no_student_at_all_is_refused(capsys):
    assert main(["rehearse", "--lab", "lab00", "--students", "0"]) == 1
    assert "students = 0" in capsys.readouterr().err
