"""One more task that MINI learns: the recorded runs, and a small one made now."""

import dataclasses
import json

import pytest

from kimi_mini.dev import ROOT
from runs import rl_tasks


@pytest.mark.slow
def test_a_run_records_its_curve_and_is_made_again():
    config = dataclasses.replace(rl_tasks.CONFIG, steps=1, problems=2, group=2, pool=4, held_out=2, updates=1)
    first, again = (rl_tasks.record(rl_tasks.Point(0), None, config) for _ in range(2))
    assert first["curve"] == again["curve"] and len(first["curve"]) == 1
    assert {"held_out", "held_out_at_start", "reward", "parts"} <= set(first["curve"][0])
    assert first["config"]["steps"] == 1


@pytest.mark.parametrize("file", sorted((ROOT / rl_tasks.FOLDER).glob("*.json")), ids=lambda file: file.stem)
def test_mini_learns_to_say_what_its_calculator_told_it(file):
    row = json.loads(file.read_text(encoding="utf-8"))
    curve, asked = row["curve"], row["config"]["held_out"]
    before, after = curve[0]["held_out_at_start"]["right"] / asked, curve[-1]["held_out"]["right"] / asked
    assert len(curve) == row["config"]["steps"]
    assert before < 0.5 and after > before + 0.3
    assert curve[-1]["held_out"]["truncated"] < 0.05 and 0.8 < curve[-1]["length"] / curve[0]["length"] < 1.2


def test_there_is_a_recorded_run():
    assert list((ROOT / rl_tasks.FOLDER).glob("*.json"))
