"""What the recorded runs of Muon and AdamW say about the claims, three seeds where noise matters."""

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz.muon_runs import GROUPS, load_runs, pick, updates_to
from runs.muon import BEST, BETWEEN, DECAY_RATE, DECAY_STEPS, FOLDER, K2_DECAY, LEARNING_RATES, LENGTHS, SEEDS, SWEEP_STEPS


@pytest.fixture(scope="module")
def recorded():
    return load_runs(ROOT / FOLDER)


@pytest.fixture(scope="module")
def swept(recorded):
    """The sweep's run of an optimizer at a rate, seed 0."""
    return lambda how, lr, decay=K2_DECAY: pick(recorded, matrices=how, lr=lr, decay=decay, steps=SWEEP_STEPS, seed=0)[0]


@pytest.fixture(scope="module")
def best(recorded):
    """The three seeds of an optimizer's best setting, by length."""

    def of(how, steps):
        found = pick(recorded, matrices=how, lr=BEST[how], steps=steps)
        assert tuple(run.seed for run in found) == SEEDS
        return found

    return of


@pytest.mark.parametrize("how", ["muon", "adamw"])
def test_the_best_setting_is_the_sweeps_and_lies_within_it(swept, how):
    rates = (*LEARNING_RATES, *(BETWEEN if how == "adamw" else ()))
    ends = {lr: swept(how, lr).end for lr in rates}
    assert min(ends, key=ends.get) == BEST[how] and min(rates) < BEST[how] < max(rates)


def test_muons_loss_is_the_lower_one_at_every_rate_length_and_seed(swept, best):
    for lr in LEARNING_RATES:
        assert swept("muon", lr).end < swept("adamw", lr).end
    for steps in LENGTHS:
        muon, adamw = best("muon", steps), best("adamw", steps)
        assert max(run.end for run in muon) < min(run.end for run in adamw)
        assert all((one.held_out < other.held_out).all() for one, other in zip(muon, adamw, strict=True)), "at every reading"


def test_muon_needs_fewer_tokens_and_the_share_grows_with_the_length(best):
    ends = {how: [np.mean([run.end for run in best(how, steps)]) for steps in LENGTHS] for how in BEST}
    none, short, long = (updates_to(LENGTHS, ends["muon"], loss) for loss in ends["adamw"])
    assert none is None and 0.54 < short / 300 < 0.62 < long / 600 < 0.78
    gaps = np.subtract(ends["adamw"], ends["muon"])
    assert (np.diff(gaps) < 0).all() and (gaps > 0).all(), "the lead shrinks"


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


def test_muons_weights_have_the_higher_entropy_at_the_best_rates(best):
    for steps in LENGTHS:
        for muon, adamw in zip(best("muon", steps), best("adamw", steps), strict=True):
            assert (muon.entropy > adamw.entropy).mean() > 0.98
            assert all(
                muon.entropy[muon.groups == group].mean() > adamw.entropy[muon.groups == group].mean() for group in GROUPS
            )
