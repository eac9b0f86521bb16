"""runs.climb and `python -m kimi_mini rl`: the climb of MINI in small, and a row's form."""

import dataclasses
import json

import pytest

from kimi_mini.cli import main
from kimi_mini.rl import climb as package
from kimi_mini.rl.curriculum import Curriculum, held_out_problems
from runs import climb


@pytest.fixture
def in_small(monkeypatch):
    """Two updates of SFT, two iterations of eight answers."""
    small = dataclasses.replace(package.CLIMB, steps=2, problems=2, group=4, pool=16, held_out=8, evaluate_every=1)
    light = dataclasses.replace(package.LIGHT, steps=2, sequence_length=128, batch_size=1)
    monkeypatch.setattr(package, "CLIMB", small)
    monkeypatch.setattr(package, "LIGHT", light)
    monkeypatch.setattr(climb, "CLIMB", small)


def test_climbs_come_before_their_controls():
    names = [point.name for point in climb.points()]
    assert names == [f"{kind}-seed{seed}" for kind in ("climb", "control") for seed in (0, 1, 2)]


def test_sft_and_rl_see_the_same_problems_and_none_that_is_held_out():
    task, config = package.climb_task(), dataclasses.replace(package.CLIMB, pool=64, held_out=32)
    held = held_out_problems(task, 32)
    pool = Curriculum(task, held, 64, config.seed).pool
    asked = [dialogue.messages[0]["content"] for dialogue in package.gold_dialogues(task, pool)]
    assert asked == [problem.messages[0]["content"] for problem in pool]
    assert not {problem.id for problem in held} & {problem.id for problem in pool}


@pytest.mark.slow
def test_a_row_has_what_the_chapter_draws(in_small, monkeypatch, tmp_path):
    monkeypatch.setattr(climb, "FOLDER", tmp_path)
    row = climb.record(climb.Point("climb", 0), None, steps=2)
    assert [step for step, _ in row["held"]] == [0, 1, 2] and row["problems"] == 8
    assert {len(numbers) for numbers in row["log"].values()} == {2} and len(row["samples"]) == 2
    for group in row["groups"]:
        assert len(group["answers"]) == 4 and group["prompt"].startswith("Sort ")
        assert all(answer["old"] < 0 and answer["new"] < 0 for answer in group["answers"])
    (tmp_path / "climb-seed0.json").write_text(json.dumps(row))
    control = climb.record(climb.Point("control", 0), None, steps=2)
    assert control["held"][0] == row["held"][0], "both begin with the same policy"
    assert control["updates"] >= 1 and control["matches"] == row["spent"]


@pytest.mark.slow
def test_the_command_climbs_beside_a_control_and_a_second_call_does_nothing_again(in_small, tmp_path, capsys):
    arguments = ["rl", "--steps", "2", "--out", str(tmp_path / "run")]
    assert main([*arguments, "--no-control"]) == 0
    log = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert "after    2 iterations" in capsys.readouterr().out and (tmp_path / "run" / "model").is_dir()
    assert main(arguments) == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == log
    assert "control, " in capsys.readouterr().out
    assert main([*arguments, "--seed", "1"]) == 2 and "another folder" in capsys.readouterr().err
