"""Instructors' sheets: they are what the exercises say, and no student gets one."""

from dataclasses import replace

import pytest

import kimi_mini as km
from labs.course import find
from labs.course.exercise import Written
from labs.course.sheet import LEVELS, Sample, Sheet, render
from tests.labs.tiny import TINY

LABS = find.lab_names()
SAMPLES = tuple(Sample(points, f"An answer | of {points}.\n\nIts end.", f"Why {points}.") for points in (0, 1, 2))


@pytest.mark.parametrize("name", LABS)
def test_a_sheet_is_up_to_date(name):
    text = (find.SHEETS / f"{name}.md").read_text(encoding="utf-8")
    assert text == render(find.load_spec(name), find.load_sheet(name)), "run `python -m labs.course sheets`"


def test_no_sheet_is_left_over():
    assert sorted(path.stem for path in find.SHEETS.glob("*.md")) == LABS


@pytest.mark.parametrize("name", LABS)
def test_no_student_gets_sample_answers(name):
    notebook = (find.STUDENT / f"{name}.ipynb").read_text(encoding="utf-8")
    for samples in find.load_sheet(name).samples.values():
        assert all(line not in notebook for sample in samples for line in sample.text.splitlines() if len(line) > 40)


@pytest.mark.parametrize("name", ["lab00", "lab02", "lab03", "lab04", "lab05", "lab06", "lab07", "lab10", "lab11", "lab13"])
def test_written_parts_have_samples(name):
    written = {each.name for each in find.load_spec(name).exercises if isinstance(each, Written)}
    assert set(find.load_sheet(name).samples) == written


def test_numbers_of_lab00s_samples_are_the_packages():
    base = km.count_parameters(km.K2)
    text = "".join(sample.text for sample in find.load_sheet("lab00").samples["two_changes"])
    for change, stored, active in ((dict(num_attention_heads=128), "0.5", "16.0"), (dict(n_routed_experts=768), "98.9", "0.5")):
        changed = km.count_parameters(km.K2.replace(**change))
        assert f"{100 * (changed.total / base.total - 1):.1f}" == stored and stored in text
        assert f"{100 * (changed.activated / base.activated - 1):.1f}" == active and active in text


def test_what_a_sheet_holds():
    text = render(TINY, Sheet({"share": "Ask the back row."}, {"gap": SAMPLES}))
    assert "| 0-5 | 1. Scale rows | `scale_rows` for practice, then `my_scale_rows` (difficulty 1 of 3) | 4 |" in text
    assert "| 5-7 | 2. A share | each locks a guess, before anybody computes. Ask the back row. | 1 |" in text
    assert "planned, not measured" in text and "**Rubric.** Names both numbers." in text
    assert [
        f"**{level.capitalize()}: {points} of 2.** Why {points}." in text for level, points in zip(LEVELS, "012", strict=True)
    ]
    assert "> An answer | of 2.\n>\n> Its end." in text
    assert "| forgets the factor | all | The factor is missing. |" in text
    assert "| divides | practice | That divides by the factor. |" in text


def test_a_sheet_without_samples_says_so():
    assert "No sample answers are written yet." in render(TINY, Sheet())


@pytest.mark.parametrize(
    ("sheet", "field"),
    [
        (Sheet({"nothing": "A note."}), "notes of tiny"),
        (Sheet(samples={"share": SAMPLES}), "samples of tiny"),
        (Sheet(samples={"gap": SAMPLES[:2]}), "points of the samples of 'gap'"),
        (Sheet(samples={"gap": SAMPLES[::-1]}), "points of the samples of 'gap'"),
        (Sheet(samples={"gap": (*SAMPLES[:2], replace(SAMPLES[2], points=3))}), "points of the samples of 'gap'"),
    ],
)
def test_a_sheet_that_does_not_fit_is_refused(sheet, field):
    with pytest.raises(ValueError, match=field):
        render(TINY, sheet)
