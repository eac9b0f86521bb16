"""What the recorded runs of the museum say about the claims: one factor for all heads, a clip that retires; three seeds."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz.museum_runs import band, healthy, leaves, load_runs, pick
from runs.museum import FOLDER, FRAMES, SEEDS


@pytest.fixture(scope="module")
def runs():
    return load_runs(ROOT / FOLDER)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_factor_a_layer_shrinks_heads_below_tau_and_one_a_head_does_not(runs, seed):
    one, own = pick(runs, "one-for-all", seed), pick(runs, "right", seed)
    assert 0.55 < one.needless[:, 1:].sum() / one.below[:, 1:].sum() < 0.7
    assert own.needless.sum() == 0 and own.below[:, 1:].sum() > 1000


@pytest.mark.parametrize("seed", SEEDS)
def test_one_factor_a_layer_did_no_harm_to_the_loss(runs, seed):
    assert pick(runs, "one-for-all", seed).end_loss == pytest.approx(pick(runs, "right", seed).end_loss, abs=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_clip_retires_once_the_rate_comes_down(runs, seed):
    run = pick(runs, "retire", seed)
    falls = (len(run.loss) - run.falling) // run.every
    assert run.clipped[:falls].max() > 0.5 and run.clipped[falls - 12 : falls].mean() > 0.2, "at the high rate it works"
    assert not run.clipped[-24:].any(), "and the last hundred updates are without it"


@pytest.mark.parametrize("seed", SEEDS)
def test_two_layers_are_clipped_whole_before_it_retires(runs, seed):
    assert ((pick(runs, "retire", seed).told < 0).any(0).sum(1) == [0, 8, 8]).all()


def test_without_decay_the_clip_works_to_the_end(runs):
    assert all(run.clipped[-10:].mean() > 0.3 for run in healthy(runs))


def test_eight_of_eleven_wrong_versions_have_a_healthy_loss(runs):
    edges = band(healthy(runs))
    assert [name for name in FRAMES if leaves(pick(runs, name), edges)] == ["no-minimum", "half-averaged", "entrywise-sign"]


def test_no_clip_at_all_runs_into_the_thousands_with_a_healthy_loss(runs):
    free = pick(runs, "copy")
    assert free.maxima.max() > 5000 and abs(free.factors).max() < 1e-3 and not leaves(free, band(healthy(runs)))
