"""The runs behind the flight recorder: a landing goes on where its trunk is, and rows say again what they said before."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from kimi_mini import corpus
from kimi_mini.dev import ROOT
from runs import recorder
from runs.recorder import Point

ROWS = sorted((ROOT / recorder.FOLDER).glob("*.json"))
TRUNK = Point("trunk", 0)


@pytest.fixture(scope="module")
def text():
    return corpus.load()


def losses(flight):
    return [report.loss for _, report in flight]


def test_a_branch_goes_on_as_its_trunk_and_leaves_it_alone(text):
    craft = recorder.build(TRUNK, text)
    rates = recorder.trunk_rates()
    recorder.fly(craft, rates[:3], "trunk")
    copy = recorder.branch_off(craft, TRUNK, text)
    landed = losses(recorder.fly(copy, rates[3:5], "copy"))
    assert landed == losses(recorder.fly(craft, rates[3:5], "trunk"))


def test_only_one_batch_is_bad(text):
    craft = recorder.build(TRUNK, text)
    vocabulary = craft.model.config.vocab_size
    spoilt = recorder.with_bad_batch(craft.batches, vocabulary)
    again = recorder.build(TRUNK, text).batches
    same = [torch.equal(next(spoilt).tokens_BT, next(again).tokens_BT) for _ in range(recorder.BAD_BATCH + 3)]
    assert same.index(False) == recorder.BAD_BATCH and same.count(False) == 1


def test_rates_warm_up_stay_land_and_fall():
    trunk, cosine = recorder.trunk_rates(), recorder.cosine_rates()
    assert trunk[recorder.WARMUP - 1 :] == [recorder.RATE] * (recorder.TRUNK - recorder.WARMUP + 1) and trunk[0] < trunk[1]
    landing = recorder.landing_rates(500)
    assert len(landing) == recorder.LANDING and landing[-1] == pytest.approx(recorder.FINAL * recorder.RATE)
    assert (np.diff([trunk[499], *landing]) < 0).all() and (np.diff(cosine[recorder.WARMUP :]) < 0).all()
    assert len(cosine) == recorder.TRUNK + recorder.LANDING and cosine[-1] == pytest.approx(landing[-1])


def test_every_point_has_its_row():
    assert [path.stem for path in ROWS] == sorted(point.name for point in recorder.points())
    for path in ROWS:
        row = json.loads(path.read_text(encoding="utf-8"))
        assert Point(**row["point"]).name == path.stem and asdict(Point(**row["point"])) == row["point"]
    assert sum(path.stat().st_size for path in ROWS) < 600_000
