"""What the recorded readings say about YaRN, three seeds each. The last bucket lies beyond 16 times the trained length."""

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz.position_runs import load_recording
from runs.position import FOLDER, SEEDS


@pytest.fixture(scope="module")
def recording():
    recorded = load_recording(ROOT / FOLDER)
    assert tuple(recorded.seeds) == SEEDS
    return recorded


def test_plain_rope_climbs_beyond_twice_the_trained_length(recording):
    plain = recording.excess("plain")
    assert abs(plain[:, :2]).max() < 0.1
    assert (np.diff(plain[:, 1:], axis=1) > 0).all() and (plain[:, -1] > 1).all()


def test_yarn_climbs_less_beyond_twice_the_length_and_costs_something_nearby(recording):
    plain, yarn = recording.excess("plain"), recording.excess("yarn")
    assert (yarn[:, 2:] < plain[:, 2:]).all() and (yarn[:, -1] < plain[:, -1] - 0.1).all()
    assert (yarn[:, 1] > plain[:, 1] + 0.3).all()


@pytest.mark.parametrize(("factor", "bucket"), [(4, 2), (8, 3), (16, 4)])
def test_a_factor_that_fits_the_length_beats_plain_and_the_full_one(recording, factor, bucket):
    fitting = recording.excess(f"yarn by {factor}")[:, bucket]
    assert (fitting < recording.excess("plain")[:, bucket]).all()
    assert (fitting < recording.excess("yarn")[:, bucket]).all()


def test_one_octave_past_its_reach_a_factor_still_helps_and_two_past_it_no_more(recording):
    plain = recording.excess("plain")
    for factor, bucket in ((4, 3), (8, 4), (16, 5)):
        assert (recording.excess(f"yarn by {factor}")[:, bucket] < plain[:, bucket] - 0.3).all(), factor
    for factor, bucket in ((4, 4), (8, 5)):
        assert abs((recording.excess(f"yarn by {factor}") - plain)[:, bucket].mean()) < 0.1, factor


def test_half_of_k2s_factor_is_better_at_every_length(recording):
    assert (recording.excess("yarn by 16") < recording.excess("yarn")).all()


def test_no_reading_beats_pieces_without_training_at_a_longer_length(recording):
    for reading in recording.rows[0]["losses"]["short"]:
        assert (recording.excess(reading).mean(0) > -0.05).all(), reading


def test_after_some_training_at_512_long_windows_help_and_yarn_holds_beyond_them(recording):
    plain, yarn = recording.excess("plain", "longer"), recording.excess("yarn from 512", "longer")
    assert (plain[:, 1:4] < -0.05).all(), "up to 512 positions a token gains from what lies before"
    assert (yarn[:, -1] < plain[:, -1] - 0.2).all() and (yarn[:, -1] < 0.3).all()
    assert (yarn[:, 3] > plain[:, 3] + 0.1).all(), "and here too it costs something within"
    assert abs((yarn - plain)[:, 4].mean()) < 0.05, "up to 1,024 the two are level"


def test_yarn_counted_from_a_length_that_training_has_left_behind_undoes_it(recording):
    plain, old = recording.excess("plain", "longer"), recording.excess("yarn", "longer")
    assert (old > plain + 0.05).all()


def test_the_second_phase_gained_nothing_against_pieces_of_the_first(recording):
    first = recording.stretches("pieces", "short")
    assert (recording.stretches("plain", "longer") - first)[:, 1:8].mean() > 0


def test_the_temperature_does_not_help_here(recording):
    assert (recording.excess("yarn without temperature").mean(0) < recording.excess("yarn").mean(0)).all()


def test_the_wrong_layout_costs_more_than_half_a_nat_even_within_the_trained_length(recording):
    assert (recording.excess("half-split")[:, 0] > 0.5).all()
