"""Lab 0: what a case's name and the notebook's table promise."""

import pytest

import kimi_mini as km
from labs.course.find import load_notebook, load_spec

SPEC = load_spec("lab00")
VARIANTS = [variant for exercise in SPEC.coding for variant in (exercise.practice, *exercise.twists)]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: f"{variant.function}-{variant.name}")
def test_the_name_of_a_case_is_python_that_gives_its_arguments(variant):
    for seed in (0, 1, 2507):
        for case in variant.cases(seed):
            assert eval(f"({case.name},)", {"km": km}) == case.args


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: f"{variant.function}-{variant.name}")
def test_another_seed_brings_other_cases_and_the_same_seed_the_same(variant):
    assert variant.cases(1) == variant.cases(1)
    assert variant.cases(1) != variant.cases(2)


def test_table_and_headings_of_the_notebook_say_what_the_specification_says():
    text = "\n".join(cell.source for cell in load_notebook("lab00").cells if cell.cell_type == "markdown")
    for number, exercise in enumerate(SPEC.exercises, 1):
        difficulty = getattr(exercise, "difficulty", 1)
        assert f"| {number}. {exercise.title} | {exercise.minutes} | {difficulty} of 3 | {exercise.points} |" in text
        points = f"{exercise.points} point{'s' * (exercise.points > 1)}"
        heading = f"## {number}. {exercise.title}\n\n*{exercise.minutes} minutes, difficulty {difficulty} of 3, {points}"
        assert heading in text
    assert sum(exercise.minutes for exercise in SPEC.exercises) == 45
