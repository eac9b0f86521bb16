"""ModelConfig: the released config.json files give the presets exactly; wrong values are refused by name."""

import json
import math

import pytest

import kimi_mini as km

# The released config.json files, with the fields that do not shape the model (k2-facts: Hub copies).
_SHARED = {
    "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "hidden_act": "silu",
    "initializer_range": 0.02, "kv_lora_rank": 512, "moe_layer_freq": 1, "norm_topk_prob": True, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "scoring_func": "sigmoid", "tie_word_embeddings": False, "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16", "use_cache": True, "v_head_dim": 128,
}  # fmt: skip
_FP8 = {
    "quantization_config": {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
    }
}
K2_HF = _SHARED | _FP8 | {
    "model_type": "kimi_k2", "hidden_size": 7168, "num_hidden_layers": 61, "num_attention_heads": 64, "num_key_value_heads": 64,
    "q_lora_rank": 1536, "n_routed_experts": 384, "num_experts_per_tok": 8, "n_shared_experts": 1,
    "moe_intermediate_size": 2048, "intermediate_size": 18432, "first_k_dense_replace": 1, "n_group": 1,
    "topk_group": 1, "routed_scaling_factor": 2.827, "seq_aux": True, "aux_loss_alpha": 0.001, "rope_theta": 50000.0,
    "max_position_embeddings": 131072, "vocab_size": 163840,
    "rope_scaling": {
        "type": "yarn", "factor": 32.0, "beta_fast": 1.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
    },
    "rms_norm_eps": 1e-6, "num_nextn_predict_layers": 0, "bos_token_id": 163584, "eos_token_id": 163585,
}  # fmt: skip
V3_HF = _SHARED | _FP8 | {
    "model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61, "num_attention_heads": 128,
    "num_key_value_heads": 128, "q_lora_rank": 1536, "n_routed_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1,
    "moe_intermediate_size": 2048, "intermediate_size": 18432, "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4,
    "routed_scaling_factor": 2.5, "rope_theta": 10000, "max_position_embeddings": 163840, "vocab_size": 129280,
    "rope_scaling": {
        "type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
    },
    "rms_norm_eps": 1e-6, "num_nextn_predict_layers": 1, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
MOONLIGHT_HF = _SHARED | {
    "model_type": "deepseek_v3", "hidden_size": 2048, "num_hidden_layers": 27, "num_attention_heads": 16,
    "num_key_value_heads": 16, "q_lora_rank": None, "n_routed_experts": 64, "num_experts_per_tok": 6, "n_shared_experts": 2,
    "moe_intermediate_size": 1408, "intermediate_size": 11264, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
    "routed_scaling_factor": 2.446, "seq_aux": True, "aux_loss_alpha": 0.001, "rope_theta": 50000.0, "rope_scaling": None,
    "max_position_embeddings": 8192, "vocab_size": 163840, "rms_norm_eps": 1e-5, "num_nextn_predict_layers": 0,
    "bos_token_id": 163584, "eos_token_id": 163586,
}  # fmt: skip
RELEASED = [(K2_HF, km.K2), (V3_HF, km.DEEPSEEK_V3), (MOONLIGHT_HF, km.MOONLIGHT)]
NAMES = ["k2", "deepseek-v3", "moonlight"]


def new_layout(hf: dict) -> dict:
    """The same config as transformers 5 writes it: one rope_parameters instead of rope_theta and rope_scaling."""
    hf = dict(hf)
    scaling = dict(hf.pop("rope_scaling") or {"type": "default"})
    hf["rope_parameters"] = {"rope_theta": hf.pop("rope_theta"), "rope_type": scaling.pop("type"), **scaling}
    return hf


@pytest.mark.parametrize(("hf", "preset"), RELEASED, ids=NAMES)
def test_released_configs_are_the_presets(hf, preset):
    assert km.ModelConfig.from_hf(hf) == preset


@pytest.mark.parametrize(("hf", "preset"), RELEASED, ids=NAMES)
def test_new_rope_layout_says_the_same(hf, preset):
    assert km.ModelConfig.from_hf(new_layout(hf)) == preset


@pytest.mark.parametrize("preset", [km.K2, km.DEEPSEEK_V3, km.MOONLIGHT, km.MINI, km.NANO])
def test_to_hf_is_undone_by_from_hf(preset):
    there = json.loads(json.dumps(preset.to_hf()))
    assert there["model_type"] == "deepseek_v3"  # transformers has no kimi_k2
    assert km.ModelConfig.from_hf(there) == preset.replace(model_type="deepseek_v3")


@pytest.mark.parametrize("as_folder", [True, False])
def test_from_hf_reads_a_folder_or_its_config_json(tmp_path, as_folder):
    (tmp_path / "config.json").write_text(json.dumps(K2_HF))
    assert km.ModelConfig.from_hf(tmp_path if as_folder else str(tmp_path / "config.json")) == km.K2


def test_from_hf_does_not_change_its_argument():
    hf = new_layout(K2_HF)
    before = json.dumps(hf)
    km.ModelConfig.from_hf(hf)
    assert json.dumps(hf) == before


def test_softmax_scales_of_the_released_models():
    # k2-facts 1.4
    assert km.K2.softmax_scale == pytest.approx(0.130861, abs=5e-7)
    assert km.DEEPSEEK_V3.softmax_scale == pytest.approx(0.135234, abs=5e-7)
    assert km.MOONLIGHT.softmax_scale == 192**-0.5


def test_scaling_factors_follow_from_counts():
    # k2-facts 3: the factor keeps the routed output's size; released values have three decimals.
    assert (km.K2.routed_scaling_factor, km.MOONLIGHT.routed_scaling_factor) == (2.827, 2.446)
    assert all(c.routed_scaling_factor < math.sqrt(c.num_experts_per_tok) for c in (km.K2, km.MOONLIGHT, km.MINI, km.NANO))


# ---- wrong values: the message names the field and shows the value ---------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 0),
        ("hidden_size", -64),
        ("hidden_size", 64.0),
        ("num_hidden_layers", True),
        ("num_attention_heads", "4"),
        ("kv_lora_rank", None),
        ("q_lora_rank", 0),
        ("n_shared_experts", 0),
        ("first_k_dense_replace", 4),
        ("first_k_dense_replace", -1),
        ("qk_rope_head_dim", 7),
        ("num_experts_per_tok", 9),
        ("n_group", 3),
        ("n_group", 8),
        ("topk_group", 2),
        ("scoring_func", "softmax"),
        ("topk_method", "greedy"),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("moe_layer_freq", 2),
        ("model_type", "llama"),
        ("norm_topk_prob", 1),
        ("tie_word_embeddings", "no"),
        ("routed_scaling_factor", 0.0),
        ("rms_norm_eps", -1e-6),
        ("rope_theta", 1.0),
        ("rope_theta", math.nan),
        ("rope_theta", math.inf),
        ("rope_scaling", {"factor": 2.0}),
        ("aux_loss_alpha", -0.1),
        ("bos_token_id", 512),
        ("eos_token_id", -1),
        ("num_nextn_predict_layers", 0.5),
    ],
)
def test_wrong_values_are_named(field, value):
    with pytest.raises(ValueError) as caught:
        km.NANO.replace(**{field: value})
    message = str(caught.value)
    assert message.startswith(f"{field} = {value!r} ") and "expected " in message


def test_open_groups_must_hold_enough_experts():
    with pytest.raises(ValueError, match="topk_group = 1 .*num_experts_per_tok = 3"):
        km.NANO.replace(n_group=4, topk_group=1, num_experts_per_tok=3)
    km.NANO.replace(n_group=4, topk_group=2, num_experts_per_tok=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("factor", 0.5),
        ("factor", "8"),
        ("original_max_position_embeddings", 0),
        ("beta_fast", 0),
        ("beta_slow", -1.0),
        ("mscale", -1.0),
        ("mscale_all_dim", math.inf),
    ],
)
def test_wrong_yarn_values_are_named(field, value):
    with pytest.raises(ValueError, match=rf"rope_scaling\.{field} = "):
        km.YarnScaling(**{"factor": 8.0, "original_max_position_embeddings": 64, field: value})


def test_yarn_betas_in_order():
    with pytest.raises(ValueError, match=r"rope_scaling\.beta_fast = 0\.5 .*beta_slow = 1"):
        km.YarnScaling(8.0, 64, beta_fast=0.5)


def test_unknown_field():
    with pytest.raises(ValueError, match="unknown config field n_experts"):
        km.NANO.replace(n_experts=4)


def test_configs_do_not_change():
    with pytest.raises(AttributeError):
        km.NANO.hidden_size = 128


# ---- wrong files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"model_type": "llama"}, ["model_type = 'llama'", "deepseek_v3", "kimi_k2"]),
        ({"model_type": None}, ["model_type = None"]),
        ({"num_key_value_heads": 8}, ["num_key_value_heads = 8", "num_attention_heads = 64"]),
        ({"rope_interleave": False}, ["rope_interleave = False"]),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, ["rope", "'linear'", "'yarn'"]),
        ({"rope_scaling": {"type": "yarn"}}, ["rope_scaling.factor"]),
        ({"rope_scaling": "yarn"}, ["rope_scaling = 'yarn'", "JSON object"]),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, "attention_factor": 1.0}}, ["rope_scaling.attention_factor = 1.0"]),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "truncate": False}}, ["rope_parameters.truncate = False"]),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, ["partial_rotary_factor = 0.5"]),
        ({"topk_method": "group_limited_greedy"}, ["topk_method = 'group_limited_greedy'", "noaux_tc"]),
        ({"num_experts_per_tok": 385}, ["num_experts_per_tok = 385", "n_routed_experts = 384"]),
    ],
)
def test_foreign_values_in_a_file_are_named(change, names):
    with pytest.raises(ValueError) as caught:
        km.ModelConfig.from_hf(K2_HF | change)
    assert all(name in str(caught.value) for name in names)


def test_all_missing_fields_are_listed():
    with pytest.raises(ValueError, match="lacks vocab_size, kv_lora_rank, n_routed_experts;"):
        km.ModelConfig.from_hf({k: v for k, v in K2_HF.items() if k not in ("vocab_size", "kv_lora_rank", "n_routed_experts")})


@pytest.mark.parametrize("content", ["", '{"model_type": ', "[1, 2]", b"\xff\xfe\x00"])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=str(path)):
        km.ModelConfig.from_hf(tmp_path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="config.json"):
        km.ModelConfig.from_hf(tmp_path)
