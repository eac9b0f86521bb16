"""FLOPs of training, for one token: the horizontal axis of every scaling law."""

from __future__ import annotations

import random

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import kimi_mini as km


def training_flops(config, context):
    """FLOPs that training spends on one token, on average over a window of `context` tokens.

    config    a km.ModelConfig
    context   tokens of a window; the token at place t attends to t tokens, itself included

        weights     2 FLOPs for every number that the token is multiplied with: the active parameters without the
                    input embedding, km.count_parameters(config).activated_without_embedding
        attention   in every layer and head, for every pair of a query and a key that it may see: 2 FLOPs for each of the
                    qk_head_dim numbers of the score, and 2 for each of the v_head_dim numbers that are added up
        training    the backward pass costs twice the forward pass

    Returns the FLOPs, a float.
    """
    c = config
    active = km.count_parameters(c).activated_without_embedding
    weights = 2.0 * active
    seen = (context + 1) / 2
    score = 2 * c.qk_head_dim * seen
    summed = 2 * c.v_head_dim * seen
    attention = c.num_hidden_layers * c.num_attention_heads * (score + summed)
    return 3.0 * (weights + attention)
'''

PACKAGE = """
import kimi_mini as km


def training_flops(config, context):
    return km.accounting.training_flops(config, context).total
"""

_WINDOWS = (64, 4096, 32768)


def cases(seed: int) -> tuple[Case, ...]:
    """A released config and small ones whose widths all differ, short and long windows."""
    rng = random.Random(seed)
    small = km.NANO.replace(
        num_hidden_layers=rng.choice((4, 5, 6)),
        num_attention_heads=rng.choice((3, 5, 7)),
        v_head_dim=rng.choice((10, 12, 20)),
        n_routed_experts=rng.choice((12, 20, 24)),
        num_experts_per_tok=rng.choice((2, 3)),
    )
    wide = small.replace(hidden_size=80, num_attention_heads=9, q_lora_rank=None)
    found = [Case(f"a small model, windows of {length}", (small, length)) for length in _WINDOWS]
    found.append(Case("no query latent, windows of 512", (wide, 512)))
    return (*found, Case("Moonlight, windows of 8,192", (km.MOONLIGHT, 8192)))


_ACTIVE = "km.count_parameters(c).activated_without_embedding"

PRACTICE = Variant(
    "six per weight",
    SOLUTION,
    cases,
    (
        Mistake(
            "all experts counted",
            _ACTIVE,
            "km.count_parameters(c).total - c.vocab_size * c.hidden_size",
            "All experts were counted. A token is multiplied with those that it chose, and with nothing of the others.",
        ),
        Mistake(
            "2 for 6",
            "return 3.0 * (weights + attention)",
            "return weights + attention",
            "This is the forward pass alone. Training multiplies it by 3: the backward pass costs twice as much again.",
        ),
        Mistake(
            "backward as dear as forward",
            "return 3.0 *",
            "return 2.0 *",
            "The backward pass was counted once. It makes two products for each of the forward pass: one for the gradient of "
            "the input and one for that of the weight.",
        ),
        Mistake(
            "causal half in the scores only",
            "summed = 2 * c.v_head_dim * seen",
            "summed = 2 * c.v_head_dim * context",
            "The scores count the pairs that a query may see, but the sum over values counts the whole window.",
        ),
        Mistake(
            "causal half in the sum only",
            "score = 2 * c.qk_head_dim * seen",
            "score = 2 * c.qk_head_dim * context",
            "The sum over values counts the pairs that a query may see, but the scores count the whole window.",
        ),
        Mistake(
            "the whole window",
            "seen = (context + 1) / 2",
            "seen = context",
            "Every query was paired with the whole window. On average it sees (context + 1) / 2 tokens.",
        ),
        Mistake(
            "embedding counted",
            _ACTIVE,
            "km.count_parameters(c).activated",
            "The input embedding was counted. A token reads one row of it, and multiplies with none.",
        ),
        Mistake(
            "one for a multiply-add",
            "weights = 2.0 * active",
            "weights = 1.0 * active",
            "A multiplication and an addition were counted as one. They are 2 FLOPs.",
        ),
        Mistake(
            "attention of one layer",
            "attention = c.num_hidden_layers * c.num_attention_heads",
            "attention = c.num_attention_heads",
            "Attention was counted in one layer. It runs in every one.",
        ),
        Mistake(
            "attention forgotten in training",
            "return 3.0 * (weights + attention)",
            "return 3.0 * weights + attention",
            "Attention has a backward pass too: multiply the sum of both by 3.",
        ),
        Mistake(
            "values as wide as keys",
            "2 * c.v_head_dim * seen",
            "2 * c.qk_head_dim * seen",
            "The values were taken to be as wide as the keys. They have v_head_dim numbers, K2's 128 against 192.",
        ),
    ),
)

_TRAINING = "        training    the backward pass costs twice the forward pass\n"

FLOPS = Coding(
    "training_flops",
    "FLOPs per token",
    minutes=20,
    difficulty=1,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "recomputed",
            "Activations are recomputed: before its backward pass every layer runs its forward pass once more, attention "
            "included. Head and embedding are no layers.",
            (
                _TRAINING,
                _TRAINING + "        recomputed  the forward pass of all layers is made once more; the head, vocab_size times\n"
                "                    hidden_size numbers, is not among them\n",
            ),
            (
                "return 3.0 * (weights + attention)",
                "again = weights - 2.0 * c.vocab_size * c.hidden_size + attention\n"
                "    return 3.0 * (weights + attention) + again",
            ),
            also=(
                Mistake(
                    "head recomputed too",
                    "weights - 2.0 * c.vocab_size * c.hidden_size + attention",
                    "weights + attention",
                    "The head was recomputed as well. It is no layer: take its vocab_size times hidden_size numbers out.",
                ),
            ),
            besides=("2 for 6", "backward as dear as forward", "attention forgotten in training"),
        ),
        twist(
            PRACTICE,
            "four documents a window",
            "A window holds four documents of context / 4 tokens each, and a token attends within its own document only.",
            (
                "the token at place t attends to t tokens, itself included\n",
                "it holds four documents of context / 4 tokens each, and a\n"
                "              token at place t of its document attends to t tokens, itself included\n",
            ),
            ("seen = (context + 1) / 2", "seen = (context / 4 + 1) / 2"),
            also=(
                Mistake(
                    "a quarter of everything",
                    "weights = 2.0 * active",
                    "weights = 2.0 * active / 4",
                    "Only attention knows of documents; every token is still multiplied with all active weights.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the first tokens are given",
            "The first half of every window is a prompt that is read without a backward pass: its tokens cost their forward "
            "pass only. The average is over all tokens of the window.",
            (
                _TRAINING,
                "        training    the backward pass costs twice the forward pass, and only the second half of the window\n"
                "                    (context / 2 tokens, which see more than the first) has one; average over all tokens\n",
            ),
            (
                "return 3.0 * (weights + attention)",
                "late = (1.5 * context + 1) / 2\n"
                "    backward = weights + attention / seen * late\n"
                "    return (weights + attention) + 2.0 * backward / 2",
            ),
            also=(
                Mistake(
                    "late tokens see no more",
                    "late = (1.5 * context + 1) / 2",
                    "late = seen",
                    "The tokens of the second half see more than the average token: from context / 2 + 1 up to context.",
                ),
                Mistake(
                    "backward for all",
                    "2.0 * backward / 2",
                    "2.0 * backward",
                    "The backward pass of half the tokens was counted for every token of the window.",
                ),
            ),
            besides=("2 for 6", "backward as dear as forward", "attention forgotten in training"),
        ),
        twist(
            PRACTICE,
            "frozen experts",
            "The routed experts are frozen: gradients pass through them, but their own weights get none, so their backward "
            "pass costs as much as their forward pass, not twice.",
            (
                _TRAINING,
                _TRAINING
                + "        frozen      the routed experts get no gradient of their weights: their backward pass costs as much\n"
                "                    as their forward pass. A token uses num_experts_per_tok of them in every layer that\n"
                "                    has experts, 3 * hidden_size * moe_intermediate_size numbers each\n",
            ),
            (
                "return 3.0 * (weights + attention)",
                "moe = c.num_hidden_layers - c.first_k_dense_replace\n"
                "    frozen = moe * c.num_experts_per_tok * 3 * c.hidden_size * c.moe_intermediate_size\n"
                "    return 3.0 * (weights + attention) - 2.0 * frozen",
            ),
            also=(
                Mistake(
                    "no backward at all",
                    "- 2.0 * frozen",
                    "- 4.0 * frozen",
                    "The frozen experts lost their whole backward pass. The gradient of their input is still needed: only "
                    "that of their weights falls away.",
                ),
                Mistake(
                    "experts in every layer",
                    "moe = c.num_hidden_layers - c.first_k_dense_replace",
                    "moe = c.num_hidden_layers",
                    "The first first_k_dense_replace layers have no experts.",
                ),
            ),
            besides=("2 for 6", "backward as dear as forward", "attention forgotten in training"),
        ),
    ),
)
