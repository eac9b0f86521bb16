"""The tables about K2: spot checks against the report, what is missing stays missing, and who can be first."""

import pytest

from kimi_mini.evals import reported
from kimi_mini.evals.reported import TABLES, Row, count_firsts, first_of, mean_of

TABLE = TABLES["instruct"]
TEN = [row for row in TABLE.rows if row.key != "swe_many"]
TAU2 = [TABLE[key] for key in ("retail", "airline", "telecom")]


def test_cells_are_the_reports():
    assert [TABLE["swe"].cell(model) for model in TABLE.models] == ["65.8", "38.8", "34.4", "72.7*", "72.5*", "54.6", "-"]
    assert TABLE["swe_many"].values == {"k2": 71.6, "sonnet": 80.2, "opus": 79.4}
    assert TABLE["lcb"].cell("opus") == "47.4" and TABLE["aime"].cell("qwen") == "40.1*"
    assert [TABLES["base"]["math"].values[model] for model in TABLES["base"].models] == [70.22, 61.70, 63.02, 62.68]
    assert len(TABLE.rows) == 11 and len(TABLES["alone"].rows) == 33 and len(TABLES["base"].rows) == 23
    assert min(row.values["k2"] for row in TABLES["safety"].rows) == 43.90


def test_every_model_and_key_is_known_and_no_table_repeats_one():
    for table in TABLES.values():
        keys = [row.key for row in table.rows]
        assert len(set(keys)) == len(keys) and set(table.models) <= set(reported.MODELS)
        assert all(set(row.values) <= set(table.models) and "k2" in "".join(row.values) for row in table.rows)


def test_tau2_by_task_and_by_domain_is_what_the_report_says_within_its_rounding():
    said = {"k2": 66.1, "deepseek": 48.8, "qwen": 37.3}
    for model, mean in said.items():
        assert mean_of(TAU2, model, weighted=True) == pytest.approx(mean, abs=0.13)
    assert mean_of(TAU2, "k2", weighted=True) == pytest.approx(66.1, abs=0.05) and mean_of(TAU2, "k2") == pytest.approx(64.3)


def test_a_model_without_a_value_has_no_mean_and_is_not_last():
    assert mean_of(TEN, "gemini") is None and mean_of(TAU2, "gemini") is not None
    assert first_of([TABLE["swe"]], ["gemini"]) == ()
    low = Row("low", "Low", "code", None, None, None, {"a": 1.0})
    high = Row("high", "High", "code", None, None, None, {"a": 2.0, "b": 99.0})
    assert first_of([low, high], ["a", "b"]) == ("a",), "b has no value for one of them"


def test_by_question_needs_the_number_of_questions():
    with pytest.raises(ValueError, match="questions"):
        mean_of([TABLE["swe"], TABLE["lcb"]], "k2", weighted=True)


def test_four_models_can_be_first():
    counts = count_firsts(TEN, TABLE.models)
    assert sum(counts.values()) == 2**10 - 1
    assert {model for first in counts for model in first} == {"k2", "opus", "sonnet", "gpt"}
    assert first_of([TABLE["swe"]], TABLE.models) == ("sonnet",) and first_of([TABLE["ace"]], TABLE.models) == ("gpt",)
    assert first_of(TAU2, TABLE.models) == ("opus",) and first_of(TEN, TABLE.models) == ("k2",)


def test_ties_are_told():
    row = Row("one", "One", "code", None, 10, "by hand", {"a": 5.0, "b": 5.0, "c": 1.0})
    assert first_of([row], "abc") == ("a", "b")


def test_discrepancies_between_official_papers_have_two_sources():
    official = [each for each in reported.DISCREPANCIES if each.kind == "official"]
    assert len(official) == 9 and all(each.first[1] and each.second[1] for each in official)
    assert {each.kind for each in reported.DISCREPANCIES} == {"official", "rounding", "account"}
    zebra = official[0]
    assert (zebra.first[0], zebra.second[0]) == (79.7, 73.7)
    assert len(reported.ACCOUNT) == 20


@pytest.mark.parametrize(
    ("change", "wanted"),
    [({"values": {"k2": 658}}, "percent"), ({"questions": 500}, "who counted"), ({"vendor": ("x",)}, "have a value")],
)
def test_a_row_that_makes_no_sense_is_refused(change, wanted):
    fields = {"key": "a", "name": "A", "domain": "code", "metric": None, "questions": None, "questions_by": None}
    with pytest.raises(ValueError, match=wanted):
        Row(**fields | {"values": {"k2": 65.8}} | change)
