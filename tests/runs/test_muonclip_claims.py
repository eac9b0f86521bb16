"""What the recorded runs of the runaway heads say about the claims, three seeds each."""

import math

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz.muonclip_runs import load_runs, pick
from runs.muonclip import FOLDER, LEARNING_RATES, SEEDS


@pytest.fixture(scope="module")
def runs():
    recorded = load_runs(ROOT / FOLDER)

    def settings(optimizer, lr, tau=math.inf, decay=0.0):
        found = pick(recorded, optimizer=optimizer, lr=lr, tau=tau, decay=decay)
        assert tuple(run.seed for run in found) == SEEDS
        return found

    return settings


def test_logits_run_away_under_plain_muon_at_a_high_rate(runs):
    assert all(run.max_logits.max() > 1000 for run in runs("muon", 0.1))
    assert all(run.max_logits.max() < 30 for run in runs("muon", 0.01))


def test_whole_layers_run_away_and_another_never(runs):
    for run in runs("muon", 0.1):
        assert ((run.max_logits.max(0) > 100).sum(1) == [0, 8, 8]).all()


def test_logits_run_away_under_adamw_too(runs):
    assert all(run.max_logits.max() > 500 for run in runs("adamw", 0.03))


def test_no_run_broke_at_these_logits(runs):
    for optimizer in ("muon", "adamw"):
        for run in runs(optimizer, 0.1):
            assert len(run.loss) == 150 and run.loss[50:].max() < run.loss[0] + 0.5


@pytest.mark.parametrize("tau", [100.0, 30.0])
@pytest.mark.parametrize("lr", LEARNING_RATES)
def test_the_clip_costs_no_loss_and_holds_near_tau(runs, lr, tau):
    for clipped, free in zip(runs("muon", lr, tau), runs("muon", lr), strict=True):
        assert clipped.end_loss < free.end_loss + 0.01
        assert clipped.max_logits.max() < (4 if lr == 0.1 else 1.4) * tau


def test_a_clip_per_head_leaves_heads_alone_that_one_factor_a_layer_would_shrink(runs):
    for run in runs("muon", 0.03, 100.0):
        touched_LH = run.log_gamma[-1] < 0
        assert 0 < touched_LH.sum() < touched_LH.any(1).sum() * touched_LH.shape[1]


def test_weight_decay_holds_the_logits_near_a_hundred(runs):
    assert all(run.max_logits.max() < 140 for run in runs("muon", 0.1, decay=0.1))


def test_at_a_middle_rate_heads_of_one_layer_differ(runs):
    counts = [count for run in runs("muon", 0.03) for count in (run.max_logits.max(0) > 100).sum(1)]
    assert any(0 < count < 8 for count in counts)
