"""Two tests that need the right data: heads with negative maxima, and a largest product above the diagonal."""

from __future__ import annotations

from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

from . import programs as p
from .tests_of_clip import cases_of

NEGATIVE = '''
import torch

from kimi_mini.conformance import Layout
from kimi_mini.conformance.heads import draw, look


def kills_negative_maximum(clip):
    """Catch a clip that goes wrong where a head's largest logit is negative ("negative maximum").

    clip   clip(weights, max_logits_H, tau, layout) changes `weights` in place and returns nothing.
           It believes the maxima that it is handed, so hand it numbers of your own

        right: a head with S_h > tau has its logits multiplied by tau / S_h, a head with S_h <= tau stays,
               however negative S_h is

    draw and look as before: weights, x_BTD = draw(Layout(), 0); look(weights, Layout(), x_BTD).logits_BHTT
    Returns True if the clip is accepted, False if it is caught.
    """
    layout, tau = Layout(), 20.0
    weights, x_BTD = draw(layout, 0)
    before = look(weights, layout, x_BTD).logits_BHTT
    S_H = torch.tensor([5.0, 40.0, -3.0, -70.0], dtype=torch.float64)
    wanted_H = torch.where(S_H > tau, tau / S_H, 1.0)
    clip(weights, S_H.clone(), tau, layout)
    after = look(weights, layout, x_BTD).logits_BHTT
    return torch.allclose(after, before * wanted_H[:, None, None])
'''
_COMPARED = "torch.allclose(after, before * wanted_H[:, None, None])"
_S = "[5.0, 40.0, -3.0, -70.0]"
_POSITIVE = Mistake(
    "random positive data",
    _S,
    "[5.0, 40.0, 30.0, 70.0]",
    "All maxima are positive, so this mistake cannot show. Choose the data, do not draw it: a maximum must be negative.",
)
_SMALL = Mistake(
    "barely negative",
    _S,
    "[5.0, 40.0, -3.0, -4.0]",
    "A wrong version was accepted that takes |S| for S. It shows only where S is below -tau.",
)
_NAN = Mistake(
    "only NaN looked for",
    _COMPARED,
    "bool(after.isfinite().all())",
    "Only NaN is looked for. A negative factor without a root, or |S| for S, leaves finite numbers, and wrong ones.",
)
_STILL = Mistake(
    "nothing may change",
    _COMPARED,
    "torch.allclose(after, before)",
    "Right code is refused. A head above tau is to change, and no other; allow for rounding.",
)
_PRACTICE = Variant(
    "the report's",
    NEGATIVE,
    cases_of(
        p.clip(p.RULE, p.SCALE), p.clip(p.RULE, p.LOOP), p.clip(p.RATIO, p.SCALE), p.clip(p.RATIO, p.QUERIES),
        p.clip(p.SIZE, p.SCALE), p.clip(p.SIZE, p.QUERIES),
    ),
    (_POSITIVE, _SMALL, _NAN, _STILL),
)  # fmt: skip
_HALVED = "    g = torch.where(S > tau, tau / S, torch.where(S < 0, 0.5, 1.0))[:, None, None]\n"
_SOFT = "    g = torch.where(S.abs() > 2 * tau, 0.5, 1.0)[:, None, None]\n"
_W = "torch.where(S_H > tau, tau / S_H, 1.0)"
_STAYS = "a head with S_h <= tau stays,\n               however negative S_h is"
KILLS_NEGATIVE = Coding(
    "kills_negative_maximum",
    'Kill "negative maximum"',
    minutes=9,
    difficulty=1,
    points=2,
    practice=_PRACTICE,
    package="""
from kimi_mini.conformance import conformance


def kills_negative_maximum(clip):
    return not set(conformance(clip, "qk-clip").failed) - {"broken"}
""",
    twists=(
        twist(
            _PRACTICE,
            "size counts",
            "The size of S counts: a head with |S_h| > tau is multiplied by tau / |S_h|, the others stay.",
            ("with S_h > tau has its logits multiplied by tau / S_h", "with |S_h| > tau has its logits multiplied by tau / |S_h|"),  # noqa: E501
            (_STAYS, "the others stay"),
            (_W, "(tau / S_H.abs()).clamp(max=1.0)"),
            cases=cases_of(
                p.clip(p.SIZE, p.SCALE), p.clip(p.SIZE, p.LOOP), p.clip(p.RATIO, p.SCALE), p.clip(p.RATIO, p.QUERIES),
                p.clip(p.RULE, p.SCALE), p.clip(p.RULE, p.LOOP),
            ),
            besides=("barely negative",),
            also=(
                Mistake(
                    "barely negative", _S, "[5.0, 40.0, -3.0, -4.0]",
                    "A wrong version was accepted that leaves negative heads alone. It shows only where S is below -tau.",
                ),
            ),
        ),
        twist(
            _PRACTICE,
            "halved",
            "A head with S_h < 0 has its logits halved; above tau and from 0 to tau all is as usual.",
            (_STAYS, "with 0 <= S_h <= tau it stays,\n               with S_h < 0 its logits are halved"),
            (_W, "torch.where(S_H > tau, tau / S_H, torch.where(S_H < 0, 0.5, 1.0))"),
            cases=cases_of(
                p.clip(_HALVED, p.SCALE), p.clip(_HALVED, p.LOOP), p.clip(p.RATIO, p.SCALE), p.clip(p.RATIO, p.QUERIES),
                p.clip(p.SIZE, p.SCALE), p.clip(p.RULE, p.SCALE),
            ),
            besides=("barely negative",),
        ),
        twist(
            _PRACTICE,
            "halved beyond",
            "A head with S_h > 2 tau or S_h < -2 tau has its logits halved, whatever S_h is; all others stay.",
            ("with S_h > tau has its logits multiplied by tau / S_h, " + _STAYS, "with |S_h| > 2 tau has its logits halved,\n               all others stay"),  # noqa: E501
            ("[5.0, 40.0, -3.0, -70.0]", "[5.0, 90.0, -3.0, -70.0]"),
            (_W, "torch.where(S_H.abs() > 2 * tau, 0.5, 1.0)"),
            cases=cases_of(
                p.clip(_SOFT, p.SCALE), p.clip(_SOFT, p.LOOP), p.clip(p.RATIO, p.SCALE), p.clip(p.RATIO, p.QUERIES),
                p.clip(p.SIZE, p.SCALE), p.clip(p.RULE, p.SCALE),
                p.clip(_SOFT.replace("S.abs()", "S"), p.SCALE), p.clip(_SOFT.replace("0.5", "-0.5"), p.QUERIES),
            ),
            besides=("random positive data", "barely negative"),
            also=(
                Mistake(
                    "random positive data", "[5.0, 90.0, -3.0, -70.0]", "[5.0, 90.0, 30.0, 70.0]",
                    "All maxima are positive, so this mistake cannot show. Choose the data, do not draw it.",
                ),
            ),
        ),
    ),
)  # fmt: skip

MASK = '''
import torch


def kills_max_before_mask(max_logits):
    """Catch a max_logits that looks at pairs which no softmax sees ("max before the mask").

    max_logits   max_logits(micro_batches, scale) -> S_H; micro_batches is a list of pairs (q_BTHN, k_BTHN):
                 batch, position, head, width

        right: S_h = scale * the largest q[b, t, h] . k[b, s, h] over all b and all positions s <= t, signed

    Make q and k so that every wrong idea of what is seen gives another number, also where all logits are negative.
    Returns True if the function is accepted, False if it is caught.
    """
    q, k = torch.ones(1, 6, 2, 1), torch.ones(1, 6, 2, 1)
    k[0, :, 0, 0] = torch.tensor([2.0, 5.0, 3.0, 4.0, 7.0, 9.0])
    q[0, 3:, 0, 0] = 0.1
    k[0, :, 1, 0] = -torch.tensor([8.0, 7.0, 6.0, 5.0, 2.0, 1.0])
    q[0, 4:, 1, 0] = 9.0
    hidden = torch.ones(6, 6).triu(1).bool()
    logits = torch.einsum("bthn,bshn->bhts", q, k)
    S_H = logits.masked_fill(hidden, float("-inf")).amax((0, 2, 3))
    return torch.allclose(max_logits([(q, k)], 1.0), S_H)
'''
_MASKED = 'masked_fill(hidden, float("-inf"))'
_ZERO = "mul(seen).amax((0, 2, 3))"
_BIG = Mistake(
    "largest visible",
    "hidden = torch",
    "q, k = q.abs(), k.abs()\n    k[:, 4], q[:, 5] = 50.0, 50.0\n    hidden = torch",
    "Positive data whose largest product is visible anyway: nothing above the diagonal, and no zero, can show.",
)
_NO_NEGATIVE = Mistake(
    "no negative head",
    "S_H = logits.masked",
    "k = k.abs()\n    logits = logits.abs()\n    S_H = logits.masked",
    "A version was accepted that puts 0 where the mask is. It shows in a head whose logits are all negative.",
)
_REFUSES = Mistake(
    "maximum of all",
    f"logits.{_MASKED}",
    "logits",
    "The test's own number was taken before the mask, so right code is refused and the mistake accepted.",
)
_NEVER = Mistake(
    "refuses everything",
    "return torch.allclose(max_logits([(q, k)], 1.0), S_H)",
    "return False",
    "Right code is refused, and all other code too: compare with the maximum over the visible pairs, and allow for rounding.",
)
_ALWAYS = Mistake(
    "accepts everything",
    "return torch.allclose(max_logits([(q, k)], 1.0), S_H)",
    "return True",
    "Every version is accepted. Is a hidden pair larger than all visible ones, and one head all negative?",
)
_MASK_PRACTICE = Variant(
    "the report's",
    MASK,
    cases_of(
        p.statistic("j <= i"), p.statistic("i - j > -1"), p.statistic("j < 99"), p.statistic("j <= i", _ZERO),
        p.statistic("j >= i"),
    ),
    (_BIG, _NO_NEGATIVE, _REFUSES, _NEVER, _ALWAYS),
)  # fmt: skip
_WINDOW, _STRICT, _PREFIX = "(j <= i) & (j > i - 3)", "(j < i) | (i + j == 0)", "(j <= i) | (j < 3)"


def _mask(name: str, change: str, text: str, hidden: str, seen: str, *more: tuple[str, str]) -> Variant:
    return twist(
        _MASK_PRACTICE,
        name,
        change,
        ("all positions s <= t, signed", text),
        ("torch.ones(6, 6).triu(1).bool()", hidden),
        *more,
        cases=cases_of(
            p.statistic(seen), p.statistic(f"~~({seen})"), p.statistic("j < 99"), p.statistic(seen, _ZERO),
            p.statistic("j <= i"), p.statistic("j <= i + 1"),
        ),
        besides=("accepts everything",),
    )  # fmt: skip


MASKED = Coding(
    "kills_max_before_mask",
    'Kill "max before the mask"',
    minutes=9,
    difficulty=2,
    points=2,
    practice=_MASK_PRACTICE,
    package="""
from kimi_mini.conformance import conformance


def kills_max_before_mask(max_logits):
    return conformance(max_logits, "max-logits").passed
""",
    twists=(
        _mask(
            "window of three", "A token sees itself and the two before it, nothing else.",
            "all positions t - 3 < s <= t, signed",
            "torch.ones(6, 6).triu(1).bool() | torch.ones(6, 6).tril(-3).bool()", _WINDOW,
            ("[2.0, 5.0, 3.0, 4.0, 7.0, 9.0]", "[8.0, 5.0, 3.0, 4.0, 7.0, 9.0]"),
            ("    q[0, 3:, 0, 0] = 0.1\n", "    q[0, :3, 0, 0] = 0.1\n    q[0, 4:, 0, 0] = 0.1\n"),
        ),
        _mask(
            "never itself", "A token does not see itself, only those before it; the first token alone sees itself.",
            "all positions s < t, and t = s = 0, signed",
            "torch.ones(6, 6).triu(0).bool() & (torch.arange(36).view(6, 6) > 0)", _STRICT,
        ),
        _mask(
            "prefix", "The first three tokens are a prefix that all tokens see; beyond it the order counts as usual.",
            "all positions s <= t, and s < 3 for every t, signed",
            "torch.ones(6, 6).triu(1).bool() & (torch.arange(6) > 2)", _PREFIX,
            ("[2.0, 5.0, 3.0, 4.0, 7.0, 9.0]", "[2.0, 4.0, 6.0, 8.0, 7.0, 9.0]"),
            ("    q[0, 3:, 0, 0] = 0.1\n", "    q[0, 1:, 0, 0] = 0.1\n"),
        ),
    ),
)  # fmt: skip
