"""The runs of the bug museum: a point is made once, the ledger books what was done, and every row is of today's pieces."""

import json
import math
from functools import partial

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.conformance import piece
from kimi_mini.dev import ROOT
from kimi_mini.optim import build_optimizer, qk_clip_
from kimi_mini.viz.museum_runs import PARTS, load_runs
from kimi_mini.viz.series import unpack
from runs import ledger, museum
from runs.museum import FRAMES, Point
from runs.training import small_config

ROWS = sorted((ROOT / museum.FOLDER).glob("*.json"))


@pytest.fixture(scope="module")
def text():
    return corpus.load()


@pytest.fixture
def model(text):
    torch.manual_seed(0)
    return km.KimiMini(small_config(text), torch.float32)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_point_is_made_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(museum, "record", partial(museum.record, steps=4))
    arguments = ["--out", str(tmp_path), "--shard", f"0/{len(museum.points())}"]
    museum.main(arguments)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns, path.read_bytes()
    museum.main(arguments)
    museum.main([*arguments, "--list"])
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert f"done    {path.stem}\n0 of 1 points are missing" in capsys.readouterr().out


def test_every_suspect_hangs_in_the_museum():
    assert {piece(name).suspect for name in FRAMES} == {"statistic", "factor", "place", "optimizer"}
    assert len(FRAMES) == len(set(FRAMES)) == 11


def test_the_ledger_books_a_clip_on_either_side_of_the_step_and_not_the_step(model):
    optimizer = build_optimizer(model)
    book = ledger.Ledger(model, optimizer)
    shape = model.config.num_hidden_layers, model.config.num_attention_heads
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    for before, after in ((40.0, 120.0), (20.0, 40.0)):
        maxima = torch.full(shape, 10.0)
        maxima[1, 3] = before
        qk_clip_(model, maxima, tau=20.0)
        optimizer.step()
        maxima[1, 3] = after
        qk_clip_(model, maxima, tau=20.0)
        factors = book.close()
        whole = math.log(20 / before) + math.log(20 / after)
        expected = torch.zeros_like(factors)
        expected[:, 1, 3] = torch.tensor([whole / 2, whole / 2, whole, 0, 0, 0])
        assert torch.allclose(factors, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "part"), [("values-too", "values"), ("shared-key", "shared key"), ("down-projection", "down")]
)
def test_the_ledger_sees_a_part_that_was_not_to_be_touched(model, name, part):
    book = ledger.Ledger(model, build_optimizer(model))
    maxima = torch.full((3, 8), 10.0)
    maxima[1, 3] = 40.0
    with piece(name).installed():
        qk_clip_(model, maxima, tau=20.0)
    factors = book.close()[ledger.PARTS.index(part)]
    assert factors[1].min() < -0.1 and factors[0].abs().max() < 1e-5


def test_a_window_counts_heads_below_tau_that_were_changed(model):
    book = ledger.Window(ledger.Ledger(model, build_optimizer(model)), 20.0)
    maxima = torch.full((3, 8), 10.0)
    maxima[1, 3] = 40.0
    with piece("one-for-all").installed():
        gamma = qk_clip_(model, maxima, tau=20.0)
    book.add(maxima, gamma)
    row = book.close(maxima, maxima)
    assert row["below"].tolist() == [8, 7, 8] and row["needless"].tolist() == [0, 7, 0]
    assert row["drift"][1] == pytest.approx(7 * math.log(2), rel=1e-4) and row["missed"] == pytest.approx(0, abs=1e-4)
    assert row["due"][1] == pytest.approx(-math.log(2) / 8, rel=1e-4) and row["told"][1] == pytest.approx(
        -math.log(2), rel=1e-4
    )


def test_a_piece_whose_measurement_lies_is_seen_through(text):
    row = museum.record(Point("unscaled", 0), text, steps=8)
    true, logged = (np.sinh(unpack(row[name], row["shape"])) for name in ("maxima_asinh", "logged_asinh"))
    scale = small_config(text).softmax_scale
    assert logged * scale == pytest.approx(true, rel=2e-2, abs=1e-2) and (logged > 2 * true).all()


def test_the_recorded_points_are_those_of_the_run():
    assert {path.stem for path in ROWS} == {point.name for point in museum.points()}


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_recorded_row_is_whole(path):
    row = read(path)
    point = Point(**row["point"])
    assert path.stem == point.name and row["parts"] == list(PARTS) == list(ledger.PARTS)
    assert row["diff"] == list(point.piece.diff if point.piece else ()), "made with other lines than the museum's of today"
    done = point.steps if row["broke_at"] is None else row["broke_at"] - 1
    assert row["shape"] == [done // museum.EVERY, 3, 8]
    (run,) = (run for run in load_runs(path.parent) if (run.version, run.seed) == (point.version, point.seed))
    assert len(run.loss) == done and np.isfinite(run.loss).all() and np.isfinite(run.maxima).all()
    assert (run.needless <= run.below).all() and (run.below <= 8 * museum.EVERY).all()


def test_a_recorded_row_can_be_made_again(text):
    told = read(ROOT / museum.FOLDER / "no-minimum-seed0.json")
    again = museum.record(Point("no-minimum", 0), text, steps=8)
    loss, then = unpack(again["loss"], (8,)), unpack(told["loss"], (told["steps"],))[:8]
    assert loss == pytest.approx(then, rel=2e-2)  # rounding differs between machines, and grows
