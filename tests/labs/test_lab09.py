"""Lab 9: its table says what the specification says, and what its notebook says of its own runs is what they do."""

import pytest

from labs.course.find import load_notebook, load_spec
from tests.labs.notebooks import worked

SPEC = load_spec("lab09")
CELLS = {cell.id: cell.source for cell in load_notebook("lab09").cells}


@pytest.fixture(scope="module")
def names():
    """What the cells before the students define, with the package's functions for a student's."""
    with worked(CELLS, SPEC, "mask-use", "judge-use", "teach") as known:
        yield known


@pytest.mark.parametrize("cell", ["tool-use", "calls-use", "mask-use"])
def test_use_cells_show_what_they_say(names, cell, capsys):
    exec(CELLS[cell], names)
    assert "not yet" not in capsys.readouterr().out


def test_no_tool_result_and_no_user_is_learned(names, capsys):
    exec(CELLS["mask-use"], names)
    learned = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[<") or line.startswith("[No")]
    assert len(learned) == 2 and all(line.endswith("<|im_end|>]") for line in learned)


def test_about_a_third_of_the_runs_lie_and_the_judge_drops_just_these_and_breaches(names):
    lies = 0
    for run in names["runs"]:
        result, last = (message["content"] for message in names["dialogues"][run["id"]][2:])
        lie = result.startswith('{"ok":false') and last == names["DONE"]
        lies += lie
        assert not (lie and run["kept"])
    assert 0.25 < lies / len(names["runs"]) < 0.42


def test_the_exam_is_of_a_tool_that_nobody_has_seen(names):
    assert "book_flight" not in {tool for run in names["runs"] for tool in run["tools"]}
    for refused in (True, False):
        found = names["bookings"](refused, 12)
        assert len(found) == 12
        assert all(('"ok":false' in dialogue[2]["content"]) == refused for dialogue in found)


@pytest.mark.slow
def test_a_student_of_kept_runs_tells_refusals_and_what_was_done(names):
    names.update(REFUSED=names["bookings"](True, 12), MADE=names["bookings"](False, 12), made=[])
    kept = names["shuffled"]([run["id"] for run in names["runs"] if run["kept"]], 0)
    assert names["student"](kept, 0) >= 10 and names["made"][0] >= 10
