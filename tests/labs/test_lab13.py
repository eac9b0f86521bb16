"""Lab 13: its table says what the specification says, its use cells show it, its ten sentences are judged by the sources."""

import pytest

from kimi_mini.evals.reported import TABLES
from labs.course.find import load_notebook, load_spec
from tests.labs.notebooks import worked

SPEC = load_spec("lab13")
CELLS = {cell.id: cell.source for cell in load_notebook("lab13").cells}


@pytest.fixture(scope="module")
def names():
    """What the cells before the use cells define, with the package's functions for a student's."""
    with worked(CELLS, SPEC) as known:
        yield known


def test_the_use_cells_show_the_two_means_and_the_missing_figure(names, capsys):
    exec(CELLS["means-use"], names)
    out = capsys.readouterr().out
    assert "by row 64.3, by question 66.1" in out
    alone, with_swe = out.split("Tau2 and SWE-bench Verified")
    assert "Gemini 2.5 Flash   by row" in alone and "Gemini 2.5 Flash   no mean" in with_swe


def test_the_gap_depends_on_what_was_solved_together(names, capsys):
    exec(CELLS["gap-use"], names)
    close, apart, alone = (line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines())
    ends = [tuple(map(float, text.split("points, ")[-1].split(";")[0].split(" to "))) for text in (close, apart, alone)]
    widths = [high - low for low, high in ends]
    assert widths[0] < widths[2] < widths[1] and ends[0][0] > 0


def test_72_5_percent_of_500_tasks_is_no_whole_number_and_65_8_is():
    swe = TABLES["instruct"]["swe"]
    whole = {model: abs(5 * value - round(5 * value)) < 1e-9 for model, value in swe.values.items()}
    assert [model for model, fits in whole.items() if not fits] == ["sonnet", "opus"]
    assert round(5 * swe.values["k2"]) == 329


def test_the_sentences_are_ten_and_the_rubric_judges_each():
    lines = [line for line in CELLS["sentences-text"].splitlines() if line.split(". ")[0].isdigit()]
    assert [int(line.split(".")[0]) for line in lines] == list(range(1, 11))
    rubric = SPEC["sentences"].rubric
    assert all(f"{number}: " in rubric for number in range(1, 11)) and SPEC["sentences"].points == 10
    table = TABLES["instruct"]
    assert table["swe"].cell("sonnet") == "72.7*" and table["swe"].cell("opus") == "72.5*", "what sentence 1 mixes up"
    assert table["swe_many"].cell("k2") == "71.6"
