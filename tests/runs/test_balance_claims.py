"""What the recorded runs say of balance: biases, the balance loss, centring and devices, three seeds each."""

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import balance
from runs.balance import FOLDER, SEEDS


@pytest.fixture(scope="module")
def picked():
    runs = balance.load_runs(ROOT / FOLDER)
    found = {rule: balance.pick(runs, rule) for rule in balance.NAMES}
    assert all(tuple(run.seed for run in seeds) == SEEDS for seeds in found.values())
    return found


def ends(seeds):
    return np.array([run.end_violation for run in seeds])


def held_out(seeds):
    return np.array([run.held_out for run in seeds])


def test_a_bias_balances_and_too_fast_a_one_flaps(picked):
    assert (ends(picked["rate0"]) > 3.4).all()
    assert (ends(picked["rate0.001"]) < 1).all() and (ends(picked["rate0.01"]) < 0.8).all()
    assert (ends(picked["rate0.1"]) > 2.5).all()
    assert all(run.end_echo < -0.3 for run in picked["rate0.1"]) and all(run.end_echo > 0.9 for run in picked["rate0"])
    assert all(min(run.idle) >= 6 for run in picked["rate0"]) and not any(sum(run.idle) for run in picked["rate0.01"])


def test_a_bias_costs_less_loss_than_a_strong_balance_loss(picked):
    for weight in ("alpha1", "alpha0.1"):
        assert (held_out(picked["rate0.01"]) < held_out(picked[weight])).all()


def test_balance_does_not_lower_the_loss_here(picked):
    assert min(picked, key=lambda rule: held_out(picked[rule]).mean()) == "rate0"


def test_the_centred_rule_keeps_the_mean_at_zero_and_chooses_alike_until_rounding_parts_them(picked):
    for plain, centred in zip(picked["rate0.01"], picked["rate0.01-centred"], strict=True):
        assert np.abs(centred.bias_mean).max() < 1e-6 and (plain.bias_mean[-1] > 0.2).all()
        assert (plain.load[:27] == centred.load[:27]).all()
    same = [bool((p.load == c.load).all()) for p, c in zip(picked["rate0.01"], picked["rate0.01-centred"], strict=True)]
    assert same == [False, True, True]


def test_the_same_routes_are_evener_on_fewer_devices():
    mini, _ = balance.load_mini(ROOT / FOLDER)
    for load, devices in ((mini, (2, 4, 8, 16, 32)), (balance.toy_loads(384, 0.7), (8, 16, 32, 64, 128))):
        middles = [balance.pooled(load, [count])[count][1] for count in devices]
        assert (np.diff(middles) > 0.05).all()
