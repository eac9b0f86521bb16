"""Positions as turned pairs, interleaved, with YaRN's slowed clocks."""

from __future__ import annotations

import torch

import kimi_mini as km
from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch

import kimi_mini as km


def rotate_pairs(x_THN, positions_T, config):
    """Turn the rotary part of queries or keys by their positions, interleaved (K2: 64 of 192 numbers, theta 50,000).

    x_THN         token, head, width; the last R = config.qk_rope_head_dim numbers are the rotary part, the others stay
    positions_T   a whole number for every token
    config        .qk_rope_head_dim, .rope_theta, .rope_scaling (None, or YaRN with its .factor)

        pair p = 0, 1, ..., R/2 - 1:   a, b = numbers 2p and 2p + 1 of the rotary part
        frequency    f_p = theta ^ (-2p / R)
        angle        position * f_p
        a, b  <-  a cos - b sin,  b cos + a sin

    With YaRN, slow clocks are slowed further and fast ones are left alone. km.model.rope.yarn_range(config) gives low and high:

        s_p = (p - low) / (high - low), but at least 0 and at most 1
        f_p  <-  (1 - s_p) f_p + s_p f_p / factor

    Returns [T, H, N]. Angles are taken in float64.
    """
    rotary = config.qk_rope_head_dim
    content, part = x_THN[..., :-rotary], x_THN[..., -rotary:]
    pair_P = torch.arange(rotary // 2, dtype=torch.float64)
    freq_P = config.rope_theta ** (-2 * pair_P / rotary)
    if config.rope_scaling is not None:
        low, high = km.model.rope.yarn_range(config)
        slowed_P = ((pair_P - low) / (high - low)).clamp(0, 1)
        freq_P = (1 - slowed_P) * freq_P + slowed_P * freq_P / config.rope_scaling.factor
    angle_THP = positions_T[:, None, None] * freq_P
    cos, sin = angle_THP.cos().to(x_THN.dtype), angle_THP.sin().to(x_THN.dtype)
    a, b = part[..., 0::2], part[..., 1::2]
    first = a * cos - b * sin
    second = b * cos + a * sin
    turned = torch.stack((first, second), -1).flatten(-2)
    return torch.cat((content, turned), -1)
'''

PACKAGE = """
import torch

from kimi_mini.model.rope import rope_table, rotate


def rotate_pairs(x_THN, positions_T, config):
    content, rotary = x_THN.tensor_split([config.qk_nope_head_dim], -1)
    turned = rotate(rotary[None], rope_table(config, positions_T[None], x_THN.dtype))[0]
    return torch.cat((content, turned), -1)
"""


def _yarn(fast: float) -> km.YarnScaling:
    return km.YarnScaling(32.0, 4096, beta_fast=fast, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)


def cases(seed: int) -> tuple[Case, ...]:
    """Positions that do not count from 0; without YaRN, with K2's step, with a ramp like DeepSeek-V3's."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, yarn: km.YarnScaling | None, farthest: int, heads: int) -> Case:
        config = km.NANO.replace(qk_nope_head_dim=6, qk_rope_head_dim=8, rope_theta=50000.0, rope_scaling=yarn)
        x_THN = torch.randn(4, heads, 14, generator=gen, dtype=torch.float64)
        positions_T = torch.randint(1, farthest, (4,), generator=gen).sort().values
        return Case(name, (x_THN, positions_T, config))

    return (
        case("short positions, no YaRN", None, 60, 2),
        case("YaRN as a step, as in K2", _yarn(1.0), 5_000, 2),
        case("YaRN as a ramp", _yarn(32.0), 5_000, 2),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "half-split layout",
            "turned = torch.stack((first, second), -1).flatten(-2)",
            "a, b = part.chunk(2, -1)\n    turned = torch.cat((a * cos - b * sin, b * cos + a * sin), -1)",
            "The first half was paired with the second half. Pairs are neighbours: (0, 1), (2, 3), ...",
        ),
        Mistake(
            "halves put back",
            "torch.stack((first, second), -1).flatten(-2)",
            "torch.cat((first, second), -1)",
            "The turned numbers came back sorted: all first ones, then all second ones. Put each pair back where it was.",
        ),
        Mistake(
            "i/d for 2i/d",
            "(-2 * pair_P / rotary)",
            "(-pair_P / rotary)",
            "The clocks fall off too slowly: the exponent is -2p / R, with p the number of the pair.",
        ),
        Mistake(
            "all dims rotated",
            "rotary = config.qk_rope_head_dim",
            "rotary = x_THN.shape[-1]",
            "The content part was turned too. Only qk_rope_head_dim numbers of each head carry the position.",
        ),
        Mistake(
            "YaRN applied to the fast clocks",
            "slowed_P = ((pair_P - low) / (high - low)).clamp(0, 1)",
            "slowed_P = 1 - ((pair_P - low) / (high - low)).clamp(0, 1)",
            "YaRN slowed the fast clocks and left the slow ones. Pairs below `low` stay, pairs from `high` on are divided.",
        ),
        Mistake(
            "YaRN applied to all clocks",
            "slowed_P = ((pair_P - low) / (high - low)).clamp(0, 1)",
            "slowed_P = 1.0",
            "All clocks were divided by the factor. The fast ones, below `low`, stay: they tell neighbours apart.",
        ),
        Mistake(
            "YaRN left out",
            "if config.rope_scaling is not None:",
            "if False:",
            "YaRN was left out. Where config.rope_scaling is not None, the slow clocks are divided by its factor.",
        ),
        Mistake(
            "turned backwards",
            "    second = b * cos + a * sin\n",
            "    first = a * cos + b * sin\n    second = b * cos - a * sin\n",
            "The pairs turn the wrong way. Look at the two signs.",
        ),
        Mistake(
            "the new first used for the second",
            "second = b * cos + a * sin",
            "second = b * cos + first * sin",
            "The second number was made from the first one's new value. Both need the old ones.",
        ),
        Mistake(
            "counted from 0",
            "positions_T[:, None, None] * freq_P",
            "torch.arange(len(x_THN))[:, None, None] * freq_P",
            "The rows were numbered from 0. A token's position is in positions_T.",
        ),
    ),
)

ROTATE_PAIRS = Coding(
    "rotate_pairs",
    "Rotate pairs",
    minutes=18,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "half split",
            "Pair p is made of numbers p and p + R/2 of the rotary part (the half-split layout), and stays there.",
            ("a, b = numbers 2p and 2p + 1 of the rotary part", "a, b = numbers p and p + R/2 of the rotary part"),
            ("positions, interleaved (K2", "positions, half-split (K2"),
            ("a, b = part[..., 0::2], part[..., 1::2]", "a, b = part.chunk(2, -1)"),
            ("torch.stack((first, second), -1).flatten(-2)", "torch.cat((first, second), -1)"),
        ),
        twist(
            PRACTICE,
            "rotary first",
            "The rotary part is the first R numbers of a head, and the content stands behind it.",
            ("the last R = config", "the first R = config"),
            (
                "content, part = x_THN[..., :-rotary], x_THN[..., -rotary:]",
                "part, content = x_THN[..., :rotary], x_THN[..., rotary:]",
            ),
            ("torch.cat((content, turned), -1)", "torch.cat((turned, content), -1)"),
        ),
        twist(
            PRACTICE,
            "odd heads backwards",
            "Heads 1, 3, 5, ... turn backwards: their angle is minus position times frequency.",
            (
                "angle        position * f_p\n",
                "angle        position * f_p in heads 0, 2, ..., minus that in heads 1, 3, ...\n",
            ),
            (
                "    cos, sin = angle_THP",
                "    odd_H1 = (torch.arange(x_THN.shape[1]) % 2)[:, None]\n"
                "    angle_THP = angle_THP * (1 - 2 * odd_H1)\n    cos, sin = angle_THP",
            ),
        ),
        twist(
            PRACTICE,
            "slowest first",
            "The clocks stand in the opposite order: the first pair has the slowest clock, the last pair the fastest.",
            (
                "    Returns [T, H, N]. Angles",
                "    After that, the frequencies are reversed: pair 0 turns with the last f_p, the last pair with f_0.\n\n"
                "    Returns [T, H, N]. Angles",
            ),
            ("positions_T[:, None, None] * freq_P", "positions_T[:, None, None] * freq_P.flip(0)"),
            besides=("counted from 0",),
        ),
    ),
)
