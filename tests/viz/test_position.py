"""The figures of *Where is a word?*: the package's angles, the recorded readings, and a wrong layout that is the wrong one."""

import json
import math
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini.dev import ROOT
from kimi_mini.model.rope import rope_frequencies, rope_table
from kimi_mini.viz import position, position_layout
from kimi_mini.viz.position_runs import load_recording

FOLDER = ROOT / "book" / "data" / "position"


@pytest.fixture(scope="module")
def recording():
    return load_recording(FOLDER)


@pytest.fixture(scope="module")
def nano():
    torch.manual_seed(0)
    return km.KimiMini(km.NANO.replace(initializer_range=0.3), torch.float64).double()


def tokens(*shape):
    return torch.randint(0, km.NANO.vocab_size, shape, generator=torch.Generator().manual_seed(0))


def test_the_clocks_are_the_packages_frequencies(recording):
    data = position.clocks(recording).data
    for name, config in (("K2", km.K2), ("DEEPSEEK_V3", km.DEEPSEEK_V3)):
        model = data["models"][name]
        assert model["yarn"] == rope_frequencies(config).tolist()
        assert model["plain"] == rope_frequencies(config.replace(rope_scaling=None)).tolist()
    assert (data["models"]["K2"]["low"], data["models"]["K2"]["high"], data["models"]["K2"]["factor"]) == (19, 20, 32)


def test_hands_outside_are_those_a_table_of_all_trained_positions_lacks():
    # Slowly: a hand is outside where no trained position's angle reaches as far round the dial.
    plain = km.K2.replace(rope_scaling=None)
    trained = rope_frequencies(plain)[:, None] * torch.arange(4097, dtype=torch.float64) % (2 * math.pi)
    finished = rope_frequencies(plain) * 4096 >= 2 * math.pi
    for config in (plain, km.K2):
        for at in (0, 4096, 8192, 50_000, 131_072):
            angle = rope_frequencies(config) * at % (2 * math.pi)
            slow = ((angle > trained.max(1).values * (1 + 1e-9)) & ~finished).sum().item()
            assert position.outside(config, at) == slow, (config.rope_scaling, at)
    assert int(finished.sum()) == 20 and position.outside(plain, 131_072) == 9 and position.outside(km.K2, 131_072) == 0


def test_yarn_brings_the_last_twelve_hands_back_to_where_they_pointed_at_4096():
    slowed = rope_table(km.K2, torch.tensor([[131_072]]), torch.float64)
    plain = rope_table(km.K2.replace(rope_scaling=None), torch.tensor([[4096]]), torch.float64)
    torch.testing.assert_close(slowed.cos_BTP[..., 20:], plain.cos_BTP[..., 20:], atol=1e-12, rtol=0)
    torch.testing.assert_close(slowed.sin_BTP[..., 20:], plain.sin_BTP[..., 20:], atol=1e-12, rtol=0)


def test_titles_and_stills_say_what_the_package_says(recording):
    figure = position.clocks(recording)
    assert "9 of 32 hands" in figure.title and "with it, 0" in figure.title
    still = ElementTree.fromstring(f"<div>{figure.still}</div>")
    rows = list(still.iter("tr"))
    assert len(rows) == 33 and [cell.text for cell in rows[21]][:2] == ["20", f"{2 * math.pi * 50000 ** (40 / 64):,.1f}"]


def test_excess_is_a_loss_minus_that_of_the_same_tokens_in_pieces(recording):
    rows = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("seed*.json"))]
    losses = rows[1]["losses"]["short"]
    expected = np.mean(losses["plain"][16:32]) - np.mean(losses["pieces"][16:32])
    assert recording.excess("plain")[1, -1] == pytest.approx(expected)
    assert recording.buckets == [(0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32)]
    drawn = position.clocks(recording).data["runs"]
    assert drawn["times"] == [1, 2, 4, 8, 16, 32]
    assert drawn["excess"]["K2"] == recording.excess("yarn").round(4).tolist()
    assert drawn["excess"]["DEEPSEEK_V3"] == recording.excess("yarn with V3's ramp").round(4).tolist()
    with pytest.raises(ValueError, match="reading"):
        recording.excess("nonsense")


@pytest.mark.parametrize("make", [position.reach, position.second_phase])
def test_quiet_figures_draw_the_recording(recording, make):
    figure = make(recording)
    second = {
        "64 only": ("yarn", "short"),
        "64, then 512; YaRN from 512": ("yarn from 512", "longer"),
        "64, then 512; YaRN from 64": ("yarn", "longer"),
    }
    frames, values = figure.figure["frames"], figure.slider.values
    for value, frame in zip(values, frames, strict=True):
        plain, other = frame["data"]
        reading, stage = (value, "short") if make is position.reach else second[value]
        excess = recording.excess(reading, stage)
        assert plain["y"] == recording.excess("plain", stage).mean(0).tolist() and other["y"] == excess.mean(0).tolist()
        assert other["y"][-1] + other["error_y"]["array"][-1] == pytest.approx(excess[:, -1].max())
        low, high = figure.layout["yaxis"]["range"]
        assert low < excess.min() and excess.max() < high
        assert plain["x"] == ([1, 2, 4, 8, 16, 32] if make is position.reach else [64, 128, 256, 512, 1024, 2048])
        assert {plain["textposition"], other["textposition"]} == {"top right", "bottom right"}
    assert f"{recording.excess('plain')[:, -1].mean():+.2f}" in figure.figure["layout"]["meta"]["titles"][0]


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"python -m runs\.position"):
        load_recording(tmp_path)


def test_recordings_of_unequal_length_are_refused(tmp_path):
    for seed in (0, 1):
        shutil.copy(FOLDER / f"seed{seed}.json", tmp_path)
    row = json.loads((tmp_path / "seed0.json").read_text())
    (tmp_path / "seed0.json").write_text(json.dumps(row | {"long": 1024}))
    with pytest.raises(ValueError, match="recorded lengths"):
        load_recording(tmp_path)


# ---- the side door -----------------------------------------------------------------------------------------------------


def rotate_halves(x_BTHR, rope):
    first, second = x_BTHR.chunk(2, -1)
    cos, sin = rope.cos_BTP.unsqueeze(2), rope.sin_BTP.unsqueeze(2)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


@torch.no_grad()
def test_moved_rows_are_the_half_split_rotation(nano, monkeypatch):
    wrong = km.KimiMini(nano.config, torch.float64).double()
    wrong.load_state_dict(nano.state_dict())
    position_layout.read_half_split_(wrong)
    read = wrong(tokens(2, 12)).logits_BTV
    assert (read - nano(tokens(2, 12)).logits_BTV).abs().max() > 0.01
    monkeypatch.setattr("kimi_mini.model.mla.rotate", rotate_halves)
    torch.testing.assert_close(read, nano(tokens(2, 12)).logits_BTV, atol=1e-10, rtol=0)


@torch.no_grad()
def test_logits_written_down_are_those_of_the_kernel(nano):
    rope = rope_table(nano.config, torch.arange(12)[None], torch.float64)
    x_BTD = torch.randn(2, 12, nano.config.hidden_size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    attn = nano.blocks[0].attn
    logits = position_layout._logits(attn, x_BTD, rope).masked_fill(torch.ones(12, 12).triu(1).bool(), -torch.inf)
    torch.testing.assert_close(logits.amax((0, 2, 3)), attn(x_BTD, rope)[1], atol=1e-10, rtol=0)


def test_attention_by_distance_shares_out_one(nano):
    table = position_layout.attention_by_distance(nano, tokens(2, 12), distances=11)
    assert table.shape == (3, 4, 11) and (table > 0).all()
    assert (table.sum(-1) < 1).all(), "of the last query, only the first token is left out"
    with pytest.raises(ValueError, match="distances"):
        position_layout.attention_by_distance(nano, tokens(2, 12), distances=12)


def test_heads_by_distance_draws_both_tables_of_each_head():
    right, wrong = np.random.default_rng(0).random((2, 2, 3, 8))
    figure = position_layout.heads_by_distance(right, wrong, {"right": [[1.0] * 3] * 2, "wrong": [[2.0] * 3] * 2})
    frame = figure.figure["frames"][4]
    assert [trace["y"] for trace in frame["data"]] == [right[1, 1].tolist(), wrong[1, 1].tolist()]
    assert figure.figure["layout"]["meta"]["titles"][4].startswith("Layer 1, head 1: largest logit 1.0")


def test_the_wrong_layout_is_asked_about_a_domain_that_is_there():
    measured = {"right": 2.3, "wrong": 3.9, "right_logit": 16.0, "wrong_logit": 18.0}
    figure = position_layout.wrong_layout({"code": measured}, asked="code", tokens=512, vocabulary=2048)
    assert figure.data["domains"] == [{"name": "code", **measured}] and "from 2.30 to 3.90" in figure.title
    assert figure.data["uniform"] == pytest.approx(math.log(2048))
    with pytest.raises(ValueError, match="asked"):
        position_layout.wrong_layout({"code": measured}, asked="plays", tokens=512, vocabulary=2048)
