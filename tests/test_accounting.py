"""Accounting: the integers of released models, against the formulas' authors and against the instantiated model."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.accounting import (
    Layout,
    attention_flops_per_pair,
    attention_parameters,
    cache_bytes,
    cache_elements,
    decode_flops,
    expert_parameters,
    memory_per_gpu,
    prefill_flops,
    training_flops,
)
from kimi_mini.hub import hf_slots
from kimi_mini.presets import PRESETS

TIED = km.NANO.replace(tie_word_embeddings=True)
ALL_DENSE = km.NANO.replace(first_k_dense_replace=3)
CONFIGS = PRESETS | {"tied": TIED, "all-dense": ALL_DENSE}


@pytest.fixture(scope="module")
def meta_models():
    with torch.device("meta"):
        return {name: km.KimiMini(config) for name, config in CONFIGS.items()}


def test_k2_block_by_block():
    # k2-facts 1.2, which agrees with the released tensors to the last element
    count = km.count_parameters(km.K2)
    assert attention_parameters(km.K2) == 29_885_952 + 12_517_888 + 58_720_256 == 101_124_096
    assert expert_parameters(km.K2) == 44_040_192
    assert {block.name: block.total for block in count.blocks} == {
        "embedding": 1_174_405_120,
        "attention": 6_168_569_856,
        "norms": 874_496 + 7_168,
        "dense MLP": 396_361_728,
        "routed experts": 1_014_686_023_680,
        "shared experts": 2_642_411_520,
        "routers": 165_173_760,
        "head": 1_174_405_120,
    }
    assert count.total == 1_026_408_232_448
    assert count.activated == 32_861_500_928
    assert count.activated_without_embedding == 31_687_095_808
    assert count.activated_without_embedding_and_head == 30_512_690_688


def test_k2_with_experts_in_every_layer_would_round_to_the_reported_1043_billion():
    assert km.count_parameters(km.K2.replace(first_k_dense_replace=0)).total == 1_042_970_097_536


def test_deepseek_v3_and_moonlight():
    v3, moonlight = km.count_parameters(km.DEEPSEEK_V3), km.count_parameters(km.MOONLIGHT)
    assert v3.total == 671_026_419_200
    conventions = (v3.activated, v3.activated_without_embedding, v3.activated_without_embedding_and_head)
    assert [round(n / 1e9, 2) for n in conventions] == [37.55, 36.63, 35.70]
    assert moonlight.total == 15_960_110_208
    assert round(moonlight.activated / 1e9, 2) == 2.91
    without = moonlight.total - moonlight["embedding"].total - moonlight["head"].total
    assert round(without / 1e9, 3) == 15.289
    assert round(moonlight.activated_without_embedding_and_head / 1e9, 3) == 2.244


@pytest.mark.parametrize("name", CONFIGS)
def test_counts_equal_the_model_that_is_built(meta_models, name):
    model, count = meta_models[name], km.count_parameters(CONFIGS[name])
    sizes = {key: tensor.numel() for key, tensor in model.state_dict().items()}
    assert count.total == sum(sizes.values())

    def held(*words: str) -> int:
        return sum(size for key, size in sizes.items() if any(word in key for word in words))

    assert count["attention"].total == held(".attn.")
    assert count["routed experts"].total == held(".experts.")
    assert count["shared experts"].total == held(".shared.")
    assert count["routers"].total == held(".router.")
    assert count["dense MLP"].total == held(".mlp.gate.", ".mlp.up.", ".mlp.down.")
    assert count["embedding"].total == held("embed.")
    assert count["head"].total == held("head.")


def test_k2_has_as_many_tensors_as_released(meta_models):
    # k2-facts 1.2: 139,644 released tensors, of which FP8 scales and 61 left-over rotary tables are not ours.
    slots = hf_slots(meta_models["k2"].state_dict())
    quantised = [k for k in slots if k.endswith("proj.weight") or k.endswith("proj_with_mqa.weight")]
    assert len(slots) + len(quantised) + 61 == 139_644


def test_tied_head_is_counted_once_and_still_multiplied():
    tied, untied = km.count_parameters(TIED), km.count_parameters(km.NANO)
    embedding = km.NANO.vocab_size * km.NANO.hidden_size
    assert untied.total - tied.total == embedding
    assert tied.activated_without_embedding == untied.activated_without_embedding


def test_unknown_block_is_refused():
    with pytest.raises(KeyError, match="routed experts"):
        km.count_parameters(km.NANO)["experts"]


# ---- FLOPs -----------------------------------------------------------------------------------------------------------


def test_k2_flops_per_pair():
    assert attention_flops_per_pair(km.K2, "expanded") == 640
    assert attention_flops_per_pair(km.K2, "absorbed") == 2176


@pytest.mark.parametrize(
    ("flops_per_pair", "percent"),
    [(4 * 128, 83), (attention_flops_per_pair(km.K2, "expanded"), 86), (attention_flops_per_pair(km.K2, "absorbed"), 95)],
    ids=["values_only", "expanded", "absorbed"],
)
def test_doubling_heads_at_128k_by_convention(flops_per_pair, percent):
    # k2-facts 4: the reported +83 % and two other conventions, all with the embedding counted as if multiplied.
    def total(config: km.ModelConfig) -> float:
        weights = 2 * km.count_parameters(config).activated
        return weights + config.num_hidden_layers * config.num_attention_heads * flops_per_pair * 131_072

    assert round(100 * (total(km.K2.replace(num_attention_heads=128)) / total(km.K2) - 1)) == percent


@pytest.mark.parametrize(("path", "per_pair"), [("expanded", 640), ("absorbed", 2176)])
def test_attention_flops_of_decoding_grow_with_heads_and_context(path, per_pair):
    assert decode_flops(km.K2, 131_072, path).attention == 61 * 64 * 131_072 * per_pair
    assert decode_flops(km.K2.replace(num_attention_heads=128), 131_072, path).attention == 61 * 128 * 131_072 * per_pair


def test_weight_flops_count_every_multiplied_parameter():
    count = km.count_parameters(km.K2)
    assert decode_flops(km.K2, 0).total == decode_flops(km.K2, 0).weights == 2 * count.activated_without_embedding
    assert training_flops(km.K2, 4096).weights == 6 * count.activated_without_embedding


def test_prefill_is_the_mean_of_expanded_decoding():
    context = 7
    each = [decode_flops(km.NANO, seen, "expanded").total for seen in range(1, context + 1)]
    assert prefill_flops(km.NANO, context).total == pytest.approx(sum(each) / context, rel=1e-12)
    assert training_flops(km.NANO, context).total == pytest.approx(3 * sum(each) / context, rel=1e-12)


def test_wrong_arguments_of_flops():
    with pytest.raises(ValueError, match="path = 'naive'"):
        attention_flops_per_pair(km.K2, "naive")
    with pytest.raises(ValueError, match="context = -1"):
        decode_flops(km.K2, -1)
    with pytest.raises(ValueError, match="context = 0"):
        prefill_flops(km.K2, 0)


# ---- cache -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "elements", "bytes_per_token"),
    [("mla", 576, 70_272), ("mha", 20_480, 2_498_560), ("gqa", 2_048, 249_856), ("mqa", 256, 31_232)],
)
def test_cache_table_of_k2(kind, elements, bytes_per_token):
    # k2-facts 2
    assert cache_elements(km.K2, kind) == elements
    assert cache_bytes(km.K2, 1, kind) == bytes_per_token


def test_cache_at_full_context():
    assert round(cache_bytes(km.K2, 131_072) / 2**30, 2) == 8.58
    assert round(cache_bytes(km.K2, 131_072, "mha") / 2**30) == 305
    assert round(cache_bytes(km.K2, 131_072, "gqa") / 2**30, 1) == 30.5


def test_latent_cache_does_not_depend_on_heads():
    assert cache_elements(km.K2.replace(num_attention_heads=128)) == cache_elements(km.K2)
    assert cache_elements(km.K2.replace(num_attention_heads=128), "mha") == 2 * cache_elements(km.K2, "mha")


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_cache_bytes_are_those_of_the_cache(dtype, size):
    cache = km.model.LatentCache(km.MINI, batch=3, capacity=50, dtype=dtype)
    assert cache.nbytes == 3 * cache_bytes(km.MINI, 50, bytes_per_element=size)


def test_wrong_arguments_of_cache():
    with pytest.raises(ValueError, match="kind = 'mlp'"):
        cache_elements(km.K2, "mlp")
    with pytest.raises(ValueError, match="kv_heads = 0"):
        cache_bytes(km.K2, 1, "gqa", kv_heads=0)
    with pytest.raises(ValueError, match="tokens = -1"):
        cache_bytes(km.K2, -1)


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_one_gpu_holds_every_parameter_once():
    for config in (km.K2, km.MINI, TIED):
        (only,) = memory_per_gpu(config, Layout(weight_bytes=1, gradient_bytes=0, optimizer_bytes=0))
        assert only.total == km.count_parameters(config).total


def test_k2_training_states_on_256_gpus():
    # Report, section 2.4.2: bf16 weights and the fp32 gradient buffer take about 6 TB over a group of 256 GPUs.
    (alone,) = memory_per_gpu(km.K2, Layout(optimizer_bytes=0))
    assert round(alone.total / 1e12, 2) == 6.16
    assert round(alone.total / 256 / 1e9) == 24
    stages = memory_per_gpu(km.K2, Layout(pipeline=16, expert=16, optimizer_bytes=0))
    assert len(stages) == 16
    total = km.count_parameters(km.K2).total
    # Experts are split, the rest is copied to all 16 expert ranks: more than an even 256th, by those copies.
    count = km.count_parameters(km.K2)
    copied = total - count["routed experts"].total
    assert sum(stage.total for stage in stages) * 16 == 6 * (count["routed experts"].total + 16 * copied)


def test_optimizer_states_are_sharded_over_copies():
    for data in (1, 4):
        stages = memory_per_gpu(km.K2, Layout(pipeline=4, expert=8, data=data))
        everywhere = 8 * data * sum(stage.optimizer for stage in stages)
        assert everywhere == pytest.approx(8 * km.count_parameters(km.K2).total, rel=1e-12)


@pytest.mark.parametrize(("field", "value"), [("pipeline", 0), ("expert", -1), ("data", 1.5), ("gradient_bytes", -1)])
def test_wrong_layouts(field, value):
    with pytest.raises(ValueError, match=f"{field} = {value}"):
        Layout(**{field: value})


def test_layouts_that_do_not_fit():
    with pytest.raises(ValueError, match="pipeline = 62 .*61 layers"):
        memory_per_gpu(km.K2, Layout(pipeline=62))
    with pytest.raises(ValueError, match="expert = 7 .*384 experts"):
        memory_per_gpu(km.K2, Layout(expert=7))
