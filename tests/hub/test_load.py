"""Reading: every bit and every format kept, and the other layouts that are in use."""

import json

import pytest
import torch
from safetensors.torch import load_file

import kimi_mini as km

from .helpers import CONFIG, edit_config, fuse, make_model, refusal, rewrite, same


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_round_trip_keeps_every_bit(tmp_path, dtype):
    model = make_model().to(dtype)
    km.save_pretrained(model, tmp_path / "m")
    back = km.from_pretrained(tmp_path / "m")
    assert same(back, model)
    assert back.config == CONFIG.replace(model_type="deepseek_v3")
    assert all(parameter.requires_grad for parameter in back.parameters())
    assert json.loads((tmp_path / "m" / "config.json").read_text())["torch_dtype"] == str(dtype).removeprefix("torch.")


@pytest.mark.parametrize("change", [dict(q_lora_rank=None), dict(tie_word_embeddings=True), dict(first_k_dense_replace=2)])
def test_round_trip_of_other_shapes(tmp_path, change):
    model = make_model(CONFIG.replace(**change))
    km.save_pretrained(model, tmp_path / "m")
    assert same(km.from_pretrained(tmp_path / "m"), model)


def test_one_file_or_shards(model, tmp_path):
    km.save_pretrained(model, tmp_path / "one")
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["config.json", "model.safetensors"]

    km.save_pretrained(model, tmp_path / "many", max_shard_bytes=50_000)
    index = json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    assert len(shards) > 2
    assert shards == [f"model-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == sorted(
        ["config.json", "model.safetensors.index.json", *shards]
    )
    for shard in shards:
        tensors = load_file(tmp_path / "many" / shard)
        assert {key for key, name in index["weight_map"].items() if name == shard} == set(tensors)
        assert sum(t.nbytes for t in tensors.values()) <= 50_000 or len(tensors) == 1
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in model.state_dict().values())
    assert same(km.from_pretrained(tmp_path / "many"), model)


def test_files_are_as_readable_as_any_other(folder):
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    plain = folder.parent / "plain"
    plain.touch()
    assert set(modes.values()) == {plain.stat().st_mode & 0o777}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_given_dtype_rules_except_for_the_selection_bias(folder, model, dtype):
    back = km.from_pretrained(folder, dtype=dtype)
    assert {p.dtype for p in back.parameters()} == {dtype}
    assert torch.equal(back.embed.weight, model.embed.weight.to(dtype))
    bias = back.blocks[1].mlp.router.selection_bias
    assert bias.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.equal(bias.float(), model.blocks[1].mlp.router.selection_bias)


def test_formats_may_differ_between_tensors(folder, model):
    def mix(tensors):
        for key in tensors:
            if "layernorm" not in key:
                tensors[key] = tensors[key].bfloat16()

    rewrite(folder, mix)
    back = km.from_pretrained(folder)
    assert back.blocks[0].attn_norm.weight.dtype == torch.float32
    assert back.blocks[0].attn.out.weight.dtype == torch.bfloat16
    assert back.blocks[1].mlp.router.selection_bias.dtype == torch.float32


def test_a_loaded_model_does_not_hang_on_its_files(folder, model):
    back = km.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"gone")
    assert same(back, model)


def test_loaded_models_run_and_train(folder, model):
    back, tokens = km.from_pretrained(folder), torch.arange(12).view(2, 6)
    logits = back(tokens).logits_BTV
    assert torch.equal(logits, model(tokens).logits_BTV)
    logits.sum().backward()
    assert all(p.grad is not None for p in back.parameters())


def test_fused_experts(folder, model):
    rewrite(folder, fuse)
    assert same(km.from_pretrained(folder), model)


def test_left_over_rotary_tables_and_prediction_layers_are_skipped(folder, model):
    def add(tensors):
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
        for part in ("eh_proj.weight", "enorm.weight", "self_attn.o_proj.weight", "shared_head.head.weight"):
            tensors[f"model.layers.2.{part}"] = torch.ones(2, 2)

    rewrite(folder, add)
    assert same(km.from_pretrained(folder), model)


def test_announced_prediction_layers_are_skipped_and_other_layers_are_not(folder):
    rewrite(folder, lambda tensors: tensors.update({"model.layers.2.mlp.gate.weight": torch.ones(2)}))
    assert "1 unexpected: model.layers.2.mlp.gate.weight" in refusal(folder)
    edit_config(folder, num_nextn_predict_layers=1)
    km.from_pretrained(folder)


def test_a_stored_head_that_is_tied(tmp_path):
    model = make_model(CONFIG.replace(tie_word_embeddings=True))
    km.save_pretrained(model, tmp_path / "m")
    assert "lm_head.weight" not in load_file(tmp_path / "m" / "model.safetensors")
    rewrite(tmp_path / "m", lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    assert same(km.from_pretrained(tmp_path / "m"), model)
    rewrite(tmp_path / "m", lambda t: t["lm_head.weight"].add_(1))
    assert "lm_head.weight differs" in refusal(tmp_path / "m")
