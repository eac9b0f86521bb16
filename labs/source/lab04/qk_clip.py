"""QK-Clip on the weights of one MLA layer."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def qk_clip_(weights, max_logits_H, tau):
    """QK-Clip of one MLA layer, in place (K2 report, Algorithm 1, lines 5-6).

    weights   dict of one layer, as Hugging Face names and stores it. n = weights["qk_nope_head_dim"],
              r = weights["qk_rope_head_dim"], v = weights["v_head_dim"] are whole numbers; the matrices are

        "q_b_proj"             [H (n + r), q latent]    per head: n content rows, then r rotary rows
        "kv_b_proj"            [H (n + v), kv latent]   per head: n key rows, then v value rows
        "q_a_proj"             [q latent, width]        down-projection; a norm follows it
        "kv_a_proj_with_mqa"   [kv latent + r, width]   down-projection; its last r rows make the shared rotary key

    max_logits_H   [H], each head's largest logit, signed
    tau            the threshold, > 0

        For every head with S_h > tau:   gamma_h = tau / S_h
            content queries and content keys   *= sqrt(gamma_h)
            rotary queries                     *= gamma_h

    Everything else stays: other heads, values, the shared rotary key, the down-projections.
    The tensors in `weights` are changed, none is replaced. Returns gamma_H, [H]; 1 where nothing was done.
    """
    n, r, v = (weights[key] for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    gamma_H = torch.where(max_logits_H > tau, tau / max_logits_H, 1.0)
    for h, gamma in enumerate(gamma_H):
        q = weights["q_b_proj"][h * (n + r) : (h + 1) * (n + r)]
        k = weights["kv_b_proj"][h * (n + v) : (h + 1) * (n + v)]
        q_content, q_rotary, k_content, value = q[:n], q[n:], k[:n], k[n:]
        q_content *= gamma**0.5
        k_content *= gamma**0.5
        q_rotary *= gamma
    return gamma_H
'''

PACKAGE = """
from torch.nn import Parameter

import kimi_mini as km
from kimi_mini.model.mla import MLA


def qk_clip_(weights, max_logits_H, tau):
    sizes = {key: value for key, value in weights.items() if key.endswith("_dim")}
    layer = MLA(km.NANO.replace(num_attention_heads=len(max_logits_H), **sizes))
    layer.q_up.weight = Parameter(weights["q_b_proj"], requires_grad=False)
    layer.kv_up.weight = Parameter(weights["kv_b_proj"], requires_grad=False)
    gamma_H = km.optim.clip_factors(max_logits_H, tau)
    layer.rescale_qk_(gamma_H)
    return gamma_H
"""

_TAU = 20.0


def cases(seed: int) -> tuple[Case, ...]:
    """Heads above tau, below it, and with negative maxima, some of them below -tau; an even number of heads."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, maxima: list[float], n: int, r: int, v: int) -> Case:
        def matrix(rows: int, columns: int) -> torch.Tensor:
            return torch.randn(rows, columns, generator=gen, dtype=torch.float64)

        heads, q_latent, kv_latent, width = len(maxima), 9, 8, 10
        weights = {
            "qk_nope_head_dim": n, "qk_rope_head_dim": r, "v_head_dim": v,
            "q_a_proj": matrix(q_latent, width), "q_b_proj": matrix(heads * (n + r), q_latent),
            "kv_a_proj_with_mqa": matrix(kv_latent + r, width), "kv_b_proj": matrix(heads * (n + v), kv_latent),
        }  # fmt: skip
        jitter_H = 1 + 0.2 * torch.rand(heads, generator=gen, dtype=torch.float64)
        maxima_H = torch.tensor(maxima, dtype=torch.float64)
        return Case(name, (weights, maxima_H * jitter_H, _TAU), in_place=True)

    return (
        case("one head of four above tau", [5.0, 60.0, 9.0, 14.0], 4, 2, 3),
        case("two heads above tau, by different factors", [30.0, 4.0, 11.0, 400.0], 2, 4, 4),
        case("a negative maximum", [45.0, -3.0], 4, 2, 3),
        case("very negative maxima", [-70.0, -45.0, 25.0, 3.0], 3, 2, 4),
        case("no head above tau", [2.0, 9.0, -1.0, 16.0], 4, 2, 2),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "one factor for all",
            "torch.where(max_logits_H > tau, tau / max_logits_H, 1.0)",
            "(tau / max_logits_H.max()).clamp(0, 1).expand(len(max_logits_H))",
            "All heads were scaled by one factor. Each head has a gamma of its own; those at or below tau stay as they are.",
        ),
        Mistake(
            "shared key scaled",
            "q_rotary *= gamma",
            'q_rotary *= gamma**0.5\n        weights["kv_a_proj_with_mqa"][-r:] *= gamma**0.5',
            "The rotary key was scaled, but all heads share it: heads that did nothing wrong change too. "
            "The rotary queries have to take gamma whole.",
        ),
        Mistake(
            "root on the rope rows",
            "q_rotary *= gamma",
            "q_rotary *= gamma**0.5",
            "The rotary rows of the queries got sqrt(gamma). Their key is shared and stays, so they take gamma whole.",
        ),
        Mistake(
            "columns for rows",
            'weights["q_b_proj"]',
            'weights["q_b_proj"].T',
            "Columns were scaled. A head's queries are the outputs of q_b_proj, so they are rows of it.",
        ),
        Mistake(
            "keys forgotten",
            "k_content *= gamma",
            "unused = gamma",
            "The content keys were not scaled. They take their share as well as the content queries: together they give gamma.",
        ),
        Mistake(
            "V scaled",
            "q_rotary *= gamma",
            "q_rotary *= gamma\n        value *= gamma**0.5",
            "The value rows of kv_b_proj were scaled as well. Values are no part of a logit: they stay.",
        ),
        Mistake(
            "negative maximum",
            "torch.where(max_logits_H > tau, tau / max_logits_H, 1.0)",
            "(tau / max_logits_H).clamp(max=1.0)",
            "min(1, tau / S) is negative where S is: its root is NaN, and the rotary rows change sign. "
            "Compare S with tau first; such a head stays.",
        ),
        Mistake(
            "absolute value",
            "torch.where(max_logits_H > tau, tau / max_logits_H, 1.0)",
            "(tau / max_logits_H.abs()).clamp(max=1.0)",
            "A head was clipped for a very negative maximum. S is signed: only S > tau counts.",
        ),
        Mistake(
            "weights grown when below tau",
            "torch.where(max_logits_H > tau, tau / max_logits_H, 1.0)",
            "torch.where(max_logits_H > 0, tau / max_logits_H, 1.0)",
            "Heads below tau were scaled up to tau. The clip only ever shrinks: for them gamma is 1.",
        ),
        Mistake(
            "down-projection scaled",
            "q_content *= gamma",
            'weights["q_a_proj"] *= gamma',
            "q_a_proj was scaled. All heads use it, and the norm behind it undoes any factor: scale rows of q_b_proj.",
        ),
        Mistake(
            "a copy of the queries scaled",
            'weights["q_b_proj"]',
            'weights["q_b_proj"].clone()',
            "The keys are right, but the queries in `weights` did not change: you scaled a copy. Use *= on a slice.",
        ),
        Mistake(
            "a copy scaled",
            "    for h, gamma in enumerate(gamma_H):",
            "    weights = {key: torch.as_tensor(value).clone() for key, value in weights.items()}\n"
            "    for h, gamma in enumerate(gamma_H):",
            "The factors are right, but the tensors in `weights` did not change: you scaled copies. Use *= on a slice.",
        ),
    ),
)

QK_CLIP = Coding(
    "qk_clip_",
    "QK-Clip",
    minutes=35,
    difficulty=3,
    points=6,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "a quarter and three",
            "Content queries take gamma^(1/4) and content keys gamma^(3/4); rotary queries still take gamma.",
            (
                "content queries and content keys   *= sqrt(gamma_h)\n",
                "content queries                    *= gamma_h^(1/4)\n"
                "            content keys                       *= gamma_h^(3/4)\n",
            ),
            ("q_content *= gamma**0.5", "q_content *= gamma**0.25"),
            ("k_content *= gamma**0.5", "k_content *= gamma**0.75"),
        ),
        twist(
            PRACTICE,
            "other order",
            "Within a head the rows stand in another order: in q_b_proj rotary before content, in kv_b_proj value before key.",
            ("per head: n content rows, then r rotary rows", "per head: r rotary rows, then n content rows"),
            ("per head: n key rows, then v value rows", "per head: v value rows, then n key rows"),
            ("value = q[:n], q[n:], k[:n], k[n:]", "value = q[r:], q[:r], k[v:], k[:v]"),
        ),
        twist(
            PRACTICE,
            "pairs of heads",
            "Heads 2i and 2i + 1 share one factor, that of the larger of their two maxima.",
            (
                "For every head with S_h > tau:   gamma_h = tau / S_h",
                "For every pair of heads 2i, 2i + 1, with S the larger of their maxima:   gamma_h = tau / S if S > tau",
            ),
            ("other heads, values", "other pairs of heads, values"),
            (
                "    gamma_H = torch",
                "    max_logits_H = max_logits_H.view(-1, 2).amax(1).repeat_interleave(2)\n    gamma_H = torch",
            ),
        ),
        twist(
            PRACTICE,
            "parts first",
            "The rows of q_b_proj and kv_b_proj are sorted by part, not by head: first the n content rows of every head, "
            "head after head; then the rotary (or value) rows of every head.",
            (
                "per head: n content rows, then r rotary rows",
                "n content rows of each head, then r rotary rows of each",
            ),
            ("per head: n key rows, then v value rows", "n key rows of each head, then v value rows of each"),
            (
                'q = weights["q_b_proj"][h * (n + r) : (h + 1) * (n + r)]\n',
                'q, first = weights["q_b_proj"], len(gamma_H) * n\n',
            ),
            ('k = weights["kv_b_proj"][h * (n + v) : (h + 1) * (n + v)]\n', 'k = weights["kv_b_proj"]\n'),
            (
                "        q_content, q_rotary, k_content, value = q[:n], q[n:], k[:n], k[n:]\n",
                "        q_content, q_rotary = q[h * n : (h + 1) * n], q[first + h * r : first + (h + 1) * r]\n"
                "        k_content, value = k[h * n : (h + 1) * n], k[first + h * v : first + (h + 1) * v]\n",
            ),
        ),
        twist(
            PRACTICE,
            "queries only",
            "The keys stay: the queries, content and rotary rows alike, take gamma whole.",
            ("content queries and content keys   *= sqrt(gamma_h)", "content queries                    *= gamma_h"),
            ("other heads, values,", "other heads, content keys, values,"),
            ("q_content *= gamma**0.5", "q_content *= gamma"),
            ("        k_content *= gamma**0.5\n", ""),
            besides=("a copy of the queries scaled",),
        ),
    ),
)
