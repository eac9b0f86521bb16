"""What the recorded flights say about landing, the cosine and spikes, three seeds each."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.train.spikes import count_spikes, find_spikes
from kimi_mini.viz.recorder import WIDTHS, load_recording, smooth
from runs import recorder


@pytest.fixture(scope="module")
def recording():
    return load_recording(ROOT / recorder.FOLDER)


def test_the_loss_drops_sharply_when_the_rate_comes_down(recording):
    assert tuple(recording.trunks) == recorder.SEEDS
    for trunk in recording.trunks.values():
        assert all(landing.before - landing.after > 0.18 for landing in trunk.landings.values())
    flat = recording.trunks[0].landings
    assert tuple(flat) == recorder.BRANCHES and flat[1000].before - flat[1500].before < 0.05, "the trunk itself is nearly flat"


def test_a_landing_comes_near_the_cosine_run_and_stays_above_it(recording):
    for seed, trunk in recording.trunks.items():
        cosine, held_out = recording.cosines[seed]
        assert trunk.last.end == len(cosine.loss), "the same number of tokens"
        assert 0 < trunk.last.after - held_out < 0.1 < trunk.last.before - held_out


def test_no_good_run_has_a_spike_and_the_bad_one_has_one_until_it_is_smoothed(recording):
    good = [trunk.flight for trunk in recording.trunks.values()] + [cosine for cosine, _ in recording.cosines.values()]
    good += [landing.flight for trunk in recording.trunks.values() for landing in trunk.landings.values()]
    assert [count_spikes(flight.loss) for flight in good] == [0] * len(good)
    assert find_spikes(recording.bad.loss) == [(recorder.BAD_BATCH, recorder.BAD_BATCH)]
    assert {width: count_spikes(smooth(recording.bad.loss, width)) for width in WIDTHS} == {
        1: 1,
        5: 1,
        10: 1,
        20: 1,
        50: 0,
        100: 0,
    }
