"""The figures of *Saying it ten ways* draw what was recorded, and refuse what does not fit."""

import numpy as np
import pytest

from kimi_mini import corpus
from kimi_mini.corpus.villages import LEVELS
from kimi_mini.dev import ROOT
from kimi_mini.synth import wilson_interval
from kimi_mini.viz import rephrase
from kimi_mini.viz.series import unpack
from runs.rephrase import FOLDER, taught_villages


@pytest.fixture(scope="module")
def rows():
    return rephrase.load_runs(ROOT / FOLDER)


@pytest.fixture(scope="module")
def taught():
    return taught_villages(0, corpus.load())


def test_the_picture_has_every_checkpoint_and_wording(rows, taught):
    figure = rephrase.ask_differently(rows, taught)
    assert figure.data["readings"] == [10, 20, 30, 40] and len(figure.data["facts"]) == 24
    for told in figure.data["students"]:
        mine = rephrase.pick(rows, student=told["key"], readings=40)
        for place in range(4):
            for level in range(5):
                assert told["seeds"][place][level] == pytest.approx(
                    [r.probability[place, level].mean() for r in mine], abs=1e-4
                )
                assert told["right"][place][level] == sum(int(r.exact[place, level].sum()) for r in mine)
        each = unpack(told["each"], (4, 5, 24))
        assert each == pytest.approx(mine[0].probability[:, :, :24], abs=1e-3)
        assert told["each_right"][5 * 3 + 1] == "".join("01"[int(f)] for f in mine[0].exact[3, 1, :24])
        assert told["loss"][-1] == pytest.approx(np.mean([r.train_loss[-1] for r in mine]), abs=1e-3)
        assert told["distance"] == sorted(told["distance"][:3]) + told["distance"][3:] and told["distance"][0] == 0


def test_titles_and_still_say_what_was_recorded(rows, taught):
    figure = rephrase.ask_differently(rows, taught)
    for student in rephrase.STUDENTS:
        mean = np.mean([row.probability[-1, 1].mean() for row in rephrase.pick(rows, student=student, readings=40)])
        assert f"{mean:.0%}" in figure.title and f"{mean:.0%}" in figure.still


def test_shares_have_their_intervals(rows):
    figure = rephrase.accuracy(rows).figure
    assert len(figure["frames"]) == len(LEVELS)
    for level, frame in enumerate(figure["frames"]):
        for student, line in zip(rephrase.STUDENTS, frame["data"], strict=True):
            right, asked = rephrase.counted(rows, student, level, 20, readings=40)
            low, high = wilson_interval(right, asked)
            assert asked == 384 and line["y"][1] == pytest.approx(right / asked)
            assert line["y"][1] + line["error_y"]["array"][1] == pytest.approx(high)
            assert line["y"][1] - line["error_y"]["arrayminus"][1] == pytest.approx(low)


def test_chunks_want_every_cut():
    outputs = {0: ["Ada a", "Ada b"], 2: ["Ada a", "She b"]}
    figure = rephrase.chunks(["Ada a", "She b"], outputs, name="Ada", pronoun="She")
    assert "2 of 2" in figure.title and figure.data["outputs"]["2"][1] == "She b"
    with pytest.raises(ValueError, match="outputs"):
        rephrase.chunks(["a", "b", "c"], outputs, name="Ada", pronoun="She")


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs\.rephrase"):
        rephrase.load_runs(tmp_path)
