"""Lab 6: its table says what the specification says, and what its notebook says of its own runs is what they do."""

import pytest

from labs.course.find import load_notebook, load_spec
from tests.labs.notebooks import worked

SPEC = load_spec("lab06")
CELLS = {cell.id: cell.source for cell in load_notebook("lab06").cells}


@pytest.fixture(scope="module")
def names():
    """What the cells before the runs define, with the package's functions for a student's."""
    with worked(CELLS, SPEC, "teach") as known:
        known["lab"].answers["other_words"] = {"value": 40}
        yield known


@pytest.mark.parametrize("cell", ["chunks-use", "faithful-use", "budget-use", "accuracy-use", "landing-use"])
def test_use_cells_show_what_they_say(names, cell, capsys):
    exec(CELLS[cell], names)
    assert "not yet" not in capsys.readouterr().out


def test_the_package_refuses_the_three_wrong_rewritings_and_no_other(names, capsys):
    exec(CELLS["faithful-use"], names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == ["passes", "refused", "refused", "refused"]


@pytest.mark.slow
def test_the_student_of_ten_versions_knows_more_and_has_the_higher_training_loss(names, capsys):
    exec(CELLS["budget-use"], names)
    exec(CELLS["students"], names)
    out = capsys.readouterr().out
    right = {student: [found["right"] for found in names["results"][student]] for student in ("one", "ten")}
    assert right["one"][0] > 60 and right["ten"][0] > 55, out
    assert right["ten"][1] > right["one"][1] and SPEC["other_words"].low < right["ten"][2] < SPEC["other_words"].high, out
    losses = [float(line.split()[-1]) for line in out.splitlines() if "training loss" in line]
    assert losses[0] < losses[1]
