"""The figures of the chapter *K2 at a glance*. All numbers come from `kimi_mini.accounting` on released configs."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ..accounting import (
    Layout,
    ParameterCount,
    cache_bytes,
    count_parameters,
    decode_flops,
    memory_per_gpu,
    training_flops,
)
from ..config import ModelConfig
from ..presets import DEEPSEEK_V3, K2, MOONLIGHT
from . import still
from .stage import Stage, stage

_MODELS = {"K2": ("K2", K2), "DEEPSEEK_V3": ("DeepSeek-V3", DEEPSEEK_V3), "MOONLIGHT": ("Moonlight", MOONLIGHT)}

# Activated parameters as reported, with where (conventions are the reporters' own).
_REPORTED = {
    "K2": {"value": 32.6e9, "label": "report: 32.6", "source": "the K2 report, Table 2 (its convention is not stated)"},
    "DEEPSEEK_V3": {"value": 37e9, "label": "report: 37", "source": "the K2 report, Table 2"},
    "MOONLIGHT": {"value": 2.24e9, "label": "report: 2.24", "source": "the Moonlight report, section 3.3, without embeddings"},
}
_REPORTED_TOTALS = [1.04e12, 1.043e12]  # the K2 report, Table 2 and Table 4
_REPORTED_STATES = 30e9  # bytes per GPU, "about", the K2 report, section 2.4


def pixels() -> Stage:
    """One pixel per million parameters; the reader lights the experts of token after token."""
    count = count_parameters(K2)
    return stage(
        "pixels",
        {"models": _models()},
        name="glance-pixels",
        title=f"One token puts {_percent(count.activated / count.total)} of K2's {_billions(count.total)} parameters to work.",
        alt="A square whose area is K2's parameter count. Attention is a thin strip on the left edge, 0.6 % of the area; "
        "routed experts, 384 small tiles in each of 60 rows, fill 98.9 %. Buttons light the tiles that one more token uses, "
        "and a curve shows the share of tiles used so far: 88 % after 100 tokens.",
        still=_square(K2, count) + _count_table(count),
        height=1320,
    )


def area_and_work() -> Stage:
    """Two strips: the share of each block in what is stored, and in what works for one token."""
    count = count_parameters(K2)
    attention = count["attention"]
    work = attention.activated / count.activated
    rows = [(f"{b.name}, stored", b.total / count.total, _percent(b.total / count.total), _kind(b.name)) for b in count.blocks]
    used = [
        (f"{b.name}, at work", b.activated / count.activated, _percent(b.activated / count.activated), _kind(b.name))
        for b in count.blocks
    ]
    shown = [row for row in rows + used if row[1] > 0.002]
    return stage(
        "strips",
        {"models": _models()},
        name="glance-strips",
        title=f"Attention is {_percent(attention.total / count.total)} of K2's weights, "
        f"but {_percent(work)} of those that work for one token.",
        alt="Two strips of equal length. In the upper one, all stored weights, attention is a sliver of 0.6 %. In the lower "
        "one, the weights that work for one token, attention is 18.8 % and the routed experts 64.3 %.",
        still=still.bars(shown),
        height=700,
    )


def calculator() -> Stage:
    """Exact counts of K2 with any of seven config fields turned by hand."""
    count = count_parameters(K2)
    data = {
        "config": config_fields(K2),
        "total": count.total,
        "activated": count.activated,
        "reports": {
            "total": {"values": _REPORTED_TOTALS, "label": "report: 1.04T, 1043B"},
            "activated": {"values": [_REPORTED["K2"]["value"]], "label": "report: 32.6B"},
        },
    }
    return stage(
        "calculator",
        data,
        name="glance-calculator",
        title=f"K2 as released: {_billions(count.total)} parameters, {_billions(count.activated)} at work per token.",
        alt="K2 as a square of areas beside two number lines, all parameters and those used by one token, with the reported "
        "1.04T, 1043B and 32.6B as hollow diamonds. Changing a config field re-flows the areas and the exact counts.",
        still=_square(K2, count) + _count_table(count),
        height=760,
    )


def cache_sizes() -> Stage:
    """Bytes of the attention cache against context, for MHA, GQA, MLA and MQA at K2's sizes."""
    context = K2.max_position_embeddings
    kinds = {"mha": "every head", "gqa": "8 key-value heads", "mla": "one latent (K2)", "mqa": "one key-value head"}
    gib = {kind: cache_bytes(K2, context, kind) / 2**30 for kind in kinds}
    return stage(
        "cache",
        {"config": config_fields(K2)},
        name="glance-cache",
        title=f"At {context:,} tokens MLA keeps {gib['mla']:.2f} GiB; caching every head would take {gib['mha']:.0f} GiB.",
        alt="Four bars of cache size at 131,072 tokens: MHA 305 GiB, GQA with 8 heads 30.5 GiB, MLA 8.58 GiB, MQA 3.81 GiB. "
        "Sliders change the context and the number of conversations.",
        still=still.bars(
            (f"{kind.upper()}: {text}", gib[kind], f"{gib[kind]:.2f} GiB", "attention") for kind, text in kinds.items()
        ),
        height=560,
    )


def flops_per_token() -> Stage:
    """FLOPs per token against context: training, and decoding with keys expanded or the latent absorbed."""
    context = 4096
    ways = {
        "one trained token": training_flops(K2, context),
        "one written token, keys expanded": decode_flops(K2, context, "expanded"),
        "one written token, latent absorbed": decode_flops(K2, context, "absorbed"),
    }
    share = ways["one written token, latent absorbed"]
    return stage(
        "flops",
        {"config": config_fields(K2)},
        name="glance-flops",
        title=f"With {context:,} tokens of context, attention over them is {_percent(share.attention / share.total, 0)} "
        "of the work of writing one more token.",
        alt="Three bars of FLOPs per token, each split into weights and attention over the context. A slider changes the "
        "context; at 131,072 tokens attention is 95 % of decoding with the latent absorbed.",
        still=still.bars((name, way.total, f"{way.total / 1e9:,.0f} GFLOP", "rest") for name, way in ways.items()),
        height=520,
    )


def gpu_memory() -> Stage:
    """Training states on the fullest GPU under a pipeline x expert x data layout."""
    layout = Layout(pipeline=16, expert=16, data=8)
    fullest = max(memory_per_gpu(K2, layout), key=lambda gpu: gpu.total)
    parts = {"weights": fullest.weights, "gradients": fullest.gradients, "optimizer": fullest.optimizer}
    gpus = layout.pipeline * layout.expert * layout.data
    return stage(
        "memory",
        {"config": config_fields(K2), "reported": _REPORTED_STATES},
        name="glance-memory",
        title=f"On {gpus:,} GPUs the fullest one holds {fullest.total / 1e9:.1f} GB of training states.",
        alt="Bars of weights, gradients, optimizer state and their sum on the fullest GPU. Sliders change pipeline stages, "
        "expert ranks and replicas; the report's figure of about 30 GB is a hollow diamond.",
        still=still.bars((n, v, f"{v / 1e9:.1f} GB", "optimizer" if n == "optimizer" else "rest") for n, v in parts.items()),
        height=620,
    )


# ---- data ------------------------------------------------------------------------------------------------------------


def _models() -> dict[str, Any]:
    return {
        key: {"name": name, "config": config_fields(c), "reported": _REPORTED[key], **_counts(c)}
        for key, (name, c) in _MODELS.items()
    }


def _counts(config: ModelConfig) -> dict[str, Any]:
    count = count_parameters(config)
    return {
        "count": {
            "blocks": [dataclasses.asdict(block) for block in count.blocks],
            "total": count.total,
            "activated": count.activated,
            "withoutEmbedding": count.activated_without_embedding,
            "withoutBoth": count.activated_without_embedding_and_head,
        },
        "attentionOfActivated": count["attention"].activated / count.activated,
    }


def config_fields(config: ModelConfig) -> dict[str, Any]:
    """The fields that fix a count; scripts know them by the same names."""
    names = (
        "vocab_size hidden_size num_hidden_layers num_attention_heads q_lora_rank kv_lora_rank qk_nope_head_dim "
        "qk_rope_head_dim v_head_dim intermediate_size moe_intermediate_size n_routed_experts num_experts_per_tok "
        "n_shared_experts first_k_dense_replace tie_word_embeddings"
    ).split()
    return {name: getattr(config, name) for name in names}


# ---- words -----------------------------------------------------------------------------------------------------------
# Numbers and units keep together (no-break space), as in the scripts' formats.


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}\u00a0%"


def _billions(count: int) -> str:
    return f"{count / 1e9:,.0f}\u00a0billion" if count >= 99.95e9 else f"{count / 1e9:.1f}\u00a0billion"


# ---- stills ----------------------------------------------------------------------------------------------------------


def _kind(block: str) -> str:
    return "attention" if block == "attention" else "experts" if "experts" in block or block == "routers" else "rest"


def _square(config: ModelConfig, count: ParameterCount) -> str:
    """The parameter square without its tiles: strips of attention and experts between embedding and head."""
    side = math.sqrt(count.total / 1e6)
    columns = ["attention", "shared experts", "routed experts"]
    area = {name: count[name].total / 1e6 for name in columns}
    height = sum(area.values()) / side
    embedding = count["embedding"].total / 1e6 / side
    parts, x = [(0.0, 0.0, side, embedding, "rest")], 0.0
    for name in columns:
        parts.append((x, embedding, area[name] / height, height, _kind(name)))
        x += area[name] / height
    return still.rectangles(side, [*parts, (0.0, embedding + height, side, side - embedding - height, "rest")])


def _count_table(count: ParameterCount) -> str:
    rows = [(b.name, f"{b.total:,}", _percent(b.total / count.total, 2), f"{b.activated:,}") for b in count.blocks]
    rows.append(("all", f"{count.total:,}", _percent(1, 2), f"{count.activated:,}"))
    return still.table(("block", "parameters", "of all", "used by one token"), rows)
