"""Lab 2: what its notebook says of its own runs is what they do; its table says what the specification says."""

import re

import pytest
import torch

from labs.course.find import load_notebook, load_spec

SPEC = load_spec("lab02")
CELLS = {cell.id: cell.source for cell in load_notebook("lab02").cells}


@pytest.fixture(scope="module")
def names():
    """What the cells before the runs define, with the package's functions for a student's."""
    threads = torch.get_num_threads()
    known = {}
    for cell in (
        "setup",
        "imports",
        "router-practice",
        "dispatch-practice",
        "bias-practice",
        "row-practice",
        "layer",
        "parts",
        "run",
    ):
        exec(CELLS[cell], known)
    yield known
    torch.set_num_threads(threads)


def test_on_a_frozen_layer_one_speed_is_too_slow_and_one_swings(names, capsys):
    assert "the load swings" in CELLS["bias-use-after"]
    names["lab"]._passed |= {"router", "move_bias"}
    exec(CELLS["bias-use"], names)
    slow, right, fast = (
        [float(n) for n in re.findall(r"\d\.\d\d\b", line.split("moves")[1])] for line in capsys.readouterr().out.splitlines()
    )
    assert slow[-1] > 1.7 and slow == sorted(slow, reverse=True), "still coming down"
    assert right[-1] < 1.3
    assert fast[-1] > 1.7 and fast != sorted(fast, reverse=True)


def test_a_row_of_mini_adds_up_and_is_evener_when_updates_are_mixed(names, capsys):
    names["lab"]._passed |= {"router", "load_row"}
    exec(CELLS["row-use"], names)
    rows = [[float(n) for n in re.findall(r"\d\.\d\d", line)] for line in capsys.readouterr().out.splitlines()]
    assert rows[0][0] == rows[1][0] and rows[0][1] > rows[1][1] > rows[0][0]


@pytest.mark.slow
def test_without_the_rule_the_busiest_expert_carries_about_six_mean_loads(names):
    assert "carried about 6 mean loads" in CELLS["busiest-text"]
    rows, load_LE = names["Run"](0.0).train(80)
    assert load_LE.sum(1).tolist() == [40_960, 40_960] and 5.5 < rows[-1][2][0][1] < 6.5


@pytest.mark.slow
def test_a_speed_ten_times_as_fast_balances_and_a_huge_one_swings(names, capsys):
    """The lab can be done: a student finds a better speed than 0.001, and sees what is wrong with one that is too large."""
    names["lab"]._passed |= {"router", "dispatch_and_combine", "move_bias", "load_row"}
    exec(CELLS["train-slow"], names)
    exec(CELLS["train-own"].replace("my_speed = None", "my_speed = 0.01"), names)
    out = capsys.readouterr().out
    assert out.count("           40,960  ") == 8 and out.count("the mean is 2,560") == 2 and "your guess: 4.5" in out
    runs = {0.001: names["slow"], 0.01: names["own"], 0.5: names["Run"](0.5).train(80)}
    last = {speed: rows[-1] for speed, (rows, _) in runs.items()}
    ratio = {speed: row[2][0][1] for speed, row in last.items()}
    single = {speed: row[2][1][1] for speed, row in last.items()}
    assert 3 < ratio[0.001] < 5 and ratio[0.01] < 1.6
    assert single[0.01] < 2.5 and single[0.5] > 1.5 * ratio[0.5]
    assert SPEC["busiest"].low < ratio[0.001] < SPEC["busiest"].high
