"""The runs behind the runaway heads: each point is one file, is made once, and says again what it said before."""

import json
import math
from functools import partial

import numpy as np
import pytest

from kimi_mini import corpus
from kimi_mini.dev import ROOT
from kimi_mini.viz.muonclip_runs import max_logits
from kimi_mini.viz.series import pack, unpack
from runs import muonclip
from runs.muonclip import Point

ROWS = sorted((ROOT / muonclip.FOLDER).glob("*.json"))


@pytest.fixture(scope="module")
def text():
    return corpus.load()


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def point_of(row):
    return Point(**row["point"] | {"tau": float(row["point"]["tau"]), "decay": row["weight_decay"]})


def test_a_point_is_made_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(muonclip, "record", partial(muonclip.record, steps=4))
    arguments = ["--out", str(tmp_path), "--shard", f"0/{len(muonclip.points())}"]
    muonclip.main(arguments)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns, path.read_bytes()
    muonclip.main(arguments)
    muonclip.main([*arguments, "--list"])
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert f"done    {path.stem}\n0 of 1 points are missing" in capsys.readouterr().out


def test_shards_share_the_points_out(capsys):
    everything = [point.name for point in muonclip.points()]
    shares = []
    for index in range(3):
        muonclip.main(["--list", "--shard", f"{index}/3"])
        shares += [line.split()[1] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert sorted(shares) == sorted(everything) and len(set(everything)) == len(everything) == 84
    with pytest.raises(SystemExit):
        muonclip.main(["--shard", "3/3"])


def test_a_clip_that_fires_shows_in_the_row(text):
    free = muonclip.record(Point("muon", 0.1, math.inf, 0), text, steps=16)
    held = muonclip.record(Point("muon", 0.1, 0.05, 0), text, steps=16)
    none, some = (unpack(row["log_gamma"], row["shape"]) for row in (free, held))
    assert free["shape"] == [8, 3, 8] and free["broke_at"] is None
    assert (none == 0).all() and some.min() < 0 and (np.diff(some, axis=0) <= 0).all()
    assert max_logits(held)[-1].max() < max_logits(free)[-1].max()


def test_packing_keeps_half_a_percent_of_any_size():
    values = np.array([-3.0, 0.0, 0.01, 1.0, 99.5, 1e5, 3e9], dtype=np.float32)
    assert np.sinh(unpack(pack(np.arcsinh(values)), values.shape)) == pytest.approx(values, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_recorded_row_is_whole(path):
    row = read(path)
    assert path.stem == point_of(row).name and point_of(row) in muonclip.points()
    recorded = (row["broke_at"] - 1 if row["broke_at"] else row["steps"]) // row["every"]
    assert row["shape"] == [recorded, 3, 8]
    assert np.isfinite(unpack(row["loss"], row["shape"][:1])).all()
    assert np.isfinite(max_logits(row)).all()
    scaled = unpack(row["log_gamma"], row["shape"])
    assert (np.diff(scaled, axis=0) <= 0).all() and (row["point"]["tau"] != "inf" or (scaled == 0).all())


@pytest.mark.slow
def test_a_recorded_row_can_be_made_again(text):
    told = read(ROOT / muonclip.FOLDER / "muon-lr0.01-tau30-seed0.json")  # the calmest: rounding differs between machines
    again = muonclip.record(point_of(told), text, steps=30)
    shape = again["shape"]
    assert unpack(again["loss"], shape[:1]) == pytest.approx(unpack(told["loss"], told["shape"][:1])[: shape[0]], rel=2e-2)
    assert max_logits(again) == pytest.approx(max_logits(told)[: shape[0]], rel=0.1, abs=0.05)
