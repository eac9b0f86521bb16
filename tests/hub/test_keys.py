"""The key table: Hugging Face's names and shapes, every element exactly once."""

import torch

import kimi_mini as km
from kimi_mini.hub import hf_slots

from .helpers import CONFIG, make_model


def test_released_keys_and_shapes_of_k2():
    # k2-facts 1.3
    with torch.device("meta"):
        state = km.KimiMini(km.K2.replace(num_hidden_layers=2)).state_dict()
    shapes = {key: list(slot.of(state[slot.name]).shape) for key, slot in hf_slots(state).items()}
    layer = {
        "input_layernorm.weight": [7168],
        "post_attention_layernorm.weight": [7168],
        "self_attn.q_a_proj.weight": [1536, 7168],
        "self_attn.q_a_layernorm.weight": [1536],
        "self_attn.q_b_proj.weight": [12288, 1536],
        "self_attn.kv_a_proj_with_mqa.weight": [576, 7168],
        "self_attn.kv_a_layernorm.weight": [512],
        "self_attn.kv_b_proj.weight": [16384, 512],
        "self_attn.o_proj.weight": [7168, 8192],
    }
    expected = {"model.embed_tokens.weight": [163840, 7168], "lm_head.weight": [163840, 7168], "model.norm.weight": [7168]}
    expected |= {f"model.layers.{n}.{key}": shape for n in (0, 1) for key, shape in layer.items()}
    for prefix, hidden in [("model.layers.0.mlp.", 18432), ("model.layers.1.mlp.shared_experts.", 2048)] + [
        (f"model.layers.1.mlp.experts.{e}.", 2048) for e in range(384)
    ]:
        expected |= {f"{prefix}{part}_proj.weight": [hidden, 7168] for part in ("gate", "up")}
        expected[f"{prefix}down_proj.weight"] = [7168, hidden]
    expected["model.layers.1.mlp.gate.weight"] = [384, 7168]
    expected["model.layers.1.mlp.gate.e_score_correction_bias"] = [384]
    assert shapes == expected


def test_slots_cover_every_element_once():
    state = {name: torch.zeros_like(tensor) for name, tensor in make_model().state_dict().items()}
    for fused in (False, True):
        for slot in hf_slots(state, fused).values():
            slot.of(state[slot.name]).add_(1)
    assert all((tensor == 2).all() for tensor in state.values())


def test_no_query_latent_has_one_query_key():
    with torch.device("meta"):
        slots = hf_slots(km.KimiMini(CONFIG.replace(q_lora_rank=None)).state_dict())
    queries = [key for key in slots if ".self_attn.q" in key]
    assert queries == [f"model.layers.{n}.self_attn.q_proj.weight" for n in (0, 1)]
