"""Scores, the causal mask, and YaRN's temperature."""

from __future__ import annotations

import torch

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import math

import torch


def attend(q_THN, k_THN, v_THM, config):
    """Causal attention, head by head, with the scale of K2.

    q_THN, k_THN   token, head, width N = content + rotary
    v_THM          token, head, value width
    config         .qk_nope_head_dim (content width), .qk_rope_head_dim (rotary width),
                   .rope_scaling: None, or YaRN with its .factor

        m      = 0.1 ln(factor) + 1       1 without YaRN
        logit  = (q . k) * m^2 / sqrt(N)
        p      = softmax of the logits over the positions s <= t that token t may see
        out    = sum over s of p v

    Returns out_THM.
    """
    width = q_THN.shape[-1]
    m = 1.0
    if config.rope_scaling is not None:
        m = 0.1 * math.log(config.rope_scaling.factor) + 1
    logits = torch.einsum("thn,shn->hts", q_THN, k_THN) * m**2 / math.sqrt(width)
    position = torch.arange(len(q_THN))
    hidden_TS = position[None, :] > position[:, None]
    logits = logits.masked_fill(hidden_TS, float("-inf"))
    p_HTS = logits.softmax(-1)
    return torch.einsum("hts,shm->thm", p_HTS, v_THM)
'''

PACKAGE = """
import kimi_mini as km


def attend(q_THN, k_THN, v_THM, config):
    return km.kernels.attention(q_THN[None], k_THN[None], v_THM[None], scale=config.softmax_scale)[0][0]
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Content wider than rotary, and the other way round; without YaRN, with K2's factor, with another."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, factor: float | None, content: int, rotary: int, tokens: int) -> Case:
        yarn = None
        if factor is not None:
            yarn = km.YarnScaling(factor, 4096, beta_fast=1.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)
        config = km.NANO.replace(
            num_attention_heads=2, qk_nope_head_dim=content, qk_rope_head_dim=rotary, v_head_dim=3, rope_scaling=yarn
        )
        q_THN, k_THN = torch.randn(2, tokens, 2, content + rotary, generator=gen, dtype=torch.float64)
        return Case(name, (q_THN, k_THN, torch.randn(tokens, 2, 3, generator=gen, dtype=torch.float64), config))

    return (
        case("no YaRN", None, 6, 2, 6),
        case("YaRN with K2's factor, 32", 32.0, 4, 2, 7),
        case("YaRN with factor 8, more rotary than content", 8.0, 3, 6, 6),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "root of the content width",
            "width = q_THN.shape[-1]",
            "width = config.qk_nope_head_dim",
            "The logits were divided by the root of the content width alone (K2: 128). The whole width counts (K2: 192).",
        ),
        Mistake(
            "not divided by the root",
            "width = q_THN.shape[-1]",
            "width = 1",
            "The logits were not divided by sqrt(N).",
        ),
        Mistake(
            "mask after softmax",
            '    logits = logits.masked_fill(hidden_TS, float("-inf"))\n    p_HTS = logits.softmax(-1)\n',
            "    p_HTS = logits.softmax(-1).masked_fill(hidden_TS, 0.0)\n",
            "The mask came after the softmax: hidden tokens still take part in its sum, and the visible ones get less than 1.",
        ),
        Mistake(
            "no mask",
            '    logits = logits.masked_fill(hidden_TS, float("-inf"))\n',
            "",
            "Nothing was hidden: token t saw tokens that come after it.",
        ),
        Mistake(
            "the past hidden",
            "position[None, :] > position[:, None]",
            "position[None, :] < position[:, None]",
            "The mask is the wrong way round: the past was hidden, and the future seen.",
        ),
        Mistake(
            "mask of 0",
            'float("-inf")',
            "0.0",
            "Hidden logits were set to 0. That is an ordinary logit; minus infinity is what gives probability 0.",
        ),
        Mistake(
            "YaRN's scale factor left out",
            "if config.rope_scaling is not None:",
            "if False:",
            "YaRN's factor is missing: with config.rope_scaling the logits are multiplied by m^2.",
        ),
        Mistake(
            "m instead of its square",
            "m**2",
            "m",
            "The logits were multiplied by m. Query and key take m each, so a logit takes m^2.",
        ),
        Mistake(
            "softmax over queries",
            "logits.softmax(-1)",
            "logits.softmax(-2)",
            "The softmax ran over the queries. Each query's probabilities, over the keys it sees, add up to 1.",
        ),
    ),
)

ATTEND = Coding(
    "attend",
    "Scores and mask",
    minutes=18,
    difficulty=1,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "window of four",
            "A token sees only itself and the three tokens before it.",
            (
                "over the positions s <= t that token t may see",
                "over the positions s with t - 3 <= s <= t",
            ),
            (
                "    logits = logits.masked_fill(",
                "    hidden_TS = hidden_TS | (position[:, None] - position[None, :] > 3)\n    logits = logits.masked_fill(",
            ),
        ),
        twist(
            PRACTICE,
            "a sink",
            "Every softmax has one more logit, 0, that belongs to no token and whose value is zero: the visible probabilities "
            "then add up to less than 1.",
            ("that token t may see\n", "that token t may see, with exp(0) = 1 added to its denominator\n"),
            (
                "    p_HTS = logits.softmax(-1)\n",
                "    sink = torch.zeros_like(logits[..., :1])\n"
                "    p_HTS = torch.cat((logits, sink), -1).softmax(-1)[..., :-1]\n",
            ),
            also=(
                Mistake(
                    "a probability shared out",
                    "    p_HTS = torch.cat((logits, sink), -1).softmax(-1)[..., :-1]\n",
                    "    p_HTS = torch.cat((logits, sink), -1).softmax(-1)[..., :-1]\n"
                    "    p_HTS = p_HTS / p_HTS.sum(-1, keepdim=True)\n",
                    "The probabilities were made to add up to 1 again. What the sink takes is lost.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "two roots",
            "Each part has its own scale: the content product is divided by sqrt(content width), the rotary product by "
            "sqrt(rotary width). Both take m^2.",
            (
                "logit  = (q . k) * m^2 / sqrt(N)\n",
                "logit  = (content q . content k) * m^2 / sqrt(content width)\n"
                "               + (rotary q . rotary k) * m^2 / sqrt(rotary width)\n",
            ),
            ("width = q_THN.shape[-1]", "n, r = config.qk_nope_head_dim, config.qk_rope_head_dim"),
            (
                'logits = torch.einsum("thn,shn->hts", q_THN, k_THN) * m**2 / math.sqrt(width)',
                "root_N = torch.tensor([math.sqrt(n)] * n + [math.sqrt(r)] * r, dtype=q_THN.dtype)\n"
                '    logits = torch.einsum("thn,shn->hts", q_THN / root_N, k_THN) * m**2',
            ),
            also=(
                Mistake(
                    "roots the other way round",
                    "[math.sqrt(n)] * n + [math.sqrt(r)] * r",
                    "[math.sqrt(r)] * n + [math.sqrt(n)] * r",
                    "The roots are the wrong way round: the content product takes the content width's.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a prompt that sees itself",
            "The first three tokens are a prompt: each of them sees all three. From the fourth token on all is causal.",
            (
                "over the positions s <= t that token t may see",
                "over the positions s <= t, and for t = 0, 1, 2 over s <= 2",
            ),
            (
                "    logits = logits.masked_fill(",
                "    hidden_TS = hidden_TS & (position[None, :] > 2)\n    logits = logits.masked_fill(",
            ),
        ),
    ),
)
