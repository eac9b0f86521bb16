"""The figures of the thermostat: what a reader gets is what was recorded, and pooling is the package's own sum."""

import json

import numpy as np
import pytest
import torch

from kimi_mini.dev import ROOT
from kimi_mini.optim import device_load, max_violation
from kimi_mini.viz import balance
from kimi_mini.viz.series import unpack


@pytest.fixture(scope="module")
def runs():
    return balance.load_runs(ROOT / "book" / "data" / "balance")


def test_the_thermostat_holds_every_recorded_run(runs):
    data = balance.thermostat(runs).data
    assert list(data["runs"]) == [f"{rule}/{seed}" for rule in balance.NAMES for seed in (0, 1, 2)]
    run = balance.pick(runs, "rate0.1")[1]
    told = data["runs"][run.key]
    drawn = unpack(told["load"], (data["steps"] // data["every"], 2, data["experts"]))
    assert (drawn == run.load[1::2]).all() and told["held_out"] == run.held_out
    assert data["devices"] == [1, 2, 4, 8, 16, 32]
    assert len(json.dumps(data)) < 700_000


def test_the_busiest_device_is_the_packages(runs):
    load = balance.pick(runs, "rate0")[0].load
    own = max_violation(device_load(torch.from_numpy(np.asarray(load)), 8)).numpy() + 1
    assert balance.busiest(load, 8) == pytest.approx(own)
    assert balance.pooled(load, [1])[1] == pytest.approx((1.0, 1.0, 1.0))


def test_toy_loads_have_the_spread_that_is_asked_for():
    load = balance.toy_loads(384, 0.7, draws=400)
    assert load.mean() == pytest.approx(1, abs=0.01) and load.std() == pytest.approx(0.7, abs=0.02)
    with pytest.raises(ValueError, match="spread = 0"):
        balance.toy_loads(8, 0)


def test_a_folder_without_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs.balance"):
        balance.load_runs(tmp_path)
    with pytest.raises(ValueError, match=r"mini.json"):
        balance.load_mini(tmp_path)
