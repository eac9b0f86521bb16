"""The measurement behind what each part is worth: made once, part by part, undone afterwards, and the same again."""

import json

import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.corpus.files import SHIPPED
from kimi_mini.dev import ROOT
from kimi_mini.hub.mini import weights_sha256
from kimi_mini.viz.touch import load_ablation
from runs import ablation
from runs.ablation import Part

FILE = ROOT / ablation.FILE


@pytest.fixture(scope="module")
def mini():
    return km.load_mini()[0]


@pytest.fixture(scope="module")
def measured():
    return load_ablation(FILE)


def test_a_part_is_measured_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ablation, "WINDOWS", 1)
    monkeypatch.setattr(ablation, "LENGTH", 32)
    monkeypatch.setattr(ablation, "STRETCHES", 1)
    monkeypatch.setattr(ablation, "TOUCHED_AT", (1, 16))
    out = tmp_path / "ablation.json"
    ablation.main(["--first", "2", "--out", str(out)])
    before = out.stat().st_mtime_ns, out.read_bytes()
    ablation.main(["--first", "2", "--out", str(out)])
    assert (out.stat().st_mtime_ns, out.read_bytes()) == before
    ablation.main(["--first", "3", "--out", str(out)])
    told = json.loads(out.read_text())
    assert (
        list(told["loss"]) == ["none", "shared", "shared-1"] and told["loss"]["none"] == json.loads(before[1])["loss"]["none"]
    )
    ablation.main(["--first", "4", "--list", "--out", str(out)])
    assert capsys.readouterr().out.split() == "done none done shared done shared-1 missing shared-2".split()
    with pytest.raises(ValueError, match="experts measured = 0 will not do; expected 128"):
        load_ablation(out)


def test_a_row_of_another_mini_is_measured_anew(tmp_path, capsys):
    out = tmp_path / "ablation.json"
    out.write_text(json.dumps({"weights": "another", "loss": {"none": [0.0]}}))
    ablation.main(["--first", "1", "--list", "--out", str(out)])
    assert capsys.readouterr().out.split() == ["missing", "none"]


@pytest.mark.parametrize(
    "part", [Part("expert", 2, 7), Part("head", 0, 3), Part("shared"), Part("routed", 4)], ids=lambda p: p.name
)
def test_a_part_that_is_off_adds_nothing_and_comes_back(mini, part):
    before = {name: tensor.clone() for name, tensor in mini.state_dict().items()}
    with ablation.switched_off(mini, part):
        changed = {name for name, tensor in mini.state_dict().items() if not tensor.equal(before[name])}
        layers = range(1, 5) if part.layer < 0 else [part.layer]
        where = {"head": "attn.out.weight", "shared": "mlp.shared.down.weight"}.get(part.kind, "mlp.experts.down")
        assert changed == {f"blocks.{layer}.{where}" for layer in layers}
    assert all(tensor.equal(before[name]) for name, tensor in mini.state_dict().items())


def test_a_head_that_is_off_is_its_own_columns(mini):
    x_BTD = torch.randn(1, 5, mini.config.num_attention_heads * mini.config.v_head_dim)
    kept = x_BTD.clone()
    kept[..., 3 * 32 : 4 * 32] = 0
    out = mini.blocks[2].attn.out
    with torch.inference_mode():
        expected = out(kept)
        with ablation.switched_off(mini, Part("head", 2, 3)):
            assert torch.allclose(out(x_BTD), expected, atol=1e-6)


def test_the_recorded_file_is_whole_and_of_this_mini(mini, measured):
    told = json.loads(FILE.read_text())
    assert told["weights"] == weights_sha256(SHIPPED) and tuple(told["domains"]) == corpus.DOMAINS
    assert list(told["loss"]) == [part.name for part in ablation.parts(mini.config)]
    assert {len(row) for row in told["loss"].values()} == {told["windows"] * len(told["domains"])} == {30}
    for shares in measured.touched.values():
        assert shares[0] == 0.125 and shares == sorted(shares) and shares[-1] <= 1
    assert all(abs(sum(row) - 4) < 1e-2 for row in told["share"][1:]) and not any(told["share"][0])


def test_a_recorded_loss_can_be_made_again(mini):
    told = json.loads(FILE.read_text())
    ids_WT = ablation.windows(corpus.load())[:: told["windows"]][:2]
    for part in (Part("none"), Part("shared"), Part("expert", 1, 16), Part("head", 2, 5)):
        with ablation.switched_off(mini, part):
            again = ablation.losses(mini, ids_WT)
        assert again == pytest.approx([told["loss"][part.name][0], told["loss"][part.name][told["windows"]]], abs=1e-3)


# ---- what came out ---------------------------------------------------------------------------------------------------


def test_a_sentence_touches_most_experts_but_fewer_than_chance_would(measured):
    for tokens in (8, 16, 32, 64, 128):
        assert measured.touched_by(tokens) < 1 - (1 - 4 / 32) ** tokens
    assert 0.75 < measured.touched_by(32) < 0.85 and measured.touched_by(128) > 0.9


def test_losing_one_routed_expert_hardly_shows(measured):
    costs = sorted(measured.cost(part)[0] for part in measured.parts("expert"))
    assert len(costs) == 128 and costs[64] < 0.003 and sum(cost < 0.01 for cost in costs) > 115 and costs[-1] < 0.06


def test_losing_the_shared_experts_hardly_shows_either(measured):
    """Not what was hoped for; the chapter says so in its headline."""
    mean, error = measured.cost("shared")
    assert 4 * error < mean < 0.05
    assert max(measured.cost(part)[0] for part in measured.parts("shared", 1)) < 0.02


def test_some_heads_and_all_experts_of_a_layer_together_are_worth_more(measured):
    shared = measured.cost("shared")[0]
    assert sum(measured.cost(part)[0] > shared for part in measured.parts("head")) >= 7
    assert min(measured.cost(part)[0] for part in measured.parts("routed", 1)) > 4 * shared
