"""The runs behind the thermostat: every point has its row, and a rule does what its name says."""

import json

import numpy as np
import pytest

from kimi_mini import corpus
from kimi_mini.dev import ROOT
from kimi_mini.viz.series import unpack
from runs import balance
from runs.balance import Mini, Point

ROWS = sorted((ROOT / balance.FOLDER).glob("*.json"))


@pytest.fixture(scope="module")
def text():
    return corpus.load()


def test_every_point_has_its_row():
    assert [path.stem for path in ROWS] == sorted(point.name for point in balance.points())
    assert sum(path.stat().st_size for path in ROWS) < 2_500_000
    for path in ROWS:
        row = json.loads(path.read_text(encoding="utf-8"))
        assert path.stem == (Mini().name if "point" not in row else Point(**row["point"]).name)


def test_loads_add_up_to_the_choices_of_an_update(text):
    row = balance.record(Point(0.1, 0.0, False, 0), text, steps=8)
    load = unpack(row["load"], (2, 2, 32))
    assert load.sum(2) == pytest.approx(np.full((2, 2), row["chosen"] * row["tokens_per_update"]))
    bias = unpack(row["bias"], (1, 2, 32))
    assert np.abs(bias).max() <= 0.8 + 1e-3 and np.abs(bias).max() > 0


def test_a_balance_loss_moves_weights_and_no_bias(text):
    plain, weighed = (balance.record(Point(0.0, alpha, False, 0), text, steps=8) for alpha in (0.0, 1.0))
    assert plain["loss"] != weighed["loss"]
    assert not unpack(weighed["bias"], (1, 2, 32)).any()
    first = [unpack(row["loss"], (8,))[0] for row in (plain, weighed)]
    assert first[0] == first[1], "what is reported is the loss of the language alone"
