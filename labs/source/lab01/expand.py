"""One small latent for all heads, and the keys and values that come out of it."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def compress_expand(x_TD, weights, heads):
    """What a token leaves behind, and every head's keys and values made from it (DeepSeek-V3 report, equations 1-5).

    x_TD      [T, D], one row a token
    weights   dict of one layer; C is the latent's width, R the rotary key's, n the content key's, v the value's

        "kv_down"   [C + R, D]       its first C rows make the latent, its last R rows the rotary key
        "kv_norm"   [C]              gain of the latent's norm
        "kv_up"     [H (n + v), C]   per head: n key rows, then v value rows
        "n"         a whole number, the width of a content key

    heads     H

        raw     = kv_down x
        latent  = RMSNorm(first C of raw) * gain        RMSNorm(z) = z / sqrt(mean(z^2) + 1e-6)
        rotary  = last R of raw                         no norm; its turning comes later
        key of head h    = [content key of h | rotary]  the same rotary key in every head
        value of head h  = value of h

    Returns (entries_TX, k_THN, v_THM): [latent | rotary], X = C + R; the keys, N = n + R; the values, M = v.
    """
    n, gain_C = weights["n"], weights["kv_norm"]
    width = len(gain_C)
    raw = x_TD @ weights["kv_down"].T
    latent, rotary = raw[:, :width], raw[:, width:]
    latent = latent / (latent.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * gain_C
    up = latent @ weights["kv_up"].T
    up_THW = up.unflatten(-1, (heads, -1))
    content, v_THM = up_THW[..., :n], up_THW[..., n:]
    shared = rotary[:, None].expand(-1, heads, -1)
    k_THN = torch.cat((content, shared), -1)
    return torch.cat((latent, rotary), -1), k_THN, v_THM
'''

PACKAGE = """
import torch
from torch.nn import Parameter

import kimi_mini as km
from kimi_mini.model.mla import MLA
from kimi_mini.model.rope import Rope


def compress_expand(x_TD, weights, heads):
    n, latent = weights["n"], len(weights["kv_norm"])
    rotary, value = len(weights["kv_down"]) - latent, len(weights["kv_up"]) // heads - n
    layer = MLA(
        km.NANO.replace(
            hidden_size=x_TD.shape[1], num_attention_heads=heads, kv_lora_rank=latent,
            qk_nope_head_dim=n, qk_rope_head_dim=rotary, v_head_dim=value,
        )
    )
    for part, key in ((layer.kv_down, "kv_down"), (layer.kv_norm, "kv_norm"), (layer.kv_up, "kv_up")):
        part.weight = Parameter(weights[key], requires_grad=False)
    still_TP = torch.zeros(1, len(x_TD), rotary // 2, dtype=x_TD.dtype)
    entries_TX = layer.cache_entries(x_TD[None], Rope(still_TP.cos(), still_TP.sin()))[0]
    k_THn = torch.einsum("tc,hnc->thn", entries_TX[:, :latent], layer.k_up)
    v_THM = torch.einsum("tc,hmc->thm", entries_TX[:, :latent], layer.v_up)
    shared = entries_TX[:, None, latent:].expand(-1, heads, -1)
    return entries_TX, torch.cat((k_THn, shared), -1), v_THM
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Widths that differ, gains that are not 1; then tokens so small that the norm's 1e-6 counts."""
    gen = torch.Generator().manual_seed(seed)

    def matrix(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=gen, dtype=torch.float64)

    def case(name: str, heads: int, n: int, v: int, size: float) -> Case:
        weights = {
            "kv_down": matrix(6 + 4, 7), "kv_norm": 1 + 0.5 * matrix(6).abs(), "kv_up": matrix(heads * (n + v), 6), "n": n,
        }  # fmt: skip
        return Case(name, (size * matrix(3, 7), weights, heads))

    return (
        case("three heads", 3, 4, 2, 1.0),
        case("two heads, wide values", 2, 3, 5, 0.2),
        case("very small tokens", 2, 4, 3, 0.0005),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "no norm on the latent",
            "latent = latent / (latent.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * gain_C",
            "latent = latent * 1.0",
            "The latent was not normed. It passes an RMS norm, with a gain, before anything is made from it.",
        ),
        Mistake(
            "gain forgotten",
            ".sqrt() * gain_C",
            ".sqrt()",
            'The latent\'s norm has a gain, weights["kv_norm"], one number for each of its C numbers.',
        ),
        Mistake(
            "norm on the rope key",
            "    up = latent @",
            "    rotary = rotary / (rotary.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()\n    up = latent @",
            "The rotary key was normed too. Only the latent has a norm.",
        ),
        Mistake(
            "one norm over latent and rope key",
            "latent = latent / (latent.pow(2)",
            "latent = latent / (raw.pow(2)",
            "The norm's mean was taken over latent and rotary key together. It is over the latent's C numbers alone.",
        ),
        Mistake(
            "mean subtracted",
            "latent = latent / (latent.pow(2)",
            "latent = latent - latent.mean(-1, keepdim=True)\n    latent = latent / (latent.pow(2)",
            "The mean was subtracted, as a LayerNorm does. An RMS norm only divides.",
        ),
        Mistake(
            "1e-6 outside the mean's root",
            "(latent.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()",
            "latent.pow(2).mean(-1, keepdim=True).sqrt()",
            "For very small tokens the 1e-6 counts: it is added to the mean of the squares, under the root.",
        ),
        Mistake(
            "k and v split across heads",
            "content, v_THM = up_THW[..., :n], up_THW[..., n:]",
            "keys, values = up.split((heads * n, up.shape[-1] - heads * n), -1)\n"
            "    content, v_THM = keys.unflatten(-1, (heads, -1)), values.unflatten(-1, (heads, -1))",
            "Keys and values were split once for all heads. kv_up's rows go head by head: split within each.",
        ),
        Mistake(
            "heads as the last axis",
            "up_THW = up.unflatten(-1, (heads, -1))",
            "up_THW = up.unflatten(-1, (-1, heads)).transpose(1, 2)",
            "The heads were taken as the inner axis. All rows of head 0 come first, then all of head 1.",
        ),
        Mistake(
            "rotary key in front",
            "k_THN = torch.cat((content, shared), -1)",
            "k_THN = torch.cat((shared, content), -1)",
            "The parts of the key are the wrong way round: content first, then rotary.",
        ),
        Mistake(
            "raw latent remembered",
            "return torch.cat((latent, rotary), -1)",
            "return raw",
            "Keys and values are right, but the entries hold the latent before its norm. The normed one is kept.",
        ),
    ),
)

EXPAND = Coding(
    "compress_expand",
    "Compress and expand",
    minutes=23,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "parts first",
            "The rows of kv_up are sorted by part, not by head: first the key rows of every head, then the value rows.",
            ("per head: n key rows, then v value rows", "n key rows of each head, then v value rows of each"),
            (
                "    up_THW = up.unflatten(-1, (heads, -1))\n    content, v_THM = up_THW[..., :n], up_THW[..., n:]\n",
                "    content = up[:, : heads * n].unflatten(-1, (heads, -1))\n"
                "    v_THM = up[:, heads * n :].unflatten(-1, (heads, -1))\n",
            ),
            also=(
                Mistake(
                    "sorted by head after all",
                    "    shared = rotary",
                    "    up_THW = up.unflatten(-1, (heads, -1))\n"
                    "    content, v_THM = up_THW[..., :n], up_THW[..., n:]\n    shared = rotary",
                    "You split within each head. Here the key rows of all heads come first, then the value rows of all.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "rotary first",
            "The rotary key comes first everywhere: the first R rows of kv_down make it, and it stands before the latent in "
            "an entry and before the content in a key.",
            (
                "its first C rows make the latent, its last R rows the rotary key",
                "its first R rows make the rotary key, its last C rows the latent",
            ),
            ("RMSNorm(first C of raw) * gain ", "RMSNorm(last C of raw) * gain  "),
            ("rotary  = last R of raw ", "rotary  = first R of raw"),
            ("[content key of h | rotary]", "[rotary | content key of h]"),
            ("[latent | rotary], X = C + R;", "[rotary | latent], X = R + C;"),
            ("latent, rotary = raw[:, :width], raw[:, width:]", "rotary, latent = raw[:, :-width], raw[:, -width:]"),
            ("k_THN = torch.cat((content, shared), -1)", "k_THN = torch.cat((shared, content), -1)"),
            ("return torch.cat((latent, rotary), -1)", "return torch.cat((rotary, latent), -1)"),
        ),
        twist(
            PRACTICE,
            "two norms",
            "The latent is normed in two halves: each half is divided by the root mean square of its own C/2 numbers.",
            (
                "RMSNorm(first C of raw) * gain   ",
                "[RMSNorm(first C/2 of raw) | RMSNorm(next C/2)] * gain   ",
            ),
            (
                "latent = latent / (latent.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * gain_C",
                "halves = latent.unflatten(-1, (2, -1))\n"
                "    halves = halves / (halves.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()\n"
                "    latent = halves.flatten(-2) * gain_C",
            ),
            also=(
                Mistake(
                    "no norm on the latent",
                    "    halves = halves / (halves.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()\n",
                    "",
                    "The latent was not normed. Each of its halves passes an RMS norm of its own.",
                ),
                Mistake(
                    "gain forgotten",
                    "halves.flatten(-2) * gain_C",
                    "halves.flatten(-2)",
                    'The norm has a gain, weights["kv_norm"], one number for each of the latent\'s C numbers.',
                ),
            ),
        ),
        twist(
            PRACTICE,
            "one value for all",
            "Values are shared: the value of head 0 serves every head, and v_THM repeats it for each.",
            ("value of head h  = value of h", "value of head h  = value of head 0"),
            (
                "    shared = rotary",
                "    v_THM = v_THM[:, :1].expand(-1, heads, -1)\n    shared = rotary",
            ),
        ),
    ),
)
