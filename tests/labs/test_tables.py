"""The table and the headings of a lab's notebook say what its specification says."""

import pytest

from labs.course.find import load_notebook, load_spec

MINUTES = {
    "lab02": 115,
    "lab03": 100,
    "lab05": 90,
    "lab06": 100,
    "lab07": 150,
    "lab09": 120,
    "lab10": 130,
    "lab11": 100,
    "lab13": 60,
}


@pytest.mark.parametrize("name", MINUTES)
def test_a_lab_says_what_its_parts_are_worth(name):
    spec, text = load_spec(name), "\n".join(cell.source for cell in load_notebook(name).cells)
    for number, exercise in enumerate(spec.exercises, 1):
        difficulty = getattr(exercise, "difficulty", None)
        cell = f"{difficulty} of 3" if difficulty else ""
        assert f"| {number}. {exercise.title} | {exercise.minutes} | {cell} | {exercise.points} |" in text
        rated = f", difficulty {cell}" if difficulty else ""
        points = f"{exercise.points} point{'s' * (exercise.points > 1)}"
        assert f"## {number}. {exercise.title}\n\n*{exercise.minutes} planned minutes{rated}, {points}" in text
    total, points = (sum(getattr(each, what) for each in spec.exercises) for what in ("minutes", "points"))
    assert total == MINUTES[name] and f"| all | {total} | | {points} |" in text
