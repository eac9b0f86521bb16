"""The whole suite: fifteen versions in three layouts, of which ten of twelve wrong ones have to be caught and no right one."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

from . import programs as p
from .tests_of_clip import _TWO, _WORST

SOLUTION = '''
import torch

from kimi_mini.conformance import Layout
from kimi_mini.conformance.heads import draw, look


def suite(clip, fused, q_latent):
    """Judge a QK-Clip that you have not seen: a whole suite in one function.

    clip              clip(weights, max_logits_H, tau, layout) changes `weights` in place and returns nothing.
                      It may be written in any way, and no name in it means anything
    fused, q_latent   the layout that it is written for: layout = Layout("mla", fused, q_latent)

        right: logits of a head with S_h > tau are multiplied by gamma_h = tau / S_h, at fixed inputs; logits of
               the other heads stay, also where S_h is negative; the values of all heads stay

    draw and look as before. They know every layout; names of weights differ from layout to layout.
    Called on 12 wrong and 3 right versions. It has to catch 10 of the 12 and to accept all 3.
    Returns True if the clip is accepted, False if it is caught.
    """
    layout, tau = Layout("mla", fused, q_latent), 20.0
    for S in ([7.0, 30.0, 50.0, 80.0], [5.0, 40.0, -3.0, -70.0]):
        weights, x_BTD = draw(layout, 0)
        before = look(weights, layout, x_BTD)
        S_H = torch.tensor(S, dtype=torch.float64)
        wanted_H = torch.where(S_H > tau, tau / S_H, 1.0)
        clip(weights, S_H.clone(), tau, layout)
        after = look(weights, layout, x_BTD)
        if not torch.allclose(after.logits_BHTT, before.logits_BHTT * wanted_H[:, None, None]):
            return False
        if not torch.allclose(after.values_BTHM, before.values_BTHM):
            return False
    return True
'''
_FLAT = (
    "    qn, kn = qn.transpose(0, 2), kn.transpose(0, 2)\n    g = g.view(1, 1, -1)\n    qn *= g\n    qr *= g.view(-1, 1, 1)\n"
)


def versions(rule: str, *more: tuple[str, str]) -> list[tuple[str, str, str]]:
    """(layout, factor, rows): three right ones by `rule`, then twelve wrong ones, `more` first."""
    right = [("fused", rule, p.LOOP), ("split", rule, p.QUERIES), ("no latent", rule, _FLAT)]
    wrong = [
        *more, (p.ALL, p.SCALE), (p.RATIO, p.SCALE), (p.SIZE, p.LOOP), (p.GROWN, p.SCALE), (rule, p.SHARED),
        (rule, p.ROOT), (p.MEAN, p.QUERIES), (rule, p.TWICE), (rule, p.NO_KEYS), (rule, p.VALUES), (rule, p.DOWN), (rule, p.COPY),  # noqa: E501
        (p.NEXT, p.SCALE),
    ]  # fmt: skip
    layouts = list(p.VIEWS)
    return right + [(layouts[place % 3], *pair) for place, pair in enumerate(wrong[:12])]


def cases_of(rule: str, *more: tuple[str, str]):
    def cases(seed: int) -> tuple[Case, ...]:
        gen = torch.Generator().manual_seed(seed)
        mixed = p.shuffled(versions(rule, *more), gen)
        args = tuple([p.scrambled(p.clip(factor, rows, views), gen), *p.LAYOUTS[views]] for views, factor, rows in mixed)
        return (Case("fifteen versions", args, enough=10),)

    return cases


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases_of(p.RULE),
    (
        Mistake(
            "only the cap",
            "torch.allclose(after.logits_BHTT, before.logits_BHTT * wanted_H[:, None, None])",
            "bool((after.max_logits_H <= before.max_logits_H * 1.000001).all())",
            "Only the largest logits are looked at. Compare all logits of all heads, those that are to stay as well.",
        ),
        Mistake(
            "bit by bit",
            "torch.allclose(after.logits_BHTT, before",
            "torch.equal(after.logits_BHTT, before",
            "Right code is refused. Clipped logits are right up to rounding: compare them with torch.allclose.",
        ),
        Mistake(
            "names and source",
            "        clip(weights, S_H",
            '        if "kv_b_proj" not in clip.source:\n            return False\n        clip(weights, S_H',
            "Right code is refused for how it is written: one version must be in another style. Call it, do not read it.",
        ),
        Mistake(
            "one layout",
            'layout, tau = Layout("mla", fused, q_latent)',
            "layout, tau = Layout()",
            'The layout that a version is written for was not used: Layout("mla", fused, q_latent).',
        ),
        Mistake(
            "everything passes",
            "            return False\n        if not torch.allclose(after.values",
            "            return True\n        if not torch.allclose(after.values",
            "Wrong versions come out as accepted: return False where a check fails.",
        ),
    ),
)  # fmt: skip
_W = "torch.where(S_H > tau, tau / S_H, 1.0)"
_HEAD = "logits of a head with S_h > tau are multiplied by gamma_h = tau / S_h, at fixed inputs; logits of\n               the other heads stay"  # noqa: E501
_PAIRS = "    P = S.view(-1, 2).amax(1)\n    g = torch.where(P > tau, tau / P, 1.0).repeat_interleave(2)[:, None, None]\n"
SUITE = Coding(
    "suite",
    "The whole suite",
    minutes=18,
    difficulty=3,
    points=5,
    practice=PRACTICE,
    package="""
from kimi_mini.conformance import Layout, conformance


def suite(clip, fused, q_latent):
    failed = conformance(clip, "qk-clip", Layout("mla", fused, q_latent)).failed
    return not set(failed) - {"broken"}
""",
    twists=(
        twist(
            PRACTICE,
            "pairs",
            "Heads 2i and 2i + 1 share one factor: tau / S where S, the larger of their maxima, exceeds tau, else 1.",
            (_HEAD, "logits of heads 2i and 2i + 1 are multiplied by tau / S where S, the larger of their maxima,\n               exceeds tau; logits of the other pairs stay"),  # noqa: E501
            ("[7.0, 30.0, 50.0, 80.0]", "[7.0, 15.0, 10.0, 80.0]"),
            (_W, "torch.where(S_H.view(-1, 2).amax(1) > tau, tau / S_H.view(-1, 2).amax(1), 1.0).repeat_interleave(2)"),
            cases=cases_of(_PAIRS, (p.RULE, p.SCALE)),
        ),
        twist(
            PRACTICE,
            "twice tau",
            "A head is left alone until S_h > 2 tau; then it takes tau / S_h.",
            ("with S_h > tau are", "with S_h > 2 tau are"),
            ("[5.0, 40.0, -3.0, -70.0]", "[5.0, 90.0, -3.0, -70.0]"),
            (_W, "torch.where(S_H > 2 * tau, tau / S_H, 1.0)"),
            cases=cases_of(_TWO, (p.RULE, p.SCALE)),
        ),
        twist(
            PRACTICE,
            "worst head alone",
            "Only the head with the largest S is clipped, and only if its S > tau; all others stay.",
            ("with S_h > tau are", "with the layer's largest S_h, if > tau, are"),
            (_W, "torch.where((S_H > tau) & (S_H == S_H.max()), tau / S_H, 1.0)"),
            cases=cases_of(_WORST, (p.RULE, p.SCALE)),
        ),
    ),
)  # fmt: skip
