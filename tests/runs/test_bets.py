"""The runs of the two bets: made once, whole rows, landings that leave their trunk alone, the same numbers again."""

import json

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.accounting import count_parameters, training_flops
from kimi_mini.dev import ROOT
from runs import bets
from runs.ablation import windows
from runs.reading import window_loss

ROWS = sorted((ROOT / bets.FOLDER).glob("*.json"))


@pytest.fixture(scope="module")
def text():
    return corpus.load()


def test_a_point_is_made_once(tmp_path, capsys, monkeypatch):
    made = []
    monkeypatch.setattr(bets, "record", lambda point, text: made.append(point.name) or {"seconds": 1.5})
    for _ in range(2):
        bets.main(["--out", str(tmp_path), "--shard", "20/21"])
    assert made == ["experts16-heads16-seed2"]
    bets.main(["--out", str(tmp_path), "--list"])
    assert "missing experts4-heads8-seed0" in capsys.readouterr().out.splitlines()


def test_experts_at_work_and_everything_else_stay_the_same(text):
    usual = bets.model_config(text, bets.Point(bets.USUAL_EXPERTS, bets.USUAL_HEADS, 0))
    for point in bets.points():
        config = bets.model_config(text, point)
        assert (config.num_experts_per_tok, config.n_shared_experts) == (2, 1)
        assert config.replace(n_routed_experts=16, num_attention_heads=8) == usual


def test_held_out_windows_come_from_every_domain(text):
    ids_WT = windows(text, bets.WINDOWS, bets.LENGTH)
    assert ids_WT.shape == (bets.WINDOWS * len(text.tokens), bets.LENGTH + 1)


def test_a_landing_leaves_its_trunk_alone(text):
    point = bets.Point(4, 4, 0)
    both, alone = (bets.record(point, text, budgets=budgets) for budgets in ((4, 8), (8,)))
    assert both["trunk_loss"] == alone["trunk_loss"]
    assert both["landed"][1]["held_out"] == alone["landed"][0]["held_out"]
    assert [landed["updates"] for landed in both["landed"]] == [5, 10]


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_recorded_row_is_whole(path):
    row = json.loads(path.read_text(encoding="utf-8"))
    point = bets.Point(row["experts"], row["heads"], row["seed"])
    assert path.stem == point.name and point in bets.points()
    config = km.ModelConfig.from_hf(row["model"])
    assert (config.n_routed_experts, config.num_attention_heads) == (row["experts"], row["heads"])
    assert row["parameters"] == count_parameters(config).total
    assert [landed["branched_at"] for landed in row["landed"]] == list(bets.BUDGETS)
    per_token = training_flops(config, bets.LENGTH).total
    for landed in row["landed"]:
        assert landed["updates"] == landed["branched_at"] * (1 + 1 / bets.DECAY)
        assert landed["tokens"] == landed["updates"] * bets.LENGTH * bets.SIZE
        assert landed["flops"] == pytest.approx(landed["tokens"] * per_token)
        assert 0 < landed["held_out"] < landed["before"], "coming down gains something"
    assert len(row["trunk_loss"]) == bets.BUDGETS[-1] and np.isfinite(row["trunk_loss"]).all()


def test_the_loss_is_that_of_the_next_token(text):
    torch.manual_seed(0)
    model = km.KimiMini(bets.model_config(text, bets.Point(4, 4, 0)), torch.float32)
    ids_WT = windows(text, bets.WINDOWS, bets.LENGTH)[:3]
    with torch.no_grad():
        logits_WTV = model(ids_WT[:, :-1]).logits_BTV
    expected = torch.nn.functional.cross_entropy(logits_WTV.flatten(0, 1), ids_WT[:, 1:].flatten())
    assert window_loss(model, ids_WT) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
def test_a_recorded_row_can_be_made_again(text):
    told = json.loads((ROOT / bets.FOLDER / "experts4-heads8-seed0.json").read_text())
    again = bets.record(bets.Point(4, 8, 0), text, budgets=bets.BUDGETS[:1])
    assert again["trunk_loss"][:20] == pytest.approx(told["trunk_loss"][:20], rel=1e-2)
    assert again["landed"][0]["held_out"] == pytest.approx(told["landed"][0]["held_out"], rel=2e-2)
