"""The figures of the flight recorder: what a reader gets is what was recorded, and K2's schedule is the report's."""

import json

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import recorder
from kimi_mini.viz.series import unpack


@pytest.fixture(scope="module")
def recording():
    return recorder.load_recording(ROOT / "book" / "data" / "recorder")


def test_the_recorder_shows_the_recorded_trunk(recording):
    data = recorder.flight_recorder(recording).data
    trunk = recording.trunks[0]
    assert unpack(data["flights"][""]["loss"], (1500,)) == pytest.approx(trunk.flight.loss)
    assert [one["branch"] for one in data["landings"]] == list(trunk.landings)
    assert [one["after"] for one in data["landings"]] == [one.after for one in trunk.landings.values()]
    assert len(json.dumps(data)) < 150_000


def test_the_bad_run_stands_beside_the_good_one(recording):
    stage = recorder.bad_batch(recording)
    assert stage.data["at"] == 401 and stage.data["hidden"] == 50
    assert stage.data["flights"]["good"]["spikes"] == [0] * len(recorder.WIDTHS) and "1 spike" in stage.title


def test_smoothing_is_the_mean_of_what_has_been():
    loss = np.array([4.0, 2.0, 6.0, 0.0])
    assert recorder.smooth(loss, 1) == pytest.approx(loss)
    assert recorder.smooth(loss, 3) == pytest.approx([4.0, 3.0, 4.0, 8 / 3])
    with pytest.raises(ValueError, match="width = 0"):
        recorder.smooth(loss, 0)


def test_k2s_schedule_is_the_reports():
    updates = recorder.k2_schedule()
    assert updates["warmup"] == 500 and updates["total"] == 230_968
    flat = round(10e12 / (16_384 * 4096))
    assert recorder.k2_rate(0) == pytest.approx(2e-4 / 500) and recorder.k2_rate(499) == 2e-4 == recorder.k2_rate(flat - 1)
    assert recorder.k2_rate(updates["total"] - 1) == pytest.approx(2e-5) and recorder.k2_rate(flat + 40_000) < 1.5e-4


def test_rows_that_do_not_make_a_whole_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs.recorder"):
        recorder.load_recording(tmp_path)
