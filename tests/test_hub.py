"""Hugging Face folders: what is read, what is refused and how, and that a save is whole or not there."""

import json
import os
import resource

import pytest
import torch
from safetensors.torch import load_file, save_file

import kimi_mini as km
from kimi_mini.hub import hf_slots
from kimi_mini.hub import save as save_module

CONFIG = km.NANO.replace(vocab_size=64, num_hidden_layers=2, num_nextn_predict_layers=0)


def make_model(config: km.ModelConfig = CONFIG, seed: int = 0) -> km.KimiMini:
    torch.manual_seed(seed)
    model = km.KimiMini(config)
    for name, tensor in model.state_dict().items():
        if name.endswith(("norm.weight", "selection_bias")):
            tensor.copy_(torch.randn_like(tensor))
    return model


@pytest.fixture
def model() -> km.KimiMini:
    return make_model()


@pytest.fixture
def folder(model, tmp_path):
    """A saved model in one file."""
    km.save_pretrained(model, tmp_path / "model")
    return tmp_path / "model"


def same(a: km.KimiMini, b: km.KimiMini) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)


def rewrite(folder, change) -> None:
    """Apply `change` to the dict of stored tensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "model.safetensors")


def edit_config(folder, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder, **kwargs) -> str:
    with pytest.raises(ValueError) as caught:
        km.from_pretrained(folder, **kwargs)
    return str(caught.value)


# ---- the key table ---------------------------------------------------------------------------------------------------


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


# ---- there and back --------------------------------------------------------------------------------------------------


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


# ---- what else is read -----------------------------------------------------------------------------------------------


def fuse(tensors) -> None:
    """Per-expert keys to fused ones, written out by hand: gate rows first."""
    base, n = "model.layers.1.mlp.experts.", CONFIG.n_routed_experts
    gate, up, down = ([tensors.pop(f"{base}{e}.{p}_proj.weight") for e in range(n)] for p in ("gate", "up", "down"))
    tensors[base + "gate_up_proj"] = torch.stack([torch.cat(pair) for pair in zip(gate, up, strict=True)])
    tensors[base + "down_proj"] = torch.stack(down)


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


# ---- block-FP8 -------------------------------------------------------------------------------------------------------

FP8_CONFIG = CONFIG.replace(hidden_size=200, moe_intermediate_size=136, intermediate_size=264, num_attention_heads=9)


def quantise(tensors, fused: bool = False) -> dict[str, torch.Tensor]:
    """Block-FP8 in place, block by block in plain loops; returns what each weight must come back as, in fp32."""
    if fused:
        fuse(tensors)
    truth = {}
    for key in [k for k in tensors if "proj" in k]:
        weight = tensors[key]
        matrices = weight.reshape(-1, *weight.shape[-2:])
        rows, columns = (range(0, n, 128) for n in weight.shape[-2:])
        scale = torch.ones(len(matrices), len(rows), len(columns))
        eight, back = matrices.to(torch.float8_e4m3fn), torch.ones_like(matrices)
        for m in range(len(matrices)):
            for i, r in enumerate(rows):
                for j, c in enumerate(columns):
                    here = (m, slice(r, r + 128), slice(c, c + 128))
                    scale[m, i, j] = matrices[here].abs().max() / 448
                    eight[here] = (matrices[here] / scale[m, i, j]).to(torch.float8_e4m3fn)
                    back[here] = eight[here].float() * scale[m, i, j]
        tensors[key] = eight.view(weight.shape)
        tensors[key + "_scale_inv"] = scale.view(*weight.shape[:-2], len(rows), len(columns))
        truth[key] = back.view(weight.shape)
    return truth


@pytest.fixture
def fp8_folder(tmp_path):
    """Widths that are no multiples of 128, so that the last blocks are ragged."""
    km.save_pretrained(make_model(FP8_CONFIG), tmp_path / "fp8")
    edit_config(tmp_path / "fp8", quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3"})
    return tmp_path / "fp8"


@pytest.mark.parametrize("fused", [False, True])
def test_block_fp8_is_multiplied_out(fp8_folder, fused):
    truth = {}
    rewrite(fp8_folder, lambda tensors: truth.update(quantise(tensors, fused)))
    exact = km.from_pretrained(fp8_folder, dtype=torch.float32).state_dict()
    kept = km.from_pretrained(fp8_folder).state_dict()
    slots = hf_slots(exact, fused_experts=fused)
    assert len(truth) > 10
    for key, weight in truth.items():
        assert torch.equal(slots[key].of(exact[slots[key].name]), weight)
        assert torch.equal(slots[key].of(kept[slots[key].name]), weight.bfloat16())
    original = make_model(FP8_CONFIG).state_dict()
    for name in ("embed.weight", "norm.weight", "blocks.1.mlp.router.weight", "blocks.1.mlp.router.selection_bias"):
        assert torch.equal(kept[name], original[name])


def test_fp8_without_scales_is_refused(fp8_folder):
    gone = [f"model.layers.{n}.self_attn.o_proj.weight_scale_inv" for n in (0, 1)]
    rewrite(fp8_folder, lambda tensors: (quantise(tensors), [tensors.pop(key) for key in gone]))
    message = refusal(fp8_folder)
    assert f"2 missing: {gone[0]}, {gone[1]}" in message


def test_fp8_with_scales_of_another_block_size_is_refused(fp8_folder):
    key = "model.layers.0.self_attn.o_proj.weight_scale_inv"

    def change(tensors):
        quantise(tensors)
        tensors[key] = tensors[key][:1]

    rewrite(fp8_folder, change)
    assert f"1 misshapen: {key} [1, 2] (expected [2, 2])" in refusal(fp8_folder)


def test_scales_without_fp8_are_refused(fp8_folder):
    key = "model.layers.0.self_attn.o_proj.weight"

    def change(tensors):
        tensors[key] = quantise(tensors)[key]

    rewrite(fp8_folder, change)
    assert f"1 unexpected: {key}_scale_inv" in refusal(fp8_folder)


@pytest.mark.parametrize(
    ("quantised", "shown"),
    [
        ({"quant_method": "gptq"}, "quant_method = 'gptq'"),
        ({"quant_method": "fp8", "weight_block_size": [64, 64]}, "weight_block_size = [64, 64]"),
        ({"quant_method": "fp8", "weight_block_size": None}, "weight_block_size = None"),
    ],
)
def test_other_quantisation_is_refused(folder, quantised, shown):
    edit_config(folder, quantization_config=quantised)
    message = refusal(folder)
    assert shown in message and "config.json" in message and "expected 'fp8'" in message


# ---- folders that will not do ----------------------------------------------------------------------------------------


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


@pytest.fixture
def sharded(model, tmp_path):
    km.save_pretrained(model, tmp_path / "sharded", max_shard_bytes=100_000)
    return tmp_path / "sharded"


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


# ---- a save is whole or not there ------------------------------------------------------------------------------------


def contents(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Interrupted(BaseException):
    """Like KeyboardInterrupt: no `except Exception` catches it."""


@pytest.mark.parametrize("error", [Interrupted, OSError])
@pytest.mark.parametrize("step", ["second shard", "index", "rename"])
def test_an_interrupted_save_leaves_the_earlier_one_and_no_debris(folder, monkeypatch, step, error):
    calls = {"n": 0}
    owner, name, when = {
        "second shard": (save_module, "save_file", 2),
        "index": (save_module, "_write_json", 2),
        "rename": (os, "rename", 2),
    }[step]
    original = getattr(owner, name)

    def fail(*args, **kwargs):
        calls["n"] += 1
        if calls["n"] == when:
            raise error("stop")
        return original(*args, **kwargs)

    before = contents(folder.parent)
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(error):
        km.save_pretrained(make_model(seed=1), folder, max_shard_bytes=50_000)
    assert calls["n"] >= when
    assert contents(folder.parent) == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_first_save_that_is_interrupted_leaves_nothing(model, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise Interrupted

    monkeypatch.setattr(save_module, "save_file", fail)
    with pytest.raises(Interrupted):
        km.save_pretrained(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_os_error_and_costs_nothing(folder):
    before = contents(folder.parent)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))  # the system refuses to write more than this into any file
    try:
        with pytest.raises(OSError, match="nothing there has changed"):
            km.save_pretrained(make_model(seed=1), folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(folder.parent) == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_an_earlier_save_is_replaced_whole(sharded):
    other = make_model(seed=1)
    km.save_pretrained(other, sharded)
    assert sorted(p.name for p in sharded.iterdir()) == ["config.json", "model.safetensors"]  # no shard of the old one
    assert same(km.from_pretrained(sharded), other)
    assert [p.name for p in sharded.parent.iterdir()] == ["sharded"]


def test_a_model_may_be_saved_over_the_folder_it_came_from(folder, model):
    km.save_pretrained(km.from_pretrained(folder), folder)
    assert same(km.from_pretrained(folder), model)


@pytest.mark.parametrize("kind", ["new", "empty", "deep", "link"])
def test_places_a_save_may_go(model, tmp_path, kind):
    target = tmp_path / "a" / "b" / "c" if kind == "deep" else tmp_path / "m"
    if kind in ("empty", "link"):
        target.mkdir()
    if kind == "link":
        (tmp_path / "link").symlink_to(target, target_is_directory=True)
    km.save_pretrained(model, tmp_path / "link" if kind == "link" else target)
    assert same(km.from_pretrained(target), model)


@pytest.mark.parametrize("other", ["tokenizer.json", "notes/", "pytorch_model.bin"])
def test_a_folder_with_other_things_is_left_alone(folder, other):
    (folder / other).mkdir() if other.endswith("/") else (folder / other).write_text("mine")
    before = contents(folder)
    with pytest.raises(ValueError, match=f"holds other things .*{other.rstrip('/')}"):
        km.save_pretrained(make_model(seed=1), folder)
    assert contents(folder) == before


def test_a_file_is_not_replaced(model, tmp_path):
    (tmp_path / "m").write_text("mine")
    with pytest.raises(ValueError, match="is a file"):
        km.save_pretrained(model, tmp_path / "m")
    assert (tmp_path / "m").read_text() == "mine"


def test_wrong_arguments_of_save(model, tmp_path):
    for value in (0, -1, 1.5, "5GB"):
        with pytest.raises(ValueError, match="max_shard_bytes = "):
            km.save_pretrained(model, tmp_path / "m", max_shard_bytes=value)
    with torch.device("meta"), pytest.raises(ValueError, match="embed.weight is on the meta device"):
        km.save_pretrained(km.KimiMini(CONFIG), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
