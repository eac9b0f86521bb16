"""What attention must keep about earlier tokens, in bytes (DeepSeek-V3 report, section 2.1.1, for what MLA keeps)."""

from __future__ import annotations

import random

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant

from .configs import SMALL, SMALL_NAME, draw
from .source import docstring, patched

_BODY = """\
    c = config
    if kind == "mla":
        keys, rest = c.qk_rope_head_dim, c.kv_lora_rank
    elif kind == "mha":
        keys, rest = c.num_attention_heads * c.qk_head_dim, c.num_attention_heads * c.v_head_dim
    else:
        keys, rest = 8 * c.v_head_dim, 8 * c.v_head_dim
    size = 2 * (keys + rest) * c.num_hidden_layers * tokens
    return {"bytes": size, "gib": size / 2**30}
"""

_PRACTICE = f'def cache_size(config, tokens, kind):\n    """Bytes and GiB that `tokens` cached tokens take."""\n{_BODY}'

_MLA = "keys, rest = c.qk_rope_head_dim, c.kv_lora_rank"
_MHA = "keys, rest = c.num_attention_heads * c.qk_head_dim, c.num_attention_heads * c.v_head_dim"
_GQA = "keys, rest = 8 * c.v_head_dim, 8 * c.v_head_dim"
_SIZE = "size = 2 * (keys + rest) * c.num_hidden_layers * tokens"

_COMMON = (
    Mistake(
        "MLA times heads", _MLA,
        "keys, rest = c.num_attention_heads * c.qk_rope_head_dim, c.num_attention_heads * c.kv_lora_rank",
        "MLA keeps one latent and one rotary key for all heads together. The number of heads does not enter.",
    ),
    Mistake(
        "rotary key forgotten", _MLA, "keys, rest = 0, c.kv_lora_rank",
        "MLA keeps the rotary key beside the latent: kv_lora_rank + qk_rope_head_dim numbers (K2: 576, not 512).",
    ),
    Mistake(
        "MHA without the rotary part of keys", _MHA, _MHA.replace("qk_head_dim", "qk_nope_head_dim"),
        "A key of this config has a content part and a rotary part: qk_nope_head_dim + qk_rope_head_dim numbers per head.",
    ),
    Mistake(
        "MHA with keys as wide as values", _MHA, _MHA.replace("qk_head_dim", "v_head_dim"),
        "Keys are not as wide as values here: qk_nope_head_dim + qk_rope_head_dim numbers per head, beside v_head_dim.",
    ),
    Mistake(
        "MHA without values", _MHA, "keys, rest = c.num_attention_heads * c.qk_head_dim, 0",
        "MHA keeps keys and values: qk_nope_head_dim + qk_rope_head_dim + v_head_dim numbers per head.",
    ),
    Mistake(
        "GQA with all heads", _GQA, _GQA.replace("8 *", "c.num_attention_heads *"),
        "GQA keeps 8 key-value heads, however many query heads there are.",
    ),
    Mistake(
        "GQA without values", _GQA, "keys, rest = 8 * c.v_head_dim, 0",
        "GQA keeps a key and a value for each of its 8 heads: twice v_head_dim numbers.",
    ),
    Mistake(
        "GQA with the long keys", _GQA, "keys, rest = 8 * c.qk_head_dim, 8 * c.v_head_dim",
        "The GQA of this exercise has keys as wide as its values: v_head_dim both.",
    ),
    Mistake(
        "GB for GiB", "size / 2**30", "size / 10**9",
        "The bytes are right, but you divided by 10**9: that is GB. One GiB is 2**30 bytes.",
    ),
)  # fmt: skip


def _by_layers(layers: str) -> Mistake:
    return Mistake(
        "one layer only", layers, "1", "This is one layer. Every layer keeps a cache of its own, unless you are told otherwise."
    )  # fmt: skip


_SIZES = (
    Mistake(
        "one layer only", _SIZE, "size = 2 * (keys + rest) * tokens",
        "This is one layer. Every layer keeps a cache of its own: multiply by num_hidden_layers.",
    ),
    Mistake("one byte a number", _SIZE, _SIZE.replace("2 * ", ""), "You counted numbers. Each takes 2 bytes."),
    Mistake("four bytes a number", _SIZE, _SIZE.replace("2 * ", "4 * "), "You took 4 bytes a number; here each takes 2."),
)  # fmt: skip


def _shapes(seed: int) -> tuple[tuple[str, km.ModelConfig, int], ...]:
    rng = random.Random(seed)
    return (
        (SMALL_NAME, SMALL, 100),
        ("km.K2", km.K2, rng.randrange(2_000, 9_000)),
        (*draw(rng), rng.randrange(300, 1_000)),
    )


def _case(name: str, config: km.ModelConfig, *others: int | str) -> Case:
    return Case(", ".join((name, *map(repr, others))), (config, *others))


def _cases(seed: int) -> tuple[Case, ...]:
    return tuple(_case(name, config, tokens, kind) for name, config, tokens in _shapes(seed) for kind in ("mla", "mha", "gqa"))


def _window_cases(seed: int) -> tuple[Case, ...]:
    """Windows shorter than the text, and one that is longer."""
    rng = random.Random(seed)
    shapes = _shapes(seed)
    windows = (64, rng.randrange(128, 1_024), shapes[2][2] + rng.randrange(1, 500))
    return tuple(
        _case(name, config, tokens, kind, window)
        for (name, config, tokens), window in zip(shapes, windows, strict=True)
        for kind in ("mla", "mha", "gqa")
    )


def _twist(name: str, change: str, size: str, *mistakes: Mistake, extra: str = "", cases=_cases) -> Variant:
    """`size` stands in place of the line that multiplies; every common mistake stays one."""
    doc = docstring("What cache_size returns, {'bytes': int, 'gib': float}, with one change.", change)
    solution = f"def my_cache_size(config, tokens, kind{extra}):\n{doc}\n{patched(_BODY, (_SIZE, size))}"
    return Variant(name, solution, cases, (*mistakes, *_COMMON), change)


_TWISTS = (
    _twist(
        "window in every second layer",
        "Layers 1, 3, 5, ... (counted from 0) keep only the last `window` tokens; layers 0, 2, 4, ... keep all.",
        "layers = c.num_hidden_layers\n"
        "    kept = (layers + 1) // 2 * tokens + layers // 2 * min(tokens, window)\n"
        "    size = 2 * (keys + rest) * kept",
        Mistake(
            "no window", "min(tokens, window)", "tokens",
            "This is the cache without a window: layers 1, 3, 5, ... keep at most `window` tokens.",
        ),
        Mistake(
            "window longer than the text", "min(tokens, window)", "window",
            "A layer cannot keep more tokens than there are: where tokens < window it keeps `tokens`.",
        ),
        Mistake(
            "window in layer 0", "(layers + 1) // 2 * tokens + layers // 2", "layers // 2 * tokens + (layers + 1) // 2",
            "Layer 0 keeps everything, layer 1 has the window: with an odd number of layers one more keeps everything.",
        ),
        Mistake(
            "window in every layer", "(layers + 1) // 2 * tokens + layers // 2", "layers",
            "Only layers 1, 3, 5, ... have a window; the others keep all tokens.",
        ),
        Mistake("one byte a number", "size = 2 * ", "size = ", "You counted numbers. Each takes 2 bytes."),
        extra=", window",
        cases=_window_cases,
    ),
    _twist(
        "keys finer than the rest",
        "Keys take 2 bytes a number, everything else 1 byte. With MLA the only key that is kept is the rotary one.",
        "size = (2 * keys + rest) * c.num_hidden_layers * tokens",
        Mistake(
            "everything in one byte", "(2 * keys + rest)", "(keys + rest)",
            "Keys take 2 bytes a number (with MLA: the rotary key); only the rest takes 1.",
        ),
        Mistake("other way round", "(2 * keys + rest)", "(keys + 2 * rest)", "Keys take 2 bytes, the rest takes 1."),
        _by_layers("c.num_hidden_layers"),
    ),
    _twist(
        "every second layer reuses",
        "Layers 1, 3, 5, ... (counted from 0) keep nothing: they use the cache of the layer below.",
        "size = 2 * (keys + rest) * ((c.num_hidden_layers + 1) // 2) * tokens",
        Mistake(
            "rounded down", "((c.num_hidden_layers + 1) // 2)", "(c.num_hidden_layers // 2)",
            "Layer 0 keeps its own cache: with an odd number of layers one more than half of them do.",
        ),
        Mistake(
            "half a layer", "((c.num_hidden_layers + 1) // 2)", "c.num_hidden_layers / 2",
            "With an odd number of layers you counted half a layer. Layers 0, 2, 4, ... keep their own cache: round up.",
        ),
        Mistake("one byte a number", "size = 2 * ", "size = ", "You counted numbers. Each takes 2 bytes."),
        _by_layers("((c.num_hidden_layers + 1) // 2)"),
    ),
    _twist(
        "groups with a scale",
        "What one layer keeps of one token is stored as one row, 1 byte a number. "
        "Every 128 numbers of the row share a scale of 4 bytes; a last, shorter group has one too.",
        "scales = -(-(keys + rest) // 128)\n    size = (keys + rest + 4 * scales) * c.num_hidden_layers * tokens",
        Mistake(
            "shorter group without a scale", "-(-(keys + rest) // 128)", "(keys + rest) // 128",
            "A last group of fewer than 128 numbers has a scale too: round up.",
        ),
        Mistake(
            "no scales", "(keys + rest + 4 * scales)", "(keys + rest)",
            "The scales are missing: 4 bytes for every 128 numbers that a layer keeps of a token.",
        ),
        Mistake(
            "scales of one byte", "(keys + rest + 4 * scales)", "(keys + rest + scales)", "A scale takes 4 bytes.",
        ),
        Mistake(
            "one scale a row", "-(-(keys + rest) // 128)", "1",
            "A row has one scale for every 128 of its numbers, not one in all.",
        ),
        _by_layers("c.num_hidden_layers"),
    ),
)  # fmt: skip

CACHE = Coding(
    name="cache_size",
    title="Bytes to remember a conversation",
    minutes=10,
    difficulty=1,
    points=3,
    practice=Variant("practice", _PRACTICE, _cases, (*_COMMON, *_SIZES)),
    package='''
import kimi_mini as km


def cache_size(config, tokens, kind):
    """Bytes and GiB that `tokens` cached tokens take."""
    size = km.accounting.cache_bytes(config, tokens, kind)
    return {"bytes": size, "gib": size / 2**30}
''',
    twists=_TWISTS,
)
