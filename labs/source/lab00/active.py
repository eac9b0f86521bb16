"""How many of those numbers one token uses, with the convention said (report, Table 2; which one it follows is not stated)."""

from __future__ import annotations

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant

from .configs import spread
from .source import docstring, patched

_IMPORT = "import kimi_mini as km\n\n\n"
_BODY = """\
    c, h = config, config.hidden_size
    dense = c.first_k_dense_replace
    moe = c.num_hidden_layers - dense
    expert = 3 * h * c.moe_intermediate_size
    attention = c.num_hidden_layers * km.accounting.attention_parameters(c)
    norms = (2 * c.num_hidden_layers + 1) * h
    routers = moe * c.n_routed_experts * (h + 1)
    mlps = dense * 3 * h * c.intermediate_size
    routed = moe * c.num_experts_per_tok * expert
    shared = moe * c.n_shared_experts * expert
    embeddings = (1 if c.tie_word_embeddings else 2) * c.vocab_size * h
    return attention + norms + routers + mlps + routed + shared + embeddings
"""

_PRACTICE = (
    f'{_IMPORT}def active_parameters(config):\n    """Numbers that one token uses, embedding and head counted."""\n{_BODY}'
)

_RETURN = "return attention + norms + routers + mlps + routed + shared + embeddings"
_ROUTED = "routed = moe * c.num_experts_per_tok * expert"
_SHARED = "shared = moe * c.n_shared_experts * expert"
_BOTH = "embeddings = (1 if c.tie_word_embeddings else 2) * c.vocab_size * h"

_COMMON = (
    Mistake(
        "every layer counted as MoE", "dense = c.first_k_dense_replace", "dense = 0",
        "You gave every layer experts. The first first_k_dense_replace layers have one dense MLP instead, and all of it works.",
    ),
    Mistake(
        "experts in every layer, dense MLPs on top", "moe = c.num_hidden_layers - dense", "moe = c.num_hidden_layers",
        "Only num_hidden_layers - first_k_dense_replace layers have experts (K2: 60 of 61).",
    ),
    Mistake(
        "dense MLPs missing", "mlps = dense * 3 * h * c.intermediate_size", "mlps = 0",
        "The dense MLPs of the first first_k_dense_replace layers are missing: every token uses them.",
    ),
    Mistake(
        "shared experts missing", "routed + shared + embeddings", "routed + embeddings",
        "The shared experts are missing: every token uses them on top of its num_experts_per_tok routed ones.",
    ),
    Mistake(
        "one shared expert always", " * c.n_shared_experts * expert", " * expert",
        "You counted one shared expert per MoE layer; the config says how many: n_shared_experts.",
    ),
    Mistake(
        "routers missing", "routers + mlps", "mlps",
        "The routers work for every token, all of their rows: each expert is scored before any is chosen.",
    ),
    Mistake(
        "router rows of the chosen experts only", "routers = moe * c.n_routed_experts * (h + 1)",
        "routers = moe * c.num_experts_per_tok * (h + 1)",
        "A router scores all routed experts before it chooses: all its rows work, not only those of the chosen ones.",
    ),
)  # fmt: skip

_SHARE_OF_TOTAL = Mistake(
    "the total times the share of experts", _RETURN,
    "return (attention + norms + routers + mlps + moe * c.n_routed_experts * expert + shared + embeddings)"
    " * c.num_experts_per_tok // c.n_routed_experts",
    "You took num_experts_per_tok / n_routed_experts of everything. Only routed experts are skipped; the rest works whole.",
)  # fmt: skip
_ALL_EXPERTS = Mistake(
    "all routed experts", _ROUTED, "routed = moe * c.n_routed_experts * expert",
    "This is the total: of the routed experts a token uses only num_experts_per_tok in each layer.",
)  # fmt: skip
_EMBEDDING = (
    Mistake(
        "one row of the embedding", _BOTH, "embeddings = (c.vocab_size + 1) * h",
        "You counted one row of the embedding. That is what a token reads, but the convention here counts the whole matrix.",
    ),
    Mistake(
        "embedding left out", _BOTH, "embeddings = 0 if c.tie_word_embeddings else c.vocab_size * h",
        "This leaves out the input embedding. It is another convention in use; the one named here counts it.",
    ),
    Mistake(
        "embedding and head left out", _BOTH, "embeddings = 0",
        "This leaves out embedding and head. It is another convention in use; the one named here counts both.",
    ),
    Mistake(
        "tied head counted twice", _BOTH, "embeddings = 2 * c.vocab_size * h",
        "With tie_word_embeddings embedding and head are one matrix: it counts once.",
    ),
)  # fmt: skip

_UNCHANGED = "The convention is right, but this is the count without the change."


def _cases(seed: int) -> tuple[Case, ...]:
    return tuple(Case(name, (config,)) for name, config in spread(seed).items())


def _twist(name: str, change: str, convention: str, changes: tuple[tuple[str, str], ...], *mistakes: Mistake) -> Variant:
    """`changes` are made to the body; every common mistake whose line is still there stays one."""
    doc = docstring("Every number that one token uses, with one change.", change, convention)
    solution = f"{_IMPORT}def my_active_parameters(config):\n{doc}\n{patched(_BODY, *changes)}"
    known = (*_COMMON, _ALL_EXPERTS, *_EMBEDDING)
    common = (mistake for mistake in known if mistake.old in solution)
    return Variant(name, solution, _cases, (*mistakes, *common), f"{change} {convention}")


_COUNT_BOTH = "Convention: embedding and head are both counted."
_HEAD_ONLY = "Convention: the input embedding is left out, the head is counted (also where it is tied)."
_NEITHER = "Convention: embedding and head are both left out."


def _counted_all_the_same(line: str) -> Mistake:
    return Mistake("embedding counted", line, _BOTH, "This counts embedding and head in full. Read which convention is named.")


_TWISTS = (
    _twist(
        "shared in every second",
        "Only every second MoE layer has its shared experts: the first MoE layer, the third, the fifth ...",
        _COUNT_BOTH,
        ((_SHARED, "shared = (moe + 1) // 2 * c.n_shared_experts * expert"),),
        Mistake(
            "rounded down", "(moe + 1) // 2", "moe // 2",
            "An odd number of MoE layers begins and ends with one that has its shared experts: round up.",
        ),
        Mistake(
            "half of all layers", "(moe + 1) // 2", "(c.num_hidden_layers + 1) // 2",
            "Count among the MoE layers, not among all layers.",
        ),
    ),
    _twist(
        "twice as many at the end",
        "The last num_hidden_layers // 4 layers use twice as many routed experts per token.",
        _HEAD_ONLY,
        (
            (_ROUTED, "routed = (moe + c.num_hidden_layers // 4) * c.num_experts_per_tok * expert"),
            (_BOTH, "embeddings = c.vocab_size * h"),
        ),
        _counted_all_the_same("embeddings = c.vocab_size * h"),
        Mistake("unchanged", "(moe + c.num_hidden_layers // 4)", "moe", _UNCHANGED),
        Mistake(
            "a quarter of the MoE layers", "(moe + c.num_hidden_layers // 4)", "(moe + moe // 4)",
            "The last quarter is one of all layers: num_hidden_layers // 4 of them.",
        ),
        Mistake(
            "twice everywhere", "(moe + c.num_hidden_layers // 4)", "2 * moe",
            "Only the last num_hidden_layers // 4 layers use twice as many routed experts.",
        ),
        Mistake(
            "shared experts doubled too", _SHARED, "shared = (moe + c.num_hidden_layers // 4) * c.n_shared_experts * expert",
            "Only routed experts are doubled in the last layers; the shared ones are as before.",
        ),
        Mistake(
            "tied head left out", "embeddings = c.vocab_size * h",
            "embeddings = 0 if c.tie_word_embeddings else c.vocab_size * h",
            "The head is counted also where it is tied: it is multiplied with every token.",
        ),
    ),
    _twist(
        "experts of two widths",
        "Half of the routed experts are only half as wide (moe_intermediate_size // 2). "
        "Each token uses num_experts_per_tok // 2 of the wide ones and as many of the narrow ones.",
        _NEITHER,
        (
            (_ROUTED, "routed = moe * c.num_experts_per_tok // 2 * (expert + expert // 2)"),
            (_BOTH, "embeddings = 0"),
        ),
        _counted_all_the_same("embeddings = 0"),
        Mistake("unchanged", "// 2 * (expert + expert // 2)", "* expert", _UNCHANGED),
        Mistake(
            "all chosen experts narrow", "// 2 * (expert + expert // 2)", "* (expert // 2)",
            "Only half of the experts that a token uses are narrow.",
        ),
        Mistake(
            "as many of each as before", "// 2 * (expert + expert // 2)", "* (expert + expert // 2)",
            "num_experts_per_tok // 2 wide ones and as many narrow ones: num_experts_per_tok together.",
        ),
        Mistake(
            "shared experts narrow too", _SHARED, "shared = moe * c.n_shared_experts * (expert // 2)",
            "Only routed experts come in two widths; the shared ones keep theirs.",
        ),
        Mistake(
            "head counted", "embeddings = 0", "embeddings = c.vocab_size * h",
            "This counts the head. The convention named leaves out embedding and head.",
        ),
    ),
    _twist(
        "dense in place of shared",
        "MoE layers have no shared experts. In their place stands one dense MLP of intermediate_size, "
        "of the same kind as in the first layers, and every token uses it.",
        _COUNT_BOTH,
        ((_SHARED, "shared = moe * 3 * h * c.intermediate_size"),),
        Mistake(
            "shared experts kept", _RETURN, f"{_RETURN} + moe * c.n_shared_experts * expert",
            "The dense MLP stands in place of the shared experts, not beside them.",
        ),
        Mistake(
            "dense MLP as wide as an expert", "shared = moe * 3 * h * c.intermediate_size", "shared = moe * expert",
            "The dense MLP is intermediate_size wide, not moe_intermediate_size.",
        ),
        Mistake(
            "dense MLP of two matrices", "shared = moe * 3 * h * c.intermediate_size",
            "shared = moe * 2 * h * c.intermediate_size",
            "A dense MLP is three matrices: gate, up and down.",
        ),
    ),
)  # fmt: skip

ACTIVE = Coding(
    name="active_parameters",
    title="The part that one token uses",
    minutes=10,
    difficulty=2,
    points=3,
    practice=Variant("practice", _PRACTICE, _cases, (*_COMMON, _SHARE_OF_TOTAL, _ALL_EXPERTS, *_EMBEDDING)),
    package='''
import kimi_mini as km


def active_parameters(config):
    """Numbers that one token uses, embedding and head counted."""
    return km.count_parameters(config).activated
''',
    twists=_TWISTS,
)
