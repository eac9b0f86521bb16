"""The file of MINI's answers: every benchmark is in it, and its numbers are those of its rows."""

import json

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.evals.estimate import average, pass_at_k
from kimi_mini.evals.measure import held_out
from kimi_mini.rl.tasks import tasks
from runs import evals


@pytest.fixture(scope="module")
def content():
    return json.loads((ROOT / evals.FOLDER / "mini.json").read_text(encoding="utf-8"))


def test_every_benchmark_is_there_with_the_problems_that_training_leaves_alone(content):
    assert [row["benchmark"] for row in content["benchmarks"]] == list(tasks())
    for row in content["benchmarks"]:
        ids = [problem.id for problem in held_out(tasks()[row["benchmark"]], row["asked"])]
        assert [problem["id"] for problem in row["problems"]] == ids


def test_the_numbers_are_those_of_the_rows(content):
    for row in content["benchmarks"]:
        right, samples = [problem["right"] for problem in row["problems"]], row["samples"]
        assert row["average"] == pytest.approx(average(right, samples)._asdict())
        for k, estimate in row["pass_at"].items():
            assert estimate == pytest.approx(pass_at_k(right, samples, int(k))._asdict())
        assert row["answers"] == samples * row["asked"] and 0 <= row["truncated"] <= row["answers"]


def test_what_mini_can_do_untaught_is_what_its_text_taught(content):
    rows = {row["benchmark"]: row["average"] for row in content["benchmarks"]}
    assert rows["tools-calculator"]["low"] > 0.25  # its text has dialogues with this very calculator
    assert all(rows[name]["value"] < 0.02 for name in rows if name != "tools-calculator")
