"""Twice the heads: what it costs where, by one convention."""

from __future__ import annotations

import random

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import kimi_mini as km


def heads_doubled(config, context):
    """How many times as much everything costs with twice the heads, when a token is written after `context` others.

    config    a km.ModelConfig with a query latent (q_lora_rank), as K2's
    context   cached tokens

        flops     2 for every active parameter without the input embedding, km.count_parameters(...), and in every
                  layer and head, for every cached token, 2 (2 kv_lora_rank + qk_rope_head_dim): absorbed attention
        weights   numbers of one layer's attention: what multiplies with heads is the query's up-projection
                  (q_lora_rank x heads x qk_head_dim), the keys' and values' (kv_lora_rank x heads x (qk_nope_head_dim +
                  v_head_dim)) and the output projection (heads x v_head_dim x hidden_size)
        cache     numbers of one cached token in one layer: kv_lora_rank + qk_rope_head_dim

    Returns a dict with "flops", "weights" and "cache", each the number with twice the heads divided by that with
    config's own. "weights" counts only the matrices named here.
    """
    c = config
    twice = c.replace(num_attention_heads=2 * c.num_attention_heads)

    def flops(c):
        pair = 2 * (2 * c.kv_lora_rank + c.qk_rope_head_dim)
        attention = c.num_hidden_layers * c.num_attention_heads * context * pair
        return 2 * km.count_parameters(c).activated_without_embedding + attention

    def weights(c):
        query = c.q_lora_rank * c.qk_head_dim
        key_value = c.kv_lora_rank * (c.qk_nope_head_dim + c.v_head_dim)
        output = c.v_head_dim * c.hidden_size
        by_heads = c.num_attention_heads * (query + key_value + output)
        alone = c.hidden_size * (c.q_lora_rank + c.kv_lora_rank + c.qk_rope_head_dim)
        return by_heads + alone

    def cache(c):
        return c.kv_lora_rank + c.qk_rope_head_dim

    return {name: measure(twice) / measure(c) for name, measure in (("flops", flops), ("weights", weights), ("cache", cache))}
'''

PACKAGE = """
import kimi_mini as km
from kimi_mini.accounting import attention_parameters, cache_elements, decode_flops


def heads_doubled(config, context):
    twice = config.replace(num_attention_heads=2 * config.num_attention_heads)
    norms = config.q_lora_rank + config.kv_lora_rank
    measures = {
        "flops": lambda c: decode_flops(c, context).total,
        "weights": lambda c: attention_parameters(c) - norms,
        "cache": cache_elements,
    }
    return {name: measure(twice) / measure(config) for name, measure in measures.items()}
"""


def cases(seed: int) -> tuple[Case, ...]:
    """K2 at two lengths, and small configs whose widths all differ."""
    rng = random.Random(seed)
    small = km.NANO.replace(
        num_attention_heads=rng.choice((3, 5, 7)),
        v_head_dim=rng.choice((10, 12, 20)),
        q_lora_rank=rng.choice((26, 30, 34)),
        num_hidden_layers=rng.choice((4, 5, 6)),
    )
    return (
        Case("K2 at 131,072 tokens", (km.K2, 131_072)),
        Case("K2 at 4,096 tokens", (km.K2, 4096)),
        Case("a small model at 256 tokens", (small, 256)),
        Case("a small model at 16,384 tokens", (small, 16_384)),
    )


_PAIR = "pair = 2 * (2 * c.kv_lora_rank + c.qk_rope_head_dim)"
_RETURN_CACHE = "return c.kv_lora_rank + c.qk_rope_head_dim"

PRACTICE = Variant(
    "absorbed",
    SOLUTION,
    cases,
    (
        Mistake(
            "cache grows with heads",
            _RETURN_CACHE,
            f"{_RETURN_CACHE.replace('return ', 'return (')}) * c.num_attention_heads",
            "The cache grew with the heads. The latent and the rotary key are shared by all of them.",
        ),
        Mistake(
            "output projection forgotten",
            "(query + key_value + output)",
            "(query + key_value)",
            "The output projection is missing among what grows with heads: it reads v_head_dim numbers of each.",
        ),
        Mistake(
            "conventions mixed",
            _PAIR,
            f"{_PAIR} if c is not twice else 2 * (c.qk_head_dim + c.v_head_dim)",
            "The two sides were counted by different conventions: absorbed for the one, expanded for the other.",
        ),
        Mistake(
            "expanded",
            _PAIR,
            "pair = 2 * (c.qk_head_dim + c.v_head_dim)",
            "This is expanded attention. The convention named here is the absorbed one, which reads the latent itself.",
        ),
        Mistake(
            "the latent read once",
            "(2 * c.kv_lora_rank + c.qk_rope_head_dim)",
            "(c.kv_lora_rank + c.qk_rope_head_dim)",
            "The latent is used twice for each cached token: in the score, and again in the sum over values.",
        ),
        Mistake(
            "everything doubles",
            "return by_heads + alone",
            "return by_heads",
            "The down-projections are missing: they are shared by all heads, and do not grow.",
        ),
        Mistake(
            "attention alone",
            "return 2 * km.count_parameters(c).activated_without_embedding + attention",
            "return attention",
            "The weights are missing: attention over the cache is only a part of the FLOPs, and at short contexts a small one.",
        ),
        Mistake(
            "weights of one side",
            "return 2 * km.count_parameters(c).activated_without_embedding + attention",
            "return 2 * km.count_parameters(config).activated_without_embedding + attention",
            "Both sides used the same parameter count. Twice the heads have larger projections.",
        ),
        Mistake(
            "embedding counted",
            ".activated_without_embedding",
            ".activated",
            "The input embedding was counted. A token reads one row of it, and multiplies with none.",
        ),
        Mistake(
            "inverted",
            "measure(twice) / measure(c)",
            "measure(c) / measure(twice)",
            "The ratio is upside down: twice the heads stand above.",
        ),
    ),
)

HEADS = Coding(
    "heads_doubled",
    "Heads against context",
    minutes=20,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "three times the heads",
            "Three times the heads, not twice, and the values of every head half as wide (v_head_dim // 2).",
            (
                "How many times as much everything costs with twice the heads",
                "How many times as much all costs with three times the heads",
            ),
            (
                "each the number with twice the heads divided by that with\n    config's own.",
                "each the number of the changed config (three times the heads,\n"
                "    v_head_dim // 2) divided by that of config's own.",
            ),
            (
                "c.replace(num_attention_heads=2 * c.num_attention_heads)",
                "c.replace(num_attention_heads=3 * c.num_attention_heads, v_head_dim=c.v_head_dim // 2)",
            ),
            also=(
                Mistake(
                    "values kept",
                    ", v_head_dim=c.v_head_dim // 2)",
                    ")",
                    "The values kept their width. v_head_dim is to be halved, rounded down.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a latent that grows",
            "The designers double kv_lora_rank together with the heads.",
            (
                "How many times as much everything costs with twice the heads",
                "How many times as much all costs with twice the heads and latent",
            ),
            (
                "each the number with twice the heads divided by that with\n    config's own.",
                "each the number with twice the heads and twice kv_lora_rank\n    divided by that of config's own.",
            ),
            (
                "c.replace(num_attention_heads=2 * c.num_attention_heads)",
                "c.replace(num_attention_heads=2 * c.num_attention_heads, kv_lora_rank=2 * c.kv_lora_rank)",
            ),
            also=(
                Mistake(
                    "latent kept",
                    ", kv_lora_rank=2 * c.kv_lora_rank)",
                    ")",
                    "The latent kept its width. kv_lora_rank doubles together with the heads.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a prompt",
            "A prompt of `context` tokens is read, not a token written: FLOPs are the mean for one of its tokens, by expanded "
            "attention, 2 (qk_head_dim + v_head_dim) for each of the (context + 1) / 2 tokens that it sees on average.",
            ("when a token is written after `context` others", "when a prompt of `context` tokens is read"),
            (
                "for every cached token, 2 (2 kv_lora_rank + qk_rope_head_dim): absorbed attention\n",
                "for each of the (context + 1) / 2 tokens that a token sees on average,\n"
                "                  2 (qk_head_dim + v_head_dim): expanded attention\n",
            ),
            (_PAIR, "pair = 2 * (c.qk_head_dim + c.v_head_dim)"),
            ("c.num_attention_heads * context * pair", "c.num_attention_heads * (context + 1) / 2 * pair"),
            also=(
                Mistake(
                    "absorbed prompt",
                    "pair = 2 * (c.qk_head_dim + c.v_head_dim)",
                    _PAIR,
                    "This is absorbed attention. A prompt is read with expanded keys and values.",
                ),
                Mistake(
                    "the whole prompt",
                    "(context + 1) / 2 * pair",
                    "context * pair",
                    "Every token was paired with the whole prompt. On average it sees (context + 1) / 2 tokens.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "only in the last half",
            "Only the last num_hidden_layers // 2 layers get twice the heads. All three are then counted over all layers: "
            "FLOPs as before, weights and cache summed over the layers.",
            (
                "How many times as much everything costs with twice the heads",
                "How many times as much all costs with twice the heads in the last layers",
            ),
            (
                "each the number with twice the heads divided by that with\n    config's own.",
                "each the number, over all layers, with twice the heads in the\n"
                "    last num_hidden_layers // 2 of them, divided by that of config's own.",
            ),
            (
                "return {name: measure(twice) / measure(c) for name",
                "half = c.num_hidden_layers // 2 / c.num_hidden_layers\n"
                "    return {name: half * measure(twice) / measure(c) + 1 - half for name",
            ),
            also=(
                Mistake(
                    "all layers",
                    "half = c.num_hidden_layers // 2 / c.num_hidden_layers",
                    "half = 1",
                    "All layers were changed. Only the last num_hidden_layers // 2 are.",
                ),
            ),
        ),
    ),
)
