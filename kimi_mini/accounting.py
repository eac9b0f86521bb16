"""What a config costs, by arithmetic alone: parameters, FLOPs, cache bytes, memory per GPU. No weights are allocated.

Conventions are named in every function, because popular figures differ by convention more than by measurement.
A multiply-add counts as 2 FLOPs throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .checks import is_int, require
from .config import ModelConfig


@dataclass(frozen=True)
class Block:
    """One kind of parameter: how many the model stores, and how many of them one token uses."""

    name: str
    total: int
    activated: int


@dataclass(frozen=True)
class ParameterCount:
    """Exact parameter counts of a config (k2-facts 1.2; selection biases counted, as released checkpoints store them).

    `activated` counts embedding and head; the two other conventions in use are properties.
    """

    blocks: tuple[Block, ...]

    @property
    def total(self) -> int:
        return sum(block.total for block in self.blocks)

    @property
    def activated(self) -> int:
        return sum(block.activated for block in self.blocks)

    @property
    def activated_without_embedding(self) -> int:
        """Without the input embedding, of which a token reads one row. A tied head stays counted: it is multiplied."""
        return self.activated - (self["embedding"].activated if self["head"].total else 0)

    @property
    def activated_without_embedding_and_head(self) -> int:
        return self.activated - self["embedding"].activated - self["head"].activated

    def __getitem__(self, name: str) -> Block:
        for block in self.blocks:
            if block.name == name:
                return block
        raise KeyError(f"no block {name!r}; there are {', '.join(b.name for b in self.blocks)}")


def attention_parameters(config: ModelConfig) -> int:
    """Weights of one MLA layer, latent norms included (K2: 101,124,096)."""
    c, heads = config, config.num_attention_heads
    q_width = heads * c.qk_head_dim
    if c.q_lora_rank is None:
        query = c.hidden_size * q_width
    else:
        query = c.hidden_size * c.q_lora_rank + c.q_lora_rank + c.q_lora_rank * q_width
    kv = c.hidden_size * c.cache_width + c.kv_lora_rank + c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim)
    return query + kv + heads * c.v_head_dim * c.hidden_size


def expert_parameters(config: ModelConfig) -> int:
    """Weights of one expert: gate, up and down (K2: 44,040,192)."""
    return 3 * config.hidden_size * config.moe_intermediate_size


def count_parameters(config: ModelConfig) -> ParameterCount:
    """Count every parameter of `config` exactly, block by block (K2: 1,026,408,232,448 in all, 32,861,500,928 activated)."""
    c, layers, moe = config, config.num_hidden_layers, config.num_moe_layers
    expert = expert_parameters(c)
    embedding = c.vocab_size * c.hidden_size

    def always(name: str, count: int) -> Block:
        return Block(name, count, count)

    return ParameterCount(
        (
            always("embedding", embedding),
            always("attention", layers * attention_parameters(c)),
            always("norms", (2 * layers + 1) * c.hidden_size),
            always("dense MLP", c.first_k_dense_replace * 3 * c.hidden_size * c.intermediate_size),
            Block("routed experts", moe * c.n_routed_experts * expert, moe * c.num_experts_per_tok * expert),
            always("shared experts", moe * c.n_shared_experts * expert),
            always("routers", moe * c.n_routed_experts * (c.hidden_size + 1)),
            always("head", 0 if c.tie_word_embeddings else embedding),
        )
    )


# ---- FLOPs -----------------------------------------------------------------------------------------------------------

AttentionPath = Literal["expanded", "absorbed"]


@dataclass(frozen=True)
class Flops:
    """FLOPs per token, apart: weight multiplications, and attention over the context."""

    weights: float
    attention: float

    @property
    def total(self) -> float:
        return self.weights + self.attention


def attention_flops_per_pair(config: ModelConfig, path: AttentionPath = "expanded") -> int:
    """FLOPs per head for one query-key pair: 2(d_qk + d_v) expanded (K2 640), 2(2 d_c + d_rope) absorbed (K2 2176)."""
    require(path in ("expanded", "absorbed"), "path", path, "'expanded' or 'absorbed'")
    if path == "expanded":
        return 2 * (config.qk_head_dim + config.v_head_dim)
    return 2 * (config.cache_width + config.kv_lora_rank)


def decode_flops(config: ModelConfig, context: int, path: AttentionPath = "absorbed") -> Flops:
    """FLOPs to produce one token with `context` tokens behind it.

    Convention: 2 per activated weight without the input embedding (it is looked up, the head is multiplied), plus every
    cached position in every head. Weight FLOPs of the absorbed path equal those of the expanded one: the same matrices
    are applied, to the query and the output instead of to the keys and values.
    """
    require(is_int(context, 0), "context", context, "a number of tokens >= 0")
    pairs = config.num_hidden_layers * config.num_attention_heads * context
    return Flops(
        2.0 * count_parameters(config).activated_without_embedding, float(pairs * attention_flops_per_pair(config, path))
    )


def prefill_flops(config: ModelConfig, context: int) -> Flops:
    """Mean FLOPs per token of a prompt of `context` tokens read at once: expanded attention, causal mean (context + 1) / 2.

    Convention for weights as in `decode_flops`; the head is counted at every position.
    """
    require(is_int(context, 1), "context", context, "a number of tokens >= 1")
    per_position = config.num_hidden_layers * config.num_attention_heads * attention_flops_per_pair(config)
    return Flops(2.0 * count_parameters(config).activated_without_embedding, per_position * (context + 1) / 2)


def training_flops(config: ModelConfig, context: int) -> Flops:
    """FLOPs per trained token: forward as in `prefill_flops`, backward twice that, no recomputation. The weight part is 6N."""
    forward = prefill_flops(config, context)
    return Flops(3 * forward.weights, 3 * forward.attention)


# ---- cache -----------------------------------------------------------------------------------------------------------

CacheKind = Literal["mla", "mha", "gqa", "mqa"]


def cache_elements(config: ModelConfig, kind: CacheKind = "mla", *, kv_heads: int = 8) -> int:
    """Elements cached per token and layer.

    "mla": the latent and the shared rotary key. "mha": every head's key and value at this config's own widths.
    "gqa" / "mqa": `kv_heads` / one key-value heads of `v_head_dim` (K2: 576; 20,480; 2,048; 256).
    """
    require(kind in ("mla", "mha", "gqa", "mqa"), "kind", kind, "'mla', 'mha', 'gqa' or 'mqa'")
    require(is_int(kv_heads, 1), "kv_heads", kv_heads, "a positive integer")
    if kind == "mla":
        return config.cache_width
    if kind == "mha":
        return config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 2 * (kv_heads if kind == "gqa" else 1) * config.v_head_dim


def cache_bytes(
    config: ModelConfig, tokens: int, kind: CacheKind = "mla", *, kv_heads: int = 8, bytes_per_element: float = 2
) -> int:
    """Bytes that `tokens` cached tokens take over all layers (bf16 unless said; K2 MLA: 70,272 per token)."""
    require(is_int(tokens, 0), "tokens", tokens, "a number of tokens >= 0")
    require(bytes_per_element > 0, "bytes_per_element", bytes_per_element, "a number > 0")
    return int(cache_elements(config, kind, kv_heads=kv_heads) * config.num_hidden_layers * tokens * bytes_per_element)


# ---- memory per GPU --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How training states spread over GPUs: `pipeline` stages x `expert` ranks x `data` replicas.

    Experts are split over `expert` ranks; every other weight is copied to each of them. Optimizer states are sharded
    (ZeRO-1) over every rank that holds a copy. K2: pipeline 16, expert 16, bf16 weights, fp32 gradients.
    """

    pipeline: int = 1
    expert: int = 1
    data: int = 1
    weight_bytes: float = 2
    gradient_bytes: float = 4
    optimizer_bytes: float = 8  # fp32 master weight and one fp32 momentum (Muon)

    def __post_init__(self) -> None:
        for name in ("pipeline", "expert", "data"):
            value = getattr(self, name)
            require(is_int(value, 1), name, value, "a positive integer")
        for name in ("weight_bytes", "gradient_bytes", "optimizer_bytes"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "a number >= 0")


@dataclass(frozen=True)
class StageMemory:
    """Bytes of training states on one GPU of one pipeline stage; activations are not in it."""

    weights: float
    gradients: float
    optimizer: float

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimizer


def memory_per_gpu(config: ModelConfig, layout: Layout) -> tuple[StageMemory, ...]:
    """Training states per GPU for each pipeline stage (embedding on the first, head on the last; layers split evenly).

    Raises ValueError when there are more stages than layers or the experts do not divide among the expert ranks.
    """
    c = config
    require(layout.pipeline <= c.num_hidden_layers, "pipeline", layout.pipeline, f"at most {c.num_hidden_layers} layers")
    require(c.n_routed_experts % layout.expert == 0, "expert", layout.expert, f"a divisor of {c.n_routed_experts} experts")
    base, extra = divmod(c.num_hidden_layers, layout.pipeline)
    stages, first = [], 0
    for stage in range(layout.pipeline):
        layers = range(first, first + base + (stage < extra))
        first = layers.stop
        moe = sum(c.is_moe(layer) for layer in layers)
        shared = len(layers) * (attention_parameters(c) + 2 * c.hidden_size)
        shared += (len(layers) - moe) * 3 * c.hidden_size * c.intermediate_size
        shared += moe * (c.n_shared_experts * expert_parameters(c) + c.n_routed_experts * (c.hidden_size + 1))
        if stage == 0:
            shared += c.vocab_size * c.hidden_size
        if stage == layout.pipeline - 1:
            shared += c.hidden_size
            # A tied head is a second copy only where first and last stage are different GPUs.
            shared += 0 if c.tie_word_embeddings and layout.pipeline == 1 else c.vocab_size * c.hidden_size
        routed = moe * c.n_routed_experts // layout.expert * expert_parameters(c)
        held = shared + routed
        owned = shared / (layout.expert * layout.data) + routed / layout.data
        stages.append(StageMemory(held * layout.weight_bytes, held * layout.gradient_bytes, owned * layout.optimizer_bytes))
    return tuple(stages)
