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
def best(recorded):
    """The three seeds of an optimizer's best setting, by length."""

    def of(how, steps):
        found = pick(recorded, matrices=how, lr=BEST[how], steps=steps)
        assert tuple(run.seed for run in found) == SEEDS
        return found

    return of


@pytest.mark.parametrize("how", ["muon", "adamw"])
def test_the_best_setting_is_the_sweeps_and_lies_within_it(recorded, how):
    rates = (*LEARNING_RATES, *(BETWEEN if how == "adamw" else ()))
    ends = {lr: pick(recorded, matrices=how, lr=lr, steps=SWEEP_STEPS, seed=0)[0].end for lr in rates}
    assert min(ends, key=ends.get) == BEST[how] and min(rates) < BEST[how] < max(rates)
    (free,) = pick(recorded, matrices=how, lr=BEST[how], steps=SWEEP_STEPS, decay=0.0)
    assert free.end > ends[BEST[how]], "without decay it is not better"


def test_muons_loss_is_the_lower_one_at_every_length_and_seed(best):
    for steps in LENGTHS:
        muon, adamw = ([run.end for run in best(how, steps)] for how in ("muon", "adamw"))
        assert max(muon) < min(adamw), steps


def test_muon_needs_about_@SHARE@_of_the_tokens(best):
    ends = {how: [np.mean([run.end for run in best(how, steps)]) for steps in LENGTHS] for how in BEST}
    shares = [updates_to(LENGTHS, ends["muon"], loss) for loss in ends["adamw"]]
    assert @SHARES@


def test_muon_leads_at_every_recorded_update_of_the_longest_runs(best):
    for muon, adamw in zip(best("muon", 600), best("adamw", 600), strict=True):
        assert (muon.held_out < adamw.held_out).all()


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


def test_adamws_updates_are_the_sign_at_first_and_of_muons_size_later(best):
    for run in best("adamw", 600):
        assert run.update_rms[0] == pytest.approx(1, abs=0.01)
        assert 0.15 < run.update_rms[-1].mean() < 0.4


def test_weights_grow_without_decay(recorded):
    for seed in SEEDS:
        free, held = (pick(recorded, lr=DECAY_RATE, steps=DECAY_STEPS, decay=d, seed=seed)[0] for d in (0.0, K2_DECAY))
        assert (np.diff(free.weight_rms)[:-2] > 0).all() and free.weight_rms[-1] > 1.4 * held.weight_rms[-1]


@DECAYTEST@


def test_muons_weights_have_the_higher_entropy(best):
    for steps in LENGTHS:
        for muon, adamw in zip(best("muon", steps), best("adamw", steps), strict=True):
            assert (muon.entropy > adamw.entropy).mean() > 0.9
            gaps = {group: (muon.entropy - adamw.entropy)[muon.groups == group].mean() for group in GROUPS}
            assert min(gaps.values()) > 0
