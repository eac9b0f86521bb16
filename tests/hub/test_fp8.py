"""Block-FP8: multiplied out on load as written down block by block here; refused where it is not whole."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.hub import hf_slots

from .helpers import CONFIG, edit_config, fuse, make_model, refusal, rewrite

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
