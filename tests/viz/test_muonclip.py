"""The figures of MuonClip draw what was recorded, and refuse what is not a recording."""

import json
import math
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import muonclip
from kimi_mini.viz.series import pack, unpack

FOLDER = ROOT / "book" / "data" / "muonclip"


@pytest.fixture(scope="module")
def runs():
    return muonclip.load_runs(FOLDER)


def one(runs, **settings):
    (run,) = muonclip.pick(runs, **settings)
    return run


def test_every_run_is_on_the_page_at_every_second_recorded_update(runs):
    data = muonclip.runaway(runs).data
    assert len(data["runs"]) == len(muonclip.pick(runs)) == 72 and data["every"] == 4
    for key, index in data["runs"].items():
        optimizer, rate, seed, tau = key.split("-")
        run = one(runs, optimizer=optimizer, lr=float(rate), seed=int(seed), tau=float(tau))
        series, shape = data["series"][index], (75, 3, 8)
        assert np.sinh(unpack(series["maxima"], shape)) == pytest.approx(run.max_logits[1::2], rel=0.01, abs=1e-3)
        assert unpack(series["loss"], (75,)) == pytest.approx(run.loss[1::2], rel=1e-3)
        assert series["end"] == pytest.approx(run.loss[-25:].mean(), abs=1e-4)
        assert (series["gamma"] is None) == (not run.log_gamma.any())


def test_a_clip_that_never_fired_shares_its_series_with_the_free_run(runs):
    data = muonclip.runaway(runs).data["runs"]
    assert data["muon-0.003-0-inf"] == data["muon-0.003-0-100"] == data["muon-0.003-0-30"]
    assert len({data[f"muon-0.1-0-{tau}"] for tau in ("inf", "100", "30")}) == 3


def test_titles_and_stills_say_what_was_recorded(runs):
    opening = one(runs, optimizer="muon", lr=0.1, tau=math.inf, seed=0)
    figure = muonclip.runaway(runs)
    assert f"{opening.passed} of 24" in figure.title and f"{opening.max_logits.max():,.0f}" in figure.title
    still = ElementTree.fromstring(f"<div>{figure.still}</div>")
    texts = [mark.text for mark in still.iter() if mark.tag.endswith("text")]
    assert texts.count("layer 2, head 7") == 1 and f"{opening.max_logits[:, 2, 7].max():,.0f}" in texts


def test_the_logit_at_a_loss_is_that_of_the_first_update_below_it(runs):
    run = one(runs, optimizer="muon", lr=0.03, tau=math.inf, seed=0)
    smooth = [run.loss[i - 9 : i + 1].mean() for i in range(9, len(run.loss))]
    first = next(i for i, loss in enumerate(smooth) if loss <= 4.0) + 9
    assert muonclip.logit_at_loss(run, 4.0) == pytest.approx(run.max_logits[first].max())
    assert muonclip.logit_at_loss(run, 1.0) is None


def test_a_rate_is_drawn_only_where_every_seed_reached_the_loss(runs):
    figure = muonclip.at_equal_loss(runs, [5.0, 3.5])
    muon, adamw = figure.figure["frames"][1]["data"]
    assert muon["x"] == [0.003, 0.01, 0.03, 0.1] and adamw["x"] == [0.003]
    seeds = [muonclip.logit_at_loss(run, 3.5) for run in muonclip.pick(runs, optimizer="adamw", lr=0.003, tau=math.inf)]
    assert adamw["y"][0] == pytest.approx(math.prod(seeds) ** (1 / 3))
    assert adamw["y"][0] + adamw["error_y"]["array"][0] == pytest.approx(max(seeds))
    assert adamw["y"][0] - adamw["error_y"]["arrayminus"][0] == pytest.approx(min(seeds))


def test_decay_compares_the_largest_logit_so_far(runs):
    figure = muonclip.decay_holds(runs, [60, 300]).figure
    frames, title = figure["frames"], figure["layout"]["meta"]["title"]
    free, held = frames[1]["data"]
    assert free["y"][-1] > 1000 > 300 > held["y"][-1] > free["y"][0]
    assert re.fullmatch(r"Update 300, rate 0.1: [\d,]+ to [\d,]+ without decay, \d+ to \d+ with it", title)
    assert frames[0]["data"][0]["y"][-1] <= free["y"][-1]


def test_bricks_want_all_four_rules():
    table = np.ones((8, 8))
    with pytest.raises(ValueError, match="clips"):
        muonclip.bricks(np.ones(8), {"right": table}, gamma=0.5, layer=1)
    figure = muonclip.bricks(np.ones(8), dict.fromkeys(muonclip.CLIPS, table), gamma=0.5, layer=1)
    assert figure.data["after"]["root"] == table.tolist()


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs\.muonclip"):
        muonclip.load_runs(tmp_path)


def test_recordings_of_unequal_length_are_refused(tmp_path):
    names = ["muon-lr0.1-tauinf-seed0.json", "muon-lr0.1-tauinf-seed1.json"]
    for name in names:
        shutil.copy(FOLDER / name, tmp_path)
    text = (tmp_path / names[0]).read_text()
    row = json.loads(text)
    row["shape"][0] = 1
    row["loss"], row["max_logits_asinh"], row["log_gamma"] = (pack(np.zeros(n)) for n in (1, 24, 24))
    (tmp_path / names[0]).write_text(json.dumps(row))
    with pytest.raises(ValueError, match="recorded updates"):
        muonclip.load_runs(tmp_path)
