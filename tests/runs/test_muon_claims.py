"""What the recorded runs of Muon and AdamW say about the claims, three seeds where noise matters."""

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz.muon_runs import GROUPS, load_runs, pick, updates_to
from runs.muon import BEST, DECAY_RATE, DECAY_STEPS, FOLDER, K2_DECAY, LEARNING_RATES, LENGTHS, SEEDS, SWEEP_STEPS


@pytest.fixture(scope="module")
def recorded():
    return load_runs(ROOT / FOLDER)


@pytest.fixture(scope="module")
def swept(recorded):
    """The sweep's run of an optimizer at a rate, seed 0."""
    return lambda how, lr, decay=K2_DECAY: pick(recorded, matrices=how, lr=lr, decay=decay, steps=SWEEP_STEPS, seed=0)[0]


@pytest.mark.parametrize("how", ["muon", "adamw"])
def test_the_best_setting_is_the_sweeps_and_lies_within_it(swept, how):
    ends = {lr: swept(how, lr).end for lr in LEARNING_RATES}
    assert min(ends, key=ends.get) == BEST[how] and min(LEARNING_RATES) < BEST[how] < max(LEARNING_RATES)


def test_muons_loss_is_the_lower_one_at_every_rate(swept):
    for lr in LEARNING_RATES:
        assert swept("muon", lr).end < swept("adamw", lr).end
    assert (swept("muon", BEST["muon"]).held_out < swept("adamw", BEST["adamw"]).held_out).all(), "at every reading"


def test_muon_needs_some_sixty_percent_of_the_tokens_of_adamws_tuned_run(recorded, swept):
    seeds = {steps: pick(recorded, matrices="muon", lr=BEST["muon"], steps=steps) for steps in LENGTHS}
    assert all(tuple(run.seed for run in runs) == SEEDS for runs in seeds.values())
    ends = [np.mean([run.end for run in runs]) for runs in seeds.values()]
    share = updates_to(LENGTHS, ends, swept("adamw", BEST["adamw"]).end) / SWEEP_STEPS
    assert 0.58 < share < 0.66


def test_with_its_factor_every_update_of_muon_has_one_size(recorded):
    for run in recorded:
        if run.matrices == "muon":
            by_shape = [run.update_rms[-1][run.longer == side].mean() for side in set(run.longer)]
            assert 0.17 < min(by_shape) and max(by_shape) < 0.2
            assert 0.1 < run.update_rms[-1].min() and run.update_rms[-1].max() < 0.21


def test_without_it_sizes_spread_with_the_shape(recorded):
    (mini,) = pick(recorded, model="mini")
    plain, longer = mini.rms_without_factor()[-1], mini.longer
    means = [plain[longer == side].mean() for side in sorted(set(longer))]
    assert sorted(set(longer)) == [192, 288, 384, 512] and means == sorted(means, reverse=True)
    assert means[0] / means[-1] == pytest.approx((512 / 192) ** 0.5, rel=0.05)


def test_adamws_updates_are_the_sign_at_first_and_of_muons_size_later(swept):
    run = swept("adamw", BEST["adamw"])
    assert run.update_rms[0] == pytest.approx(1, abs=0.01)
    assert 0.2 < run.update_rms[-1].min() and run.update_rms[-1].max() < 0.4


@pytest.fixture(scope="module")
def decayed(recorded):
    """(without decay, with it): the long runs of seed 0."""
    find = {"matrices": "muon", "lr": DECAY_RATE, "steps": DECAY_STEPS, "seed": 0}
    return [pick(recorded, decay=decay, **find)[0] for decay in (0.0, K2_DECAY)]


def test_weights_grow_without_decay(decayed):
    free, held = decayed
    assert (np.diff(free.weight_rms)[:-2] > 0).all() and free.weight_rms[-1] > 1.5 * held.weight_rms[-1]


def test_without_decay_the_run_is_behind_at_the_end_and_led_before(decayed):
    free, held = decayed
    gap = free.held_out - held.held_out
    assert gap[-1] > 0 and ((gap < 0) == ((free.at >= 400) & (free.at <= 750))).all()


@pytest.mark.parametrize("lr", LEARNING_RATES)
def test_muons_weights_have_the_higher_entropy_at_equal_rates(swept, lr):
    assert (swept("muon", lr).entropy > swept("adamw", lr).entropy).mean() > 0.9


def test_muons_weights_have_the_higher_entropy_at_the_best_rates(swept):
    muon, adamw = (swept(how, lr) for how, lr in BEST.items())
    assert (muon.entropy > adamw.entropy).all()
    gaps = {group: (muon.entropy - adamw.entropy)[muon.groups == group].mean() for group in GROUPS}
    assert set(sorted(gaps, key=gaps.get)[-2:]) == {"router", "attention queries"}
