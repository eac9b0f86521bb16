"""Every number a checkpoint stores, from its config alone (report, Table 2; released config.json)."""

from __future__ import annotations

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant

from .configs import spread
from .source import docstring, patched

_BODY = """\
    c, h, heads = config, config.hidden_size, config.num_attention_heads
    dense = c.first_k_dense_replace
    moe = c.num_hidden_layers - dense
    if c.q_lora_rank is None:
        query = h * heads * c.qk_head_dim
    else:
        query = h * c.q_lora_rank + c.q_lora_rank * heads * c.qk_head_dim
    latent = h * (c.kv_lora_rank + c.qk_rope_head_dim)
    keys_values = c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim)
    output = heads * c.v_head_dim * h
    latent_norms = (c.q_lora_rank or 0) + c.kv_lora_rank
    attention = query + latent + keys_values + output + latent_norms
    norms = (2 * c.num_hidden_layers + 1) * h
    mlp = 3 * h * c.intermediate_size
    expert = 3 * h * c.moe_intermediate_size
    router = c.n_routed_experts * h + c.n_routed_experts
    experts = (c.n_routed_experts + c.n_shared_experts) * expert
    embeddings = (1 if c.tie_word_embeddings else 2) * c.vocab_size * h
    return c.num_hidden_layers * attention + norms + dense * mlp + moe * (router + experts) + embeddings
"""

_PRACTICE = f'def total_parameters(config):\n    """Numbers that a checkpoint of `config` stores."""\n{_BODY}'

# Valid in every version of the exercise: no twist touches these lines.
_ALWAYS = (
    Mistake(
        "layer 0 counted as MoE", "dense = c.first_k_dense_replace", "dense = 0",
        "You gave every layer experts. The first first_k_dense_replace layers have one dense MLP of intermediate_size instead.",
    ),
    Mistake(
        "dense MLP on top of experts", "moe = c.num_hidden_layers - dense", "moe = c.num_hidden_layers",
        "Layers with a dense MLP have no experts and no router: num_hidden_layers - first_k_dense_replace layers have them.",
    ),
    Mistake(
        "dense MLP in every layer", "dense * mlp", "c.num_hidden_layers * mlp",
        "A dense MLP stands only in the first first_k_dense_replace layers; the others have experts in its place.",
    ),
    Mistake(
        "router bias missing", "router = c.n_routed_experts * h + c.n_routed_experts", "router = c.n_routed_experts * h",
        "Every router also stores a selection bias: one number per routed expert.",
    ),
    Mistake(
        "routers missing", "moe * (router + experts)", "moe * experts",
        "The routers are missing: a matrix with one row per routed expert, and a selection bias, in every MoE layer.",
    ),
    Mistake(
        "latents' norms missing", "latent_norms = (c.q_lora_rank or 0) + c.kv_lora_rank", "latent_norms = 0",
        "Each latent has a norm of its own: q_lora_rank numbers (where there is a query latent) and kv_lora_rank, per layer.",
    ),
    Mistake(
        "query latent's norm missing", "latent_norms = (c.q_lora_rank or 0) + c.kv_lora_rank", "latent_norms = c.kv_lora_rank",
        "The query latent has a norm too: q_lora_rank numbers per layer, where there is a query latent.",
    ),
    Mistake(
        "key latent's norm missing", "latent_norms = (c.q_lora_rank or 0) + c.kv_lora_rank",
        "latent_norms = c.q_lora_rank or 0",
        "The latent of keys and values has a norm too: kv_lora_rank numbers per layer.",
    ),
    Mistake(
        "head taken for tied", "(1 if c.tie_word_embeddings else 2) * c.vocab_size", "c.vocab_size",
        "Embedding and head are two matrices of the same shape, unless tie_word_embeddings says that they share one.",
    ),
    Mistake(
        "tied head counted twice", "(1 if c.tie_word_embeddings else 2) * c.vocab_size", "2 * c.vocab_size",
        "With tie_word_embeddings the head reads the embedding's matrix: it is stored once.",
    ),
    Mistake(
        "shared experts missing", "experts = (c.n_routed_experts + c.n_shared_experts)", "experts = c.n_routed_experts",
        "The shared experts are missing: n_shared_experts in every MoE layer, each as large as a routed one.",
    ),
    Mistake(
        "one shared expert always", "experts = (c.n_routed_experts + c.n_shared_experts)", "experts = (c.n_routed_experts + 1)",
        "You counted one shared expert per MoE layer; the config says how many: n_shared_experts.",
    ),
    Mistake(
        "value head as wide as the content key", "(c.qk_nope_head_dim + c.v_head_dim)", "2 * c.qk_nope_head_dim",
        "Values have a width of their own: each head takes qk_nope_head_dim + v_head_dim numbers from the latent.",
    ),
    Mistake(
        "rotary key expanded per head", "keys_values = c.kv_lora_rank * heads * (c.qk_nope_head_dim",
        "keys_values = c.kv_lora_rank * heads * (c.qk_head_dim",
        "The rotary part of a key does not come from the latent: kv_up makes qk_nope_head_dim + v_head_dim per head.",
    ),
    Mistake(
        "rotary query missing", "query = h * c.q_lora_rank + c.q_lora_rank * heads * c.qk_head_dim",
        "query = h * c.q_lora_rank + c.q_lora_rank * heads * c.qk_nope_head_dim",
        "A query has qk_nope_head_dim + qk_rope_head_dim numbers per head.",
    ),
)  # fmt: skip

_LATENT = Mistake(
    "rotary key missing", "latent = h * (c.kv_lora_rank + c.qk_rope_head_dim)", "latent = h * c.kv_lora_rank",
    "The rotary key is missing: kv_down makes kv_lora_rank + qk_rope_head_dim numbers.",
)  # fmt: skip
_OUTPUT = Mistake(
    "output projection as wide as the query", "output = heads * c.v_head_dim * h", "output = heads * c.qk_head_dim * h",
    "The output projection reads what the heads bring back: v_head_dim numbers each.",
)  # fmt: skip
_TWO_MATRICES = Mistake(
    "expert of two matrices", "expert = 3 * h * c.moe_intermediate_size", "expert = 2 * h * c.moe_intermediate_size",
    "An expert is three matrices: gate, up and down.",
)  # fmt: skip
_NORMS = (
    Mistake(
        "norms missing", "norms = (2 * c.num_hidden_layers + 1) * h", "norms = 0",
        "The norms are missing: two of hidden_size numbers in every layer, and one after the last layer.",
    ),
    Mistake(
        "final norm missing", "norms = (2 * c.num_hidden_layers + 1) * h", "norms = 2 * c.num_hidden_layers * h",
        "There is one more norm, after the last layer.",
    ),
    Mistake(
        "one norm per layer", "norms = (2 * c.num_hidden_layers + 1) * h", "norms = (c.num_hidden_layers + 1) * h",
        "Every layer has two norms of hidden_size: one before attention, one before the MLP or the experts.",
    ),
)  # fmt: skip


def _cases(seed: int) -> tuple[Case, ...]:
    return tuple(Case(name, (config,)) for name, config in spread(seed).items())


def _twist(name: str, change: str, line: str, changed: str, *mistakes: Mistake) -> Variant:
    """`line` of the body becomes `changed`; every known mistake whose line is still there stays one."""
    doc = docstring("Every number that a checkpoint stores, as total_parameters counts them, with one change.", change)
    solution = f"def my_total_parameters(config):\n{doc}\n{patched(_BODY, (line, changed))}"
    common = (m for m in (*_ALWAYS, _LATENT, _OUTPUT, _TWO_MATRICES, *_NORMS) if m.old in solution)
    return Variant(name, solution, _cases, (*mistakes, *common), change)


_TWISTS = (
    _twist(
        "four norms",
        "Every layer has four norms of hidden_size numbers: before and after attention, before and after its MLP or experts.",
        "norms = (2 * c.num_hidden_layers + 1) * h",
        "norms = (4 * c.num_hidden_layers + 1) * h",
        Mistake(
            "norms after attention only", "norms = (4 * c.num_hidden_layers + 1) * h",
            "norms = (3 * c.num_hidden_layers + 1) * h",
            "Four norms per layer: before and after attention, before and after the MLP or the experts.",
        ),
        Mistake(
            "four norms, none at the end", "norms = (4 * c.num_hidden_layers + 1) * h", "norms = 4 * c.num_hidden_layers * h",
            "The norm after the last layer is still there.",
        ),
    ),
    _twist(
        "expert biases",
        "Each of the three matrices of an expert, routed or shared, has a bias: one number per output. The dense MLP has none.",
        "expert = 3 * h * c.moe_intermediate_size",
        "expert = 3 * h * c.moe_intermediate_size + 2 * c.moe_intermediate_size + h",
        Mistake(
            "biases by input", "2 * c.moe_intermediate_size + h", "c.moe_intermediate_size + 2 * h",
            "A bias has one number per output: gate and up put out moe_intermediate_size numbers, down puts out hidden_size.",
        ),
        Mistake(
            "shared experts without biases", "c.n_shared_experts) * expert",
            "c.n_shared_experts) * expert - c.n_shared_experts * (2 * c.moe_intermediate_size + h)",
            "The shared experts have biases as well.",
        ),
        Mistake(
            "biases in the dense MLP", "mlp = 3 * h * c.intermediate_size",
            "mlp = 3 * h * c.intermediate_size + 2 * c.intermediate_size + h",
            "Only experts have biases here; the dense MLP has none.",
        ),
    ),
    _twist(
        "rotary key per head",
        "Every head has a rotary key of its own, qk_rope_head_dim wide, where K2's heads share one. "
        "All of them come straight from the hidden vector, with the latent, as the shared one does.",
        "latent = h * (c.kv_lora_rank + c.qk_rope_head_dim)",
        "latent = h * (c.kv_lora_rank + heads * c.qk_rope_head_dim)",
        Mistake(
            "latent per head too", "latent = h * (c.kv_lora_rank + heads * c.qk_rope_head_dim)",
            "latent = h * heads * (c.kv_lora_rank + c.qk_rope_head_dim)",
            "Only the rotary key is there once per head; the latent is still shared.",
        ),
        Mistake(
            "shared rotary key kept", "latent = h * (c.kv_lora_rank + heads * c.qk_rope_head_dim)",
            "latent = h * (c.kv_lora_rank + (heads + 1) * c.qk_rope_head_dim)",
            "The heads' own rotary keys stand in place of the shared one, not beside it.",
        ),
    ),
    _twist(
        "gate on attention",
        "Attention has one more matrix, a gate. From the hidden vector it makes one factor for every number "
        "that the heads bring back, before the output projection. It has no bias.",
        "output = heads * c.v_head_dim * h",
        "output = 2 * heads * c.v_head_dim * h",
        Mistake(
            "one gate per head", "output = 2 * heads * c.v_head_dim * h", "output = heads * c.v_head_dim * h + heads * h",
            "The gate makes one factor for every number, not one for every head: num_attention_heads * v_head_dim of them.",
        ),
        Mistake(
            "gate as wide as the output", "output = 2 * heads * c.v_head_dim * h", "output = heads * c.v_head_dim * h + h * h",
            "The gate stands before the output projection: it makes num_attention_heads * v_head_dim factors, not hidden_size.",
        ),
    ),
)  # fmt: skip

TOTAL = Coding(
    name="total_parameters",
    title="Every number that is stored",
    minutes=15,
    difficulty=2,
    points=4,
    practice=Variant("practice", _PRACTICE, _cases, (*_ALWAYS, _LATENT, _OUTPUT, _TWO_MATRICES, *_NORMS)),
    package='''
import kimi_mini as km


def total_parameters(config):
    """Numbers that a checkpoint of `config` stores."""
    return km.count_parameters(config).total
''',
    twists=_TWISTS,
)
