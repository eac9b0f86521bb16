"""The figures of the two bets draw what was recorded and what accounting counts, and refuse what is not there."""

import json
import shutil

import numpy as np
import pytest

import kimi_mini as km
from kimi_mini.accounting import count_parameters, decode_flops
from kimi_mini.dev import ROOT
from kimi_mini.laws import draws, flops_to_reach, law_band
from kimi_mini.viz import bets

FOLDER = ROOT / "book" / "data" / "bets"


@pytest.fixture(scope="module")
def shapes():
    return bets.load_shapes(FOLDER)


def rows(experts, heads):
    found = [json.loads(path.read_text()) for path in sorted(FOLDER.glob(f"experts{experts}-heads{heads}-*.json"))]
    return sorted(found, key=lambda row: row["seed"])


def test_shapes_are_the_rows(shapes):
    assert set(shapes) == {(experts, 8) for experts in (4, 8, 16, 32, 64)} | {(16, 4), (16, 16)}
    for (experts, heads), shape in shapes.items():
        told = [row for row in rows(experts, heads) if row["seed"] in shape.seeds]
        assert shape.loss_SB.tolist() == [[landed["held_out"] for landed in row["landed"]] for row in told]
        assert shape.bytes == 2 * told[0]["parameters"]
        assert shape.flops_B.tolist() == [landed["flops"] for landed in told[0]["landed"]]


def test_only_seeds_that_every_shape_has_are_compared(tmp_path, shapes):
    for path in FOLDER.glob("*.json"):
        shutil.copy(path, tmp_path)
    (tmp_path / "experts64-heads8-seed1.json").unlink()
    assert {shape.seeds for shape in bets.load_shapes(tmp_path).values()} == {
        tuple(seed for seed in shapes[64, 8].seeds if seed != 1)
    }
    with pytest.raises(ValueError, match=r"folder = .*expected one with recorded points"):
        bets.load_shapes(tmp_path / "nothing")


def test_the_desk_carries_each_seed(shapes):
    data = bets.desk(shapes).data
    assert data["target"] >= bets.common_range(shapes)[0]
    for told in data["shapes"]:
        shape = shapes[told["experts"], told["heads"]]
        assert told["loss"] == shape.loss_SB[:, -1].tolist()
        for seed, reach in enumerate(told["reach"]):
            assert reach == pytest.approx(flops_to_reach(shape.flops_B, shape.loss_SB[seed], data["target"]), rel=1e-4)
    still = bets.desk(shapes).still
    assert all(f"<td>{shape.bytes / 1e6:.2f}</td>" in still for shape in shapes.values())


@pytest.mark.parametrize(("convention", "percent"), [("plain", 83), ("rope", 86), ("causal", 76), ("absorbed", 95)])
def test_twice_the_heads_at_128k_by_convention(convention, percent):
    assert round(100 * bets.extra_work(km.K2, 131_072, convention)) == percent


def test_twice_the_heads_cost_a_quarter_at_4k_and_only_weights_at_0():
    assert round(100 * bets.extra_work(km.K2, 4096, "plain")) == 25
    twice = km.K2.replace(num_attention_heads=128)
    weights = count_parameters(twice).activated / count_parameters(km.K2).activated - 1
    assert bets.extra_work(km.K2, 0, "plain") == pytest.approx(weights)
    more, usual = (decode_flops(config, 4096, "expanded").attention for config in (twice, km.K2))
    pairs = 4096 * 61 * 64
    assert more - usual == pairs * bets.CONVENTIONS["rope"][0], "the second convention is the package's expanded path"
    with pytest.raises(ValueError, match="convention = 'best'"):
        bets.extra_work(km.K2, 4096, "best")


def test_curves_have_the_measured_dots_inside_their_own_band(shapes):
    figure = bets.curves(shapes).figure
    assert [frame["name"] for frame in figure["frames"]] == ["0", "1", "2", "3"]
    for frame, experts in zip(figure["frames"], (8, 16, 32, 64), strict=True):
        for count, (band, fit, dots) in zip((4, experts), (frame["data"][:3], frame["data"][3:]), strict=True):
            shape = shapes[count, 8]
            assert dots["y"] == pytest.approx(shape.loss_SB.mean(0), rel=1e-4)
            assert dots["x"] == pytest.approx(shape.flops_B / 1e9)
            at = np.array(fit["x"]) * 1e9
            low, high = law_band(shape.flops_B, shape.loss_SB, draws(len(shape.seeds)), at)
            assert band["y"] == pytest.approx([*low, *high[::-1]], abs=2e-3)


def test_savings_are_ratios_of_flops_at_equal_loss(shapes):
    target = bets.desk(shapes).data["target"]
    ours, told = bets.savings(shapes, [target]).figure["frames"][0]["data"]
    for ratio, factor in zip(ours["x"], ours["y"], strict=True):
        few, most = (shapes[experts, 8] for experts in (round(64 / ratio), 64))
        need = [flops_to_reach(shape.flops_B, shape.loss_SB.mean(0), target) for shape in (few, most)]
        assert factor == pytest.approx(need[0] / need[1], abs=1e-3)
    assert dict(zip(told["x"], told["y"], strict=True)) == {6.0: 1.69, 3.0: 1.39, 1.5: 1.15}
    assert told["marker"]["symbol"] == "diamond-open", "the report's are hollow"
    with pytest.raises(ValueError, match="target"):
        bets.savings(shapes, [bets.common_range(shapes)[0] - 0.1])


def test_the_head_study_compares_equal_seeds_and_tokens(shapes):
    figure = bets.head_study(shapes).figure
    for frame, (few, many) in zip(figure["frames"], ((4, 8), (8, 16)), strict=True):
        ours, told = frame["data"]
        gain = 100 * (1 - shapes[16, many].loss_SB / shapes[16, few].loss_SB)
        assert ours["y"] == pytest.approx(gain.mean(0), rel=1e-3, abs=1e-3)
        assert told["y"] == [0.5, 1.2] and told["x"] == ["report"] * 2
