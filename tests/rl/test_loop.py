"""The loop: the same seed gives the same run, a kill changes nothing, and nothing is in the log twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import kimi_mini as km
from kimi_mini.rl import Problem, Rollout, Score
from kimi_mini.rl.budget import shaped
from kimi_mini.rl.config import RLConfig
from kimi_mini.rl.curriculum import Curriculum, held_out_problems
from kimi_mini.rl.loop import Learning, reinforce

sys.path.insert(0, str(Path(__file__).parent))
import tiny  # noqa: E402  (beside this file; a killed child runs it as a program)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    tiny.run(folder)
    return folder


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_clock(folder):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines(folder)]


def weights(folder):
    return load_file(next((folder / "model").glob("*.safetensors")))


def test_every_part_is_logged(whole):
    log = lines(whole)
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert [line["temperature"] for line in log] == pytest.approx([1.2, 1.12, 1.04, 0.96, 0.88, 0.8])
    assert [("held_out" in line, "held_out_at_start" in line) for line in log] == [
        (False, True), (True, False), (False, False), (True, False), (False, False), (True, False),
    ]  # fmt: skip
    for line in log:
        names = ("reward", "advantage", "length", "divergence", "surprisal", "truncated", "grad_norm", "half_solved")
        assert all(line[name] == line[name] for name in names), "a number, not NaN"
        assert line["divergence"] > 0 and 0 < line["surprisal"] < 8 and 0 <= line["truncated"] <= 1
        assert line["parts"]["share"] == pytest.approx(line["solved"])
    assert log[0]["held_out_at_start"]["drift"] == pytest.approx(0, abs=1e-5) and log[-1]["held_out"]["drift"] > 0


def test_the_same_seed_gives_the_same_run_and_another_one_does_not(whole, tmp_path):
    tiny.run(tmp_path / "again")
    assert without_clock(tmp_path / "again") == without_clock(whole)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(tmp_path / "again").values(), strict=True))
    other = Learning.start(*tiny.policy(), tiny.Evens(), RLConfig(**vars(tiny.CONFIG) | {"seed": 1}), tmp_path)
    assert [p.id for p in other.curriculum.pool] != [f"evens-{1_000_000 + i}" for i in range(16)]


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3])
def test_killed_at_any_moment_it_ends_with_the_same_bits_and_scores_nothing_twice(whole, tmp_path, after):
    """A real kill -9, as soon as the log has `after` lines; the second call goes on."""
    command = [sys.executable, tiny.__file__, str(tmp_path)]
    child = subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(km.__file__).parents[1])}
    )
    log = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.read_bytes().count(b"\n") >= after:
            child.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    assert child.wait(30) == -signal.SIGKILL, "it was done before it could be killed"
    tiny.run(tmp_path)
    assert without_clock(tmp_path) == without_clock(whole)
    for name, weight in weights(whole).items():
        assert torch.equal(weight, weights(tmp_path)[name]), name


def test_another_configuration_or_task_is_refused(whole):
    config = RLConfig(**vars(tiny.CONFIG) | {"tau": 0.9})
    with pytest.raises(ValueError, match="train.tau = 0.1 .now 0.9."):
        tiny.run(whole, config)


def test_garbage_is_scored_and_learned_from(tmp_path):
    """A policy of noise on a real task: special tokens, half characters, endless text."""
    from kimi_mini.rl.tasks.countdown import Countdown

    model, tokenizer = tiny.policy()
    config = RLConfig(**vars(tiny.CONFIG) | {"steps": 1, "ptx_rows": 0, "penalty": 0.5})
    reinforce(model, tokenizer, Countdown(budget=12), config, tmp_path, progress=False)
    assert lines(tmp_path)[0]["solved"] == 0 and lines(tmp_path)[0]["truncated"] > 0


# ---- budget, temperature, curriculum, config ----------------------------------------------------------------------------


def test_the_penalty_is_for_the_truncated_only():
    ended, cut = (Rollout((1, 2), (-1.0, -1.0), (True, True), 0, finished) for finished in (True, False))
    right, wrong = Score(1.0, {}), Score(0.0, {})
    assert [shaped(right, ended, 0.5), shaped(wrong, ended, 0.5)] == [1.0, 0.0]
    assert [shaped(right, cut, 0.5), shaped(wrong, cut, 0.5)] == [-0.5, -0.5]
    assert shaped(right, cut, None) == 1.0
    assert right == Score(1.0, {}), "the score stays what it was"


def test_the_temperature_falls_in_a_straight_line():
    config = RLConfig(steps=5, temperature=1.4, final_temperature=0.6)
    assert [config.temperature_at(step) for step in range(5)] == pytest.approx([1.4, 1.2, 1.0, 0.8, 0.6])
    assert RLConfig(steps=1, temperature=1.4).temperature_at(0) == 1.4


def test_held_out_problems_are_in_no_pool_and_half_solved_ones_come_more_often():
    class Few(tiny.Evens):
        def problem(self, seed):
            return Problem(self.name, f"evens-{seed % 40}", (), {})

    held = held_out_problems(Few(), 8)
    curriculum = Curriculum(Few(), held, 32, seed=0)
    assert not {p.id for p in held} & {p.id for p in curriculum.pool} and len({p.id for p in curriculum.pool}) == 32
    curriculum.note(range(32), [0.0] * 12 + [1.0] * 12 + [0.5] * 8)
    drawn = [place for _ in range(50) for place in curriculum.draw(4)]
    assert sum(place >= 24 for place in drawn) > 0.5 * len(drawn) > 0 and min(drawn) < 24
    other = Curriculum(Few(), held, 32, seed=0)
    other.load_state(json.loads(json.dumps(curriculum.state())))
    assert other.draw(6) == curriculum.draw(6)
    with pytest.raises(ValueError, match="different problems of evens"):
        Curriculum(Few(), held, 33, seed=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("group", 1), ("tau", 0.0), ("tau", float("nan")), ("loss", "ppo"), ("penalty", -1), ("budget", 0),
     ("updates", 3), ("final_temperature", 0), ("ptx_weight", float("inf")), ("held_out", True)],
)  # fmt: skip
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field} = "):
        RLConfig(**{field: value})
