"""One token at a time, from a cache that holds latents and one turned key."""

from __future__ import annotations

import torch

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch
from kimi_mini.model.rope import rope_table, rotate


def decode_step(q_HN, raw_X, cache_SX, weights, config):
    """One new token of one layer: it extends the latent cache, and reads it.

    q_HN       the token's queries, head and width N = n + R; their rotary part (the last R) is not turned yet
    raw_X      what kv_down makes of the token: C numbers of latent, R of rotary key; neither normed nor turned
    cache_SX   what the S tokens before it left, the oldest first; S may be 0
    weights    dict: "kv_norm" [C], gain of the latent's norm; "kv_up" [H (n + v), C], per head n key rows, then v value rows
    config     .qk_nope_head_dim (n), .qk_rope_head_dim (R), .kv_lora_rank (C), .softmax_scale, and what turning needs

        position   S: the first token of all has 0
        entry      [RMSNorm(latent) * gain | rotary key turned by the position]        1e-6 under the root, as before
        cache      the S entries, then this one
        keys       [content key of h, from kv_up and the latent | rotary key as it is in the cache], for every entry
        values     from kv_up and the latent, for every entry
        out        softmax(softmax_scale * q . keys) of the turned queries, times the values

    Returns (out_HM, cache [S + 1, C + R]).
    To turn, call your rotate_pairs, or rotate(x_BTHR, rope_table(config, positions_BT, dtype)) of kimi_mini.model.rope.
    """
    n, width = config.qk_nope_head_dim, config.kv_lora_rank
    position = len(cache_SX)

    def turn(x_SHR, positions_S):
        return rotate(x_SHR[None], rope_table(config, positions_S[None], x_SHR.dtype))[0]

    latent = raw_X[:width]
    latent = latent / (latent.pow(2).mean() + 1e-6).sqrt() * weights["kv_norm"]
    at = torch.tensor([position])
    key = turn(raw_X[None, None, width:], at)[0, 0]
    entry = torch.cat((latent, key))
    cache_SX = torch.cat((cache_SX, entry[None]))
    seen_SX = cache_SX
    latent_SC, rotary_SR = seen_SX[:, :width], seen_SX[:, width:]
    q_HR = turn(q_HN[None, :, n:], at)[0]
    up_SHW = (latent_SC @ weights["kv_up"].T).unflatten(-1, (len(q_HN), -1))
    k_SHn, v_SHM = up_SHW[..., :n], up_SHW[..., n:]
    logits_HS = torch.einsum("hn,shn->hs", q_HN[:, :n], k_SHn) + q_HR @ rotary_SR.T
    p_HS = (config.softmax_scale * logits_HS).softmax(-1)
    return torch.einsum("hs,shm->hm", p_HS, v_SHM), cache_SX
'''

PACKAGE = """
import torch
from torch import nn
from torch.nn import Parameter

from kimi_mini.model.mla import MLA
from kimi_mini.model.rope import rope_table, rotate


def decode_step(q_HN, raw_X, cache_SX, weights, config):
    rope = rope_table(config, torch.tensor([[len(cache_SX)]]), raw_X.dtype)
    content, rotary = q_HN[None, None].tensor_split([config.qk_nope_head_dim], -1)
    layer = MLA(config)
    layer.queries = lambda x_BTD, rope: torch.cat((content, rotate(rotary, rope)), -1)
    layer.kv_down, layer.out = nn.Identity(), nn.Identity()
    layer.kv_norm.weight = Parameter(weights["kv_norm"], requires_grad=False)
    layer.kv_up.weight = Parameter(weights["kv_up"], requires_grad=False)
    cache_SX = torch.cat((cache_SX, layer.cache_entries(raw_X[None, None], rope)[0]))
    out_BTM, _ = layer.decode(raw_X[None, None], rope, cache_SX[None], torch.tensor([[len(cache_SX)]]))
    return out_BTM.unflatten(-1, (len(q_HN), -1))[0, 0], cache_SX
"""


def cases(seed: int) -> tuple[Case, ...]:
    """The first token of all, then a cache of a few and of more; one with YaRN."""
    gen = torch.Generator().manual_seed(seed)

    def matrix(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=gen, dtype=torch.float64)

    def case(name: str, earlier: int, heads: int, n: int, v: int, yarn: km.YarnScaling | None = None) -> Case:
        config = km.NANO.replace(
            num_attention_heads=heads, qk_nope_head_dim=n, qk_rope_head_dim=4, v_head_dim=v, kv_lora_rank=6,
            rope_theta=100.0, rope_scaling=yarn,
        )  # fmt: skip
        weights = {"kv_norm": 1 + 0.5 * matrix(6).abs(), "kv_up": matrix(heads * (n + v), 6)}
        return Case(name, (matrix(heads, n + 4), 3 * matrix(10), matrix(earlier, 10), weights, config))

    yarn = km.YarnScaling(8.0, 64, beta_fast=8.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)
    return (
        case("five tokens before it", 5, 2, 4, 3),
        case("the first token of all", 0, 2, 3, 4),
        case("nine tokens before it, YaRN", 9, 3, 3, 5, yarn),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "stored before the norm",
            "    cache_SX = torch.cat((cache_SX, entry[None]))\n    seen_SX = cache_SX\n",
            "    seen_SX = torch.cat((cache_SX, entry[None]))\n"
            "    cache_SX = torch.cat((cache_SX, torch.cat((raw_X[:width], key))[None]))\n",
            "The new entry holds the latent before its norm. The normed one is stored.",
        ),
        Mistake(
            "never normed",
            'latent = latent / (latent.pow(2).mean() + 1e-6).sqrt() * weights["kv_norm"]',
            "latent = latent * 1.0",
            "The new latent was not normed at all.",
        ),
        Mistake(
            "gain forgotten",
            '.sqrt() * weights["kv_norm"]',
            ".sqrt()",
            'The new latent was normed, but the gain is missing: weights["kv_norm"].',
        ),
        Mistake(
            "normed again at reading",
            "    latent_SC, rotary_SR = seen_SX[:, :width], seen_SX[:, width:]\n",
            "    latent_SC, rotary_SR = seen_SX[:, :width], seen_SX[:, width:]\n"
            '    latent_SC = latent_SC / (latent_SC.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * weights["kv_norm"]\n',
            "The latents were normed when they were read. In the cache they are normed already.",
        ),
        Mistake(
            "key rotated at reading time",
            "    q_HR = turn(q_HN",
            "    cache_SX = torch.cat((cache_SX[:-1], torch.cat((latent, raw_X[width:]))[None]))\n"
            "    rotary_SR = torch.cat((rotary_SR[:-1], raw_X[None, width:]))\n"
            "    rotary_SR = turn(rotary_SR[:, None], torch.arange(len(rotary_SR)))[:, 0]\n"
            "    q_HR = turn(q_HN",
            "The rotary key was stored as it came, and all keys were turned when they were read. "
            "A key is turned once, before it is stored.",
        ),
        Mistake(
            "turned keys turned again",
            "    q_HR = turn(q_HN",
            "    rotary_SR = turn(rotary_SR[:, None], torch.arange(len(rotary_SR)))[:, 0]\n    q_HR = turn(q_HN",
            "The new entry is right, but the keys were turned once more when they were read.",
        ),
        Mistake(
            "position restarts at 0",
            "position = len(cache_SX)",
            "position = 0",
            "The new token was given position 0. With S tokens before it, it has position S.",
        ),
        Mistake(
            "position counted from 1",
            "position = len(cache_SX)",
            "position = len(cache_SX) + 1",
            "The position is one too large. The first token of all has position 0.",
        ),
        Mistake(
            "query not turned",
            "q_HR = turn(q_HN[None, :, n:], at)[0]",
            "q_HR = q_HN[:, n:]",
            "The rotary part of the queries was not turned.",
        ),
        Mistake(
            "expanded keys stored",
            "v_SHM), cache_SX",
            "v_SHM), torch.cat((k_SHn, rotary_SR[:, None].expand(-1, len(q_HN), -1)), -1).flatten(1)",
            "Expanded keys were stored, one for every head. An entry is C + R numbers, whatever the number of heads.",
        ),
        Mistake(
            "keys and values stored",
            "v_SHM), cache_SX",
            "v_SHM), torch.cat((up_SHW.flatten(1), rotary_SR), -1)",
            "Expanded keys and values were stored. An entry is C + R numbers, whatever the number of heads.",
        ),
        Mistake(
            "the new token does not see itself",
            "    seen_SX = cache_SX\n",
            "    seen_SX = cache_SX[:-1] if len(cache_SX) > 1 else cache_SX\n",
            "The new token did not see itself. Its own entry is read like the others.",
        ),
        Mistake(
            "cache not extended",
            "v_SHM), cache_SX",
            "v_SHM), cache_SX[:-1]",
            "The cache that comes back has no new entry.",
        ),
        Mistake(
            "not scaled",
            "(config.softmax_scale * logits_HS)",
            "logits_HS",
            "The logits were not multiplied by config.softmax_scale.",
        ),
        Mistake(
            "scaled without YaRN's factor",
            "(config.softmax_scale * logits_HS)",
            "(q_HN.shape[1] ** -0.5 * logits_HS)",
            "The logits were divided by sqrt(N) alone. With YaRN, config.softmax_scale holds m^2 as well.",
        ),
    ),
)

DECODE_STEP = Coding(
    "decode_step",
    "Decode from a latent cache",
    minutes=28,
    difficulty=3,
    points=5,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "newest first",
            "The cache is kept the other way round: the newest entry comes first, the oldest last.",
            ("tokens before it left, the oldest first;", "tokens before it left, the newest first;"),
            ("the S entries, then this one", "this one, then the S entries"),
            (
                "    cache_SX = torch.cat((cache_SX, entry[None]))\n    seen_SX = cache_SX\n",
                "    cache_SX = torch.cat((entry[None], cache_SX))\n    seen_SX = cache_SX\n",
            ),
            besides=("key rotated at reading time", "cache not extended", "the new token does not see itself"),
            also=(
                Mistake(
                    "the oldest first",
                    "v_SHM), cache_SX",
                    "v_SHM), cache_SX.roll(-1, 0)",
                    "The new entry was put last. Here the newest comes first.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "gain at reading",
            "The cache holds latents without the gain: an entry's latent is RMSNorm(latent), and the gain multiplies each "
            "latent when it is read, those of the tokens before as well.",
            ("[RMSNorm(latent) * gain | rotary", "[RMSNorm(latent) | rotary"),
            ("from kv_up and the latent | rotary key as", "from kv_up and latent * gain | rotary key as"),
            ("values     from kv_up and the latent, for", "values     from kv_up and latent * gain, for"),
            ('.sqrt() * weights["kv_norm"]', ".sqrt()"),
            (
                "latent_SC, rotary_SR = seen_SX[:, :width], seen_SX[:, width:]\n",
                'latent_SC, rotary_SR = seen_SX[:, :width] * weights["kv_norm"], seen_SX[:, width:]\n',
            ),
            also=(
                Mistake(
                    "gain forgotten",
                    'seen_SX[:, :width] * weights["kv_norm"]',
                    "seen_SX[:, :width] * 1.0",
                    "The gain is missing: it multiplies the latents when they are read.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "key first",
            "An entry holds its parts in the other order: the turned rotary key first, then the latent. raw_X stays as it is.",
            (
                "[RMSNorm(latent) * gain | rotary key turned by the position]",
                "[rotary key turned by the position | RMSNorm(latent) * gain]",
            ),
            ("cache [S + 1, C + R])", "cache [S + 1, R + C])"),
            ("entry = torch.cat((latent, key))", "entry = torch.cat((key, latent))"),
            ("seen_SX[:, :width], seen_SX[:, width:]", "seen_SX[:, -width:], seen_SX[:, :-width]"),
            besides=("key rotated at reading time",),
        ),
        twist(
            PRACTICE,
            "a window of three",
            "The token reads only the newest three entries, its own among them. All entries are kept, and positions go on.",
            ("for every entry\n        values", "for the newest three entries\n        values"),
            ("the latent, for every entry\n        out", "the latent, for the newest three entries\n        out"),
            ("    seen_SX = cache_SX\n", "    seen_SX = cache_SX[-3:]\n"),
            besides=("key rotated at reading time", "turned keys turned again", "keys and values stored"),
            also=(
                Mistake(
                    "the others thrown away",
                    "v_SHM), cache_SX",
                    "v_SHM), seen_SX",
                    "Only three entries came back. All are kept: the next token's position is their number.",
                ),
                Mistake(
                    "a window of four",
                    "cache_SX[-3:]",
                    "cache_SX[-4:]",
                    "Four entries were read. Of the newest three, the token's own is one.",
                ),
            ),
        ),
    ),
)
