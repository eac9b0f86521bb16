"""The figures of the bug museum draw what was recorded, and refuse what is not a recording."""

import math

import numpy as np
import pytest

from kimi_mini.conformance import SUSPECTS, piece
from kimi_mini.dev import ROOT
from kimi_mini.viz import museum
from kimi_mini.viz.museum_runs import WINDOW
from kimi_mini.viz.series import unpack

FOLDER = ROOT / "book" / "data" / "museum"


@pytest.fixture(scope="module")
def runs():
    return museum.load_runs(FOLDER)


@pytest.fixture(scope="module")
def data(runs):
    return museum.frames(runs).data


def test_twelve_frames_and_one_of_them_is_healthy(runs, data):
    assert len(data["frames"]) == 12 and data["wrong"] == 11
    assert [frame["version"] for frame in data["frames"] if frame["piece"] is None] == ["right"]
    assert data["suspects"] == SUSPECTS
    order = [frame["version"] for frame in data["frames"]]
    assert order == museum.versions(runs) != sorted(order)


def test_a_frame_has_the_recorded_series_and_sums(runs, data):
    for frame in data["frames"]:
        run = museum.pick(runs, frame["version"])
        n = len(run.maxima)
        assert unpack(frame["loss"], (126,)) == pytest.approx(run.running[::2], rel=1e-3)
        assert np.sinh(unpack(frame["maxima"], (n, 3, 8))) == pytest.approx(run.maxima, rel=1e-2, abs=1e-3)
        honest = np.isclose(run.logged, run.maxima, rtol=0.01, atol=0)
        assert frame["lied"] == pytest.approx(1 - honest.mean(), abs=1e-3)
        assert (frame["lied"] > 0.3) == (frame["version"] in ("before-mask", "absolute")) != (frame["lied"] == 0)
        assert frame["told"] == pytest.approx(run.told.mean(2).sum(0), abs=1e-2)
        assert np.array(frame["factors"]) == pytest.approx(run.factors.sum(0), abs=1e-2)
        assert frame["needless"] == run.needless.sum(0).tolist() and frame["below"] == run.below.sum(0).tolist()
        assert frame["end"] == pytest.approx(run.loss[-WINDOW:].mean(), abs=1e-4)


def test_a_label_is_the_piece_of_the_museum(data):
    for frame in data["frames"]:
        if frame["piece"]:
            wrong = piece(frame["version"])
            assert (frame["piece"]["title"], frame["piece"]["suspect"]) == (wrong.title, wrong.suspect)
            assert frame["piece"]["diff"] == wrong.diff and frame["piece"]["killed"] == wrong.killed_by


def test_the_band_is_the_mean_of_healthy_seeds_and_two_deviations(runs):
    seeds = museum.healthy(runs)
    assert [run.seed for run in seeds] == [0, 1, 2, 3]
    low, high = museum.band(seeds)
    ends = [run.loss[-WINDOW:].mean() for run in seeds]
    middle = sum(ends) / 4
    spread = math.sqrt(sum((end - middle) ** 2 for end in ends) / 3)
    assert (low[-1], high[-1]) == (pytest.approx(middle - 2 * spread, abs=1e-4), pytest.approx(middle + 2 * spread, abs=1e-4))
    assert not any(museum.outside(run, (low, high)).any() for run in seeds)


def test_leaving_is_counted_from_every_update(runs, data):
    low, high = museum.band(museum.healthy(runs))
    for frame in data["frames"]:
        running = [museum.pick(runs, frame["version"]).loss[i : i + WINDOW].mean() for i in range(300 - WINDOW + 1)]
        away = [not lo <= value <= hi for lo, value, hi in zip(low, running, high, strict=True)]
        assert frame["outside"] == pytest.approx(sum(away), abs=1)
    assert museum.leaving(runs) == [frame["version"] for frame in data["frames"] if frame["outside"] > 25]
    assert data["left"] == len(museum.leaving(runs))


def test_a_frame_that_is_the_healthy_one_number_for_number_says_so(data):
    assert [frame["version"] for frame in data["frames"] if frame["identical"]] == ["clamped-ratio"]


def test_named_dots_are_the_losses_at_the_sliders_update(runs):
    figure = museum.by_name(runs, [100, 300]).figure
    for frame, update in zip(figure["frames"], (100, 300), strict=True):
        low, high, dots = frame["data"]
        for name, value in zip(dots["y"], dots["x"], strict=True):
            version, _, seed = name.partition(", seed ")
            run = museum.pick(runs, "nudged" if name == "right, nudged" else version, int(seed or 0))
            assert value == pytest.approx(run.loss[update - WINDOW : update].mean(), abs=1e-3)
        assert low["x"][0] < high["x"][0]


def test_one_factor_counts_what_one_factor_a_head_leaves_alone(runs):
    figure = museum.one_factor(runs).figure
    for frame, seed in zip(figure["frames"], (0, 1, 2), strict=True):
        one, per_head = frame["data"]
        assert one["y"][-1] == museum.pick(runs, "one-for-all", seed).needless.sum()
        assert set(per_head["y"]) == {0}


def test_the_retiring_clip_is_drawn_as_recorded(runs):
    figure = museum.retires(runs).figure
    for frame, seed in zip(figure["frames"], (0, 1, 2), strict=True):
        run = museum.pick(runs, "retire", seed)
        share, rate = frame["data"]
        assert share["y"][-1] == pytest.approx(100 * (run.told[-5:] < 0).mean(), abs=1e-3)
        assert rate["y"][-1] == pytest.approx(10) and rate["x"][-1] == 500


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs\.museum"):
        museum.load_runs(tmp_path)


def test_an_unknown_version_is_refused(runs):
    with pytest.raises(ValueError, match="version = 'unheard-of"):
        museum.pick(runs, "unheard-of")
