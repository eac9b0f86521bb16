"""The rule for spikes: found where they are, on every update, never on a smoothed curve, and not in what batches differ by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_mini.train.spikes import count_spikes, deviations_above, find_spikes


def falling(updates=400, scatter=0.2, seed=0):
    """A loss that falls and scatters, without a spike."""
    noise = np.random.default_rng(seed).uniform(-scatter, scatter, updates)
    return 3 + 3 * np.exp(-np.arange(updates) / 60) + noise


@given(st.integers(0, 10_000), st.integers(100, 399))
def test_a_spike_is_found_at_its_update_and_nowhere_else(seed, at):
    loss = falling(seed=seed)
    assert find_spikes(loss) == []
    loss[at] += 5
    assert find_spikes(loss) == [(at, at)]


def test_neighbours_are_one_spike_and_distant_ones_two():
    loss = falling()
    loss[[200, 201, 230]] += 5
    assert find_spikes(loss) == [(200, 230)] and count_spikes(loss) == 1
    loss[330] += 5
    assert count_spikes(loss) == 2


def test_smoothing_before_counting_hides_it():
    loss = falling()
    loss[300] += 3
    smoothed = np.convolve(loss, np.ones(50) / 50, mode="valid")
    assert count_spikes(loss) == 1 and count_spikes(smoothed) == 0


def test_a_spike_does_not_hide_the_next_one():
    loss = falling()
    loss[[200, 290]] += 50, 5
    assert [first for first, _ in find_spikes(loss)] == [200, 290]


def test_the_first_window_is_not_judged():
    loss = falling()
    loss[10] += 50
    assert count_spikes(loss) == 0 and np.isneginf(deviations_above(loss)[:64]).all()
    assert find_spikes(loss, window=5)[0] == (10, 10)


def test_a_fall_is_no_spike_and_any_rise_from_no_scatter_is():
    flat = np.ones(100)
    flat[80] = 0.5
    assert count_spikes(flat) == 0
    flat[80] = 1.1
    assert find_spikes(flat) == [(80, 80)]


@pytest.mark.parametrize(
    ("loss", "options", "match"),
    [
        ([1.0, float("nan"), 1.0], {}, "loss_N"),
        ([[1.0, 2.0]], {}, "shape of loss_N"),
        ([1.0] * 100, {"window": 1}, "window = 1"),
        ([1.0] * 100, {"deviations": 0}, "deviations = 0"),
    ],
)
def test_what_will_not_do_is_refused_by_name(loss, options, match):
    with pytest.raises(ValueError, match=match):
        count_spikes(loss, **options)
