"""The runs behind *Muon*: each point is one file, is made once, says again what it said before, and measures what it says."""

import json
from functools import partial

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus, kernels
from kimi_mini.dev import ROOT
from kimi_mini.optim import OptimConfig, build_optimizer, singular_values, update_scale
from kimi_mini.viz.muon_runs import group_of
from kimi_mini.viz.series import unpack
from runs import muon
from runs.muon import Point

ROWS = sorted((ROOT / muon.FOLDER).glob("*.json"))


@pytest.fixture(scope="module")
def text():
    return corpus.load()


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_point_is_made_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(muon, "record", partial(muon.record, steps=2))
    arguments = ["--out", str(tmp_path), "--shard", f"0/{len(muon.points())}"]
    muon.main(arguments)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns, path.read_bytes()
    muon.main(arguments)
    muon.main([*arguments, "--list"])
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert f"done    {path.stem}\n0 of 1 points are missing" in capsys.readouterr().out


def test_the_sweep_gives_adamw_no_fewer_points_than_muon():
    sweep = [point for point in muon.points() if (point.steps, point.seed, point.model) == (300, 0, "small")]
    points = {how: {(point.lr, point.decay) for point in sweep if point.matrices == how} for how in muon.BEST}
    rates = {how: {lr for lr, decay in found if decay} for how, found in points.items()}
    assert rates["muon"] == set(muon.LEARNING_RATES) and rates["adamw"] == rates["muon"] | set(muon.BETWEEN)
    assert all((lr, 0.0) in points[how] for how, lr in muon.BEST.items())


def test_every_matrix_of_a_model_is_looked_at_once():
    model = km.KimiMini(km.NANO)
    found = muon.snapshot(model)
    slabs = sum(p.numel() for _, p in muon.learned(model))
    assert sum(matrix.numel() for matrix in found.values()) == slabs and all(m.ndim == 2 for m in found.values())
    gate_up = model.blocks[2].mlp.experts.gate_up
    assert torch.equal(found["blocks.2.mlp.experts.3.up"], gate_up[3, 1])
    assert torch.equal(found["blocks.1.mlp.experts.0.down"], model.blocks[1].mlp.experts.down[0])
    assert all(group_of(name) for name in found)


def test_the_updates_size_is_measured_on_the_weights():
    """What Muon took off equals its own update, per unit of rate and without decay; the spectrum is what it made orthogonal."""
    torch.manual_seed(0)
    model = km.KimiMini(km.NANO)
    optimizer = build_optimizer(model, OptimConfig(lr=0.01, weight_decay=0.3))
    for _, p in muon.learned(model):
        p.grad = torch.randn_like(p)
    before = muon.snapshot(model)
    optimizer.step()
    after = muon.snapshot(model)
    found = dict(zip(after, muon.update_rms(before, after, 0.01, 0.3), strict=True))
    name = "blocks.1.attn.q_up"
    grad = model.blocks[1].attn.q_up.weight.grad
    expected = kernels.newton_schulz(1.95 * grad) * update_scale(*grad.shape)  # M = G, so mu M + G
    assert found[name] == pytest.approx(
        float(expected.square().mean().sqrt()), rel=2e-2
    )  # where bf16 is fast, Muon iterates in it
    sigma = singular_values(grad)
    assert muon.momentum_spectra(model, optimizer)[name] == pytest.approx((sigma / sigma.norm()).numpy())


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_recorded_row_is_whole(path):
    row = read(path)
    point = Point(**row["point"])
    assert path.stem == point.name and point in muon.points() and row["ran"] == point.steps
    assert np.isfinite(unpack(row["loss"], (point.steps,))).all()
    assert len(row["held_out_loss"]) == point.steps // row["every"] == len(row["weight_rms"]) - 1
    count = len(row["matrices"])
    assert count == (428 if point.model == "mini" else 74)
    sizes = unpack(row["update_rms"], (len(row["looks"]), count))
    assert (sizes > 0).all() and row["looks"] == [look for look in muon.LOOKS if look <= point.steps]
    for field in ("entropy", "entropy_start"):
        entropy = unpack(row[field], (count,))
        assert (0 < entropy).all() and (entropy <= 1).all()
    assert bool(row["spectra"]) == (point.model == "mini")


@pytest.mark.slow
def test_a_recorded_row_can_be_made_again(text):
    told = read(ROOT / muon.FOLDER / "muon-lr0.002-decay0.1-steps300-seed0.json")  # the calmest: rounding differs
    again = muon.record(Point(**told["point"]), text, steps=30)
    assert unpack(again["loss"], (30,)) == pytest.approx(unpack(told["loss"], (300,))[:30], rel=2e-2)
    assert unpack(again["update_rms"], (3, 74)) == pytest.approx(unpack(told["update_rms"], (6, 74))[:3], rel=0.1)
