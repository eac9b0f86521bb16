"""Laws from runs whose truth is known: the fit finds it, the band covers it and widens outside, and nothing is extrapolated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_mini.laws import Law, draws, fit_law, flops_saved, flops_to_reach, law_band

FLOPS = np.geomspace(1e11, 1e14, 6)
TRUTH = Law(1.3, 900.0, 0.24)


def noisy(seeds, spread=0.01, law=TRUTH, seed=0):
    return law.loss(FLOPS) + np.random.default_rng(seed).normal(0, spread, (seeds, len(FLOPS)))


def test_a_law_without_noise_is_found_again():
    found = fit_law(FLOPS, TRUTH.loss(FLOPS), floor=1.3)
    assert (found.scale, found.exponent) == pytest.approx((900.0, 0.24))
    free = fit_law(FLOPS, TRUTH.loss(FLOPS))
    assert free.floor == pytest.approx(1.3, abs=0.03) and free.loss(FLOPS) == pytest.approx(TRUTH.loss(FLOPS), rel=2e-3)


def test_a_floor_forced_to_zero_fits_worse():
    forced, free = fit_law(FLOPS, TRUTH.loss(FLOPS), floor=0.0), fit_law(FLOPS, TRUTH.loss(FLOPS))
    errors = [np.abs(law.loss(FLOPS) - TRUTH.loss(FLOPS)).max() for law in (forced, free)]
    assert errors[0] > 10 * errors[1]


def test_the_band_covers_the_truth_about_as_often_as_it_says():
    covered = []
    for seed in range(60):
        low, high = law_band(FLOPS, noisy(8, seed=seed), draws(8, 60, seed), FLOPS, floor=1.3)
        covered.append((low <= TRUTH.loss(FLOPS)) & (TRUTH.loss(FLOPS) <= high))
    assert 0.6 < np.mean(covered) < 0.9, "80 % are asked for; resampling eight seeds gives a little less"


def test_the_band_widens_outside_the_runs():
    at = np.array([FLOPS[3], FLOPS[-1] * 1000])
    low, high = law_band(FLOPS, noisy(5), draws(5), at)
    assert (high - low)[1] > 2 * (high - low)[0]


def test_seeds_averaged_first_have_no_spread():
    mean = np.repeat(noisy(5).mean(0, keepdims=True), 5, 0)
    low, high = law_band(FLOPS, mean, draws(5), FLOPS)
    assert high - low == pytest.approx(0)


@given(st.floats(1.05, 4.0), st.integers(0, 1000))
def test_a_shape_that_saves_a_factor_is_seen_to_save_it(factor, seed):
    usual = TRUTH.loss(FLOPS)
    better = TRUTH.loss(FLOPS * factor)
    target = float(np.random.default_rng(seed).uniform(usual[-1], better[0]))
    assert flops_saved(FLOPS, usual, better, target) == pytest.approx(factor, rel=0.05)


def test_a_measured_loss_is_reached_at_its_own_flops():
    assert [flops_to_reach(FLOPS, TRUTH.loss(FLOPS), loss) for loss in TRUTH.loss(FLOPS)] == pytest.approx(FLOPS)


@pytest.mark.parametrize("beyond", [0.9, 1.1])
def test_nothing_is_extrapolated(beyond):
    loss = TRUTH.loss(FLOPS)
    target = loss[-1] * beyond if beyond < 1 else loss[0] * beyond
    with pytest.raises(ValueError, match="target = .* a loss that was measured, from"):
        flops_to_reach(FLOPS, loss, target)


@pytest.mark.parametrize(
    ("flops", "loss", "match"),
    [
        ([1.0, 2.0], [3.0, 2.0], "at least 3"),
        ([1.0, 2.0, 2.0], [3.0, 2.0, 2.0], "at least 3"),
        ([0.0, 1.0, 2.0], [3.0, 2.0, 1.0], "flops_N"),
        ([1.0, 2.0, 3.0], [3.0, float("nan"), 1.0], "loss_N"),
        ([1.0, 2.0, 3.0], [[3.0, 2.0, 1.0]], "shape"),
    ],
)
def test_runs_that_will_not_do_are_refused_by_name(flops, loss, match):
    with pytest.raises(ValueError, match=match):
        fit_law(flops, loss)


def test_a_floor_above_a_loss_and_losses_that_rise_are_refused():
    with pytest.raises(ValueError, match="floor = 2.5"):
        fit_law([1.0, 2.0, 3.0], [3.0, 2.5, 2.2], floor=2.5)
    with pytest.raises(ValueError, match="fall as FLOPs rise"):
        flops_to_reach([1.0, 2.0, 3.0], [3.0, 3.1, 2.2], 2.5)
