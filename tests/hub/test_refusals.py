"""Folders that will not do: the error names the file, and everything that is wrong at once."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from .helpers import edit_config, refusal, rewrite


def test_everything_that_does_not_fit_is_listed_at_once(folder):
    def spoil(tensors):
        for key in ("model.norm.weight", "model.layers.1.mlp.experts.3.up_proj.weight"):
            del tensors[key]
        tensors["model.layers.0.self_attn.q_proj.weight"] = torch.ones(3)
        tensors["lm_head.weight"] = torch.ones(64, 65)
        tensors["model.layers.0.input_layernorm.weight"] = torch.ones(64, 1)
        tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"].to(torch.int32)

    rewrite(folder, spoil)
    message = refusal(folder)
    assert str(folder) in message
    assert "2 missing: model.layers.1.mlp.experts.3.up_proj.weight, model.norm.weight" in message
    assert "1 unexpected: model.layers.0.self_attn.q_proj.weight" in message
    assert "2 misshapen: " in message
    assert "lm_head.weight [64, 65] (expected [64, 64])" in message
    assert "model.layers.0.input_layernorm.weight [64, 1] (expected [64])" in message
    assert "model.embed_tokens.weight I32" in message


def test_long_lists_are_cut_and_counted(folder):
    rewrite(folder, lambda tensors: tensors.update({f"extra.{n:03d}": torch.ones(1) for n in range(100)}))
    message = refusal(folder)
    assert "100 unexpected: " in message and "extra.019 and 80 more" in message and "extra.020" not in message


def test_a_config_of_another_size_is_not_forced_onto_the_weights(folder):
    edit_config(folder, hidden_size=32, num_hidden_layers=1)
    message = refusal(folder)
    assert "unexpected" in message and "misshapen" in message


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_named(folder, keep):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    assert str(path) in refusal(folder)


def test_a_corrupt_header_is_named(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[20:40] = b"#" * 20
    path.write_bytes(content)
    message = refusal(folder)
    assert str(path) in message and "not a whole safetensors file" in message


def test_a_pickle_is_not_opened(folder):
    path = folder / "model.safetensors"
    torch.save({"a": torch.ones(1)}, path)
    assert "not a whole safetensors file" in refusal(folder)
    path.rename(folder / "pytorch_model.bin")
    assert "neither model.safetensors nor model.safetensors.index.json" in refusal(folder)


def test_absent_shards_are_all_named(sharded):
    gone = sorted(sharded.glob("model-*"))[:2]
    for path in gone:
        path.unlink()
    message = refusal(sharded)
    assert all(path.name in message for path in gone) and "index.json" in message


def test_a_tensor_that_its_shard_lacks_is_missing(sharded):
    path = sorted(sharded.glob("model-*"))[0]
    tensors = load_file(path)
    key = next(iter(tensors))
    save_file({k: t for k, t in tensors.items() if k != key}, path)
    assert f"1 missing: {key}" in refusal(sharded)


def test_a_tensor_in_two_shards_is_refused(sharded):
    first, second = sorted(sharded.glob("model-*"))[:2]
    key, tensor = next(iter(load_file(first).items()))
    save_file(load_file(second) | {key: tensor}, second)
    message = refusal(sharded)
    assert key in message and str(second) in message


@pytest.mark.parametrize("index", ["", "{", "[]", '{"weight_map": []}', '{"metadata": {}}'])
def test_a_damaged_index_is_named(sharded, index):
    (sharded / "model.safetensors.index.json").write_text(index)
    message = refusal(sharded)
    assert "model.safetensors.index.json" in message and "weight_map" in message


def test_an_index_that_points_elsewhere_is_refused(sharded):
    (sharded / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"model.norm.weight": "../other.safetensors"}})
    )
    assert "../other.safetensors" in refusal(sharded)


def test_a_foreign_architecture_is_named(folder):
    (folder / "config.json").write_text(
        json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2})
    )
    message = refusal(folder)
    assert str(folder / "config.json") in message and "model_type = 'llama'" in message and "'deepseek_v3'" in message


def test_no_folder_no_config_no_dtype(tmp_path, folder):
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert "is not a folder" in refusal(folder / "config.json")
    assert "dtype = 'bfloat16'" in refusal(folder, dtype="bfloat16")
    assert "dtype = torch.int8" in refusal(folder, dtype=torch.int8)
    (folder / "config.json").unlink()
    assert "config.json" in refusal(folder)
