"""Folders travel both ways: ours read by transformers, transformers' read by ours, bit for bit."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig

import kimi_mini as km
from kimi_mini.hub import hf_slots

from .helpers import load_theirs


def same_weights(a: km.KimiMini, b: km.KimiMini) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)


def their_state_by_our_keys(pair) -> bool:
    """Whether every tensor of theirs equals the slot of ours that the key table names."""
    ours, theirs = pair.ours.state_dict(), pair.theirs.state_dict()
    slots = hf_slots(ours, fused_experts=True)
    theirs.pop("lm_head.weight") if pair.ours.config.tie_word_embeddings else None
    return slots.keys() == theirs.keys() and all(torch.equal(theirs[k], s.of(ours[s.name])) for k, s in slots.items())


def test_ours_to_transformers_and_back(make_pair, tmp_path, case):
    pair = make_pair(case)
    assert their_state_by_our_keys(pair)
    pair.theirs.save_pretrained(tmp_path / "theirs")
    back = km.from_pretrained(tmp_path / "theirs")
    assert same_weights(back, pair.ours)
    assert back.config == pair.ours.config


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_folders(make_pair, tmp_path, dtype):
    pair = make_pair("plain", dtype)
    assert {p.dtype for p in pair.theirs.parameters()} == {dtype}
    assert their_state_by_our_keys(pair)
    pair.theirs.save_pretrained(tmp_path / "theirs")
    back = km.from_pretrained(tmp_path / "theirs")
    assert same_weights(back, pair.ours)
    assert back.blocks[1].mlp.router.selection_bias.dtype == torch.float32


def test_shards_both_ways(make_pair, tmp_path):
    pair = make_pair("plain")
    km.save_pretrained(pair.ours, tmp_path / "sharded", max_shard_bytes=20_000)
    assert len(list((tmp_path / "sharded").glob("model-*.safetensors"))) > 2
    theirs = load_theirs(tmp_path / "sharded", torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), pair.theirs.parameters(), strict=True))
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("model-*.safetensors"))) > 2
    assert same_weights(km.from_pretrained(tmp_path / "theirs"), pair.ours)


def test_fused_expert_keys_as_transformers_holds_them(make_pair, tmp_path):
    pair = make_pair("plain")
    state = {key: tensor.clone() for key, tensor in pair.theirs.state_dict().items()}
    assert "model.layers.1.mlp.experts.gate_up_proj" in state
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(pair.ours.config.to_hf()))
    assert same_weights(km.from_pretrained(tmp_path), pair.ours)


@pytest.mark.parametrize("case_name", ["plain", "yarn", "groups", "no_q_latent", "tied", "three_shared_experts"])
def test_their_config_says_what_ours_says(make_pair, case_name):
    pair = make_pair(case_name)
    theirs = pair.theirs.config
    assert type(theirs) is type(AutoConfig.for_model("deepseek_v3"))
    assert km.ModelConfig.from_hf(theirs.to_dict()) == pair.ours.config
