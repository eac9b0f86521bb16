"""Two tests of a clip that a student writes: one for "one factor for all", one for "shared key scaled"."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

from . import programs as p


def cases_of(*sources: str):
    """Programs to be tried, one a case, in an order and with names that the seed decides."""

    def cases(seed: int) -> tuple[Case, ...]:
        gen = torch.Generator().manual_seed(seed)
        order = p.shuffled(list(sources), gen)
        return tuple(Case(f"version {number}", (p.scrambled(each, gen),)) for number, each in enumerate(order, 1))

    return cases


PACKAGE = """
from kimi_mini.conformance import conformance


def {name}(clip):
    return not set(conformance(clip, "qk-clip").failed) - {{"broken"}}
"""
_HEAD = '''
import torch

from kimi_mini.conformance import Layout
from kimi_mini.conformance.heads import draw, look


def {name}(clip):
    """{title}

    clip   clip(weights, max_logits_H, tau, layout) changes `weights` in place and returns nothing

{rule}

    Build the heads that you test it on:
        layout = Layout()                                    four heads, MLA, fused weights
        weights, x_BTD = draw(layout, 0, (1.0, 2.0, 3.0, 4.0))    these are the heads' largest logits
        seen = look(weights, layout, x_BTD)                  seen.max_logits_H, seen.content_BHTT, seen.rotary_BHTT,
                                                             seen.logits_BHTT (their sum), seen.values_BTHM
    How gamma is shared between content queries and content keys is not for this test to judge.

    Returns True if the clip is accepted, False if it is caught.
    """
'''
ONE = (
    _HEAD.format(
        name="kills_one_factor",
        title='Catch a clip that gives all heads one factor ("one factor for all").',
        rule="        right: every head with S_h > tau takes gamma_h = tau / S_h, every other head stays as it is",
    )
    + """\
    layout, tau = Layout(), 20.0
    weights, x_BTD = draw(layout, 0, (7.0, 30.0, 50.0, 80.0))
    before = look(weights, layout, x_BTD)
    S_H = before.max_logits_H
    wanted_H = torch.where(S_H > tau, tau / S_H, 1.0)
    clip(weights, S_H.clone(), tau, layout)
    after = look(weights, layout, x_BTD)
    good = torch.allclose(after.logits_BHTT, before.logits_BHTT * wanted_H[:, None, None])
    return good
"""
)
_FACTOR = "torch.where(S_H > tau, tau / S_H, 1.0)"
_PAIR = "    g = (tau / S.view(-1, 2).amax(1).repeat_interleave(2)).clamp(0, 1)[:, None, None]\n"
_TWO = "    g = torch.where(S > 2 * tau, tau / S, 1.0)[:, None, None]\n"
_WORST = "    g = torch.where((S > tau) & (S == S.max()), tau / S, 1.0)[:, None, None]\n"
_CAP = "torch.allclose(after.logits_BHTT, before.logits_BHTT * wanted_H[:, None, None])"
ONE_PRACTICE = Variant(
    "the report's",
    ONE,
    cases_of(
        p.clip(p.RULE, p.SCALE), p.clip(p.RULE, p.LOOP), p.clip(p.RULE, p.QUERIES), p.clip(p.ALL, p.SCALE),
        p.clip(p.ALL, p.LOOP), p.clip(p.MEAN, p.SCALE),
    ),
    (
        Mistake(
            "every head exceeds tau",
            _CAP,
            "torch.allclose(after.logits_BHTT[:, :0], before.logits_BHTT[:, :0])",
            "This kills nothing: nobody below tau is looked at. With one factor for all it is the quiet heads that change; "
            "where every head exceeds tau there is none.",
        ),
        Mistake(
            "only the cap",
            _CAP,
            "bool((after.max_logits_H <= tau * 1.000001).all())",
            "The cap alone was checked. The worst head's factor keeps every head under tau as well.",
        ),
        Mistake(
            "upside down",
            "return good",
            "return not good",
            "True and False are exchanged: True means accepted.",
        ),
        Mistake(
            "nothing may change",
            _CAP,
            "torch.allclose(after.logits_BHTT, before.logits_BHTT)",
            "Right code is refused. Heads above tau are to change, by their factors; allow for rounding.",
        ),
    ),
)  # fmt: skip


def _rule(text: str) -> tuple[str, str]:
    return "every head with S_h > tau takes gamma_h = tau / S_h, every other head stays as it is", text


ONE_FACTOR = Coding(
    "kills_one_factor",
    'Kill "one factor for all"',
    minutes=13,
    difficulty=1,
    points=3,
    practice=ONE_PRACTICE,
    package=PACKAGE.format(name="kills_one_factor"),
    twists=(
        twist(
            ONE_PRACTICE,
            "pairs",
            "Heads 2i and 2i + 1 share one factor, min(1, tau / S) with S the larger of their two maxima (positive here).",
            _rule("heads 2i and 2i + 1 share min(1, tau / S), S the larger of their maxima, which are positive"),
            (_FACTOR, "(tau / S_H.view(-1, 2).amax(1).repeat_interleave(2)).clamp(max=1.0)"),
            ("(7.0, 30.0, 50.0, 80.0)", "(7.0, 15.0, 10.0, 80.0)"),
            cases=cases_of(
                p.clip(_PAIR, p.SCALE), p.clip(_PAIR, p.LOOP), p.clip(_PAIR, p.QUERIES), p.clip(p.ALL, p.SCALE),
                p.clip(p.RULE, p.SCALE), p.clip(p.ALL, p.QUERIES), p.clip(p.MEAN, p.SCALE),
            ),
        ),
        twist(
            ONE_PRACTICE,
            "twice tau",
            "A head is left alone until S_h > 2 tau; then it takes tau / S_h.",
            _rule("every head with S_h > 2 tau takes gamma_h = tau / S_h, every other head stays as it is"),
            (_FACTOR, "torch.where(S_H > 2 * tau, tau / S_H, 1.0)"),
            cases=cases_of(
                p.clip(_TWO, p.SCALE), p.clip(_TWO, p.LOOP), p.clip(_TWO, p.QUERIES), p.clip(p.ALL, p.SCALE),
                p.clip(p.RULE, p.SCALE), p.clip(p.ALL, p.LOOP), p.clip(p.MEAN, p.SCALE),
            ),
            besides=("only the cap",),
        ),
        twist(
            ONE_PRACTICE,
            "worst head alone",
            "Only the head with the largest S is clipped, and only if its S > tau; all others stay.",
            _rule("the head with the largest S takes tau / S if S > tau, every other head stays as it is"),
            (_FACTOR, "torch.where((S_H > tau) & (S_H == S_H.max()), tau / S_H, 1.0)"),
            cases=cases_of(
                p.clip(_WORST, p.SCALE), p.clip(_WORST, p.LOOP), p.clip(_WORST, p.QUERIES), p.clip(p.ALL, p.SCALE),
                p.clip(p.RULE, p.SCALE), p.clip(p.ALL, p.LOOP), p.clip(p.MEAN, p.SCALE),
            ),
            besides=("only the cap",),
        ),
    ),
)  # fmt: skip

SHARED = (
    _HEAD.format(
        name="kills_shared_key",
        title="Catch a clip that scales the rotary key that all heads share.",
        rule="        right: a head with S_h > tau has content and rotary logits multiplied by gamma_h = tau / S_h; the others stay",  # noqa: E501
    )
    + """\
    layout, tau = Layout(), 20.0
    weights, x_BTD = draw(layout, 0, (7.0, 80.0, 15.0, 10.0))
    before = look(weights, layout, x_BTD)
    S_H = before.max_logits_H
    gamma_H11 = torch.where(S_H > tau, tau / S_H, 1.0)[:, None, None]
    clip(weights, S_H.clone(), tau, layout)
    after = look(weights, layout, x_BTD)
    content, rotary = gamma_H11 * before.content_BHTT, gamma_H11 * before.rotary_BHTT
    return torch.allclose(after.content_BHTT, content) and torch.allclose(after.rotary_BHTT, rotary)
"""
)
_RETURN = "torch.allclose(after.content_BHTT, content) and torch.allclose(after.rotary_BHTT, rotary)"
_ONE_HEAD = Mistake(
    "one head",
    _RETURN,
    "torch.allclose(after.logits_BHTT[:, 1], (content + rotary)[:, 1])",
    "One head is looked at, the clipped one, and its logits are right. A shared key shows in the heads beside it.",
)
_NO_ROTARY = Mistake(
    "content alone",
    _RETURN,
    "torch.allclose(after.content_BHTT, content)",
    "Every wrong version is accepted. The shared key is in the rotary logits and nowhere else; do your heads show them?",
)
_OTHERS = Mistake(
    "all stay",
    _RETURN,
    "torch.allclose(after.logits_BHTT, before.logits_BHTT)",
    "Right code is refused. The clipped head is to change, by its factor; allow for rounding.",
)
SHARED_PRACTICE = Variant(
    "the report's",
    SHARED,
    cases_of(
        p.clip(p.RULE, p.SCALE), p.clip(p.RULE, p.LOOP), p.clip(p.RULE, p.QUERIES), p.clip(p.RULE, p.SHARED),
        p.clip(p.RULE, p.WHOLE_KEY), p.clip(p.RULE, p.BOTH),
    ),
    (_ONE_HEAD, _NO_ROTARY, _OTHERS),
)  # fmt: skip
_MIN = "    qn *= g.sqrt()\n    kn *= g.sqrt()\n    kr *= g.min()\n"
_MIN_LOOP = "    qn *= g\n    kr[:] = kr * torch.exp(g.log().min())\n"
_R = "has content and rotary logits multiplied by gamma_h = tau / S_h; the others stay"
KILLS_SHARED = Coding(
    "kills_shared_key",
    'Kill "shared key scaled"',
    minutes=13,
    difficulty=2,
    points=3,
    practice=SHARED_PRACTICE,
    package=PACKAGE.format(name="kills_shared_key"),
    twists=(
        twist(
            SHARED_PRACTICE,
            "rotary part stays",
            "Rotary logits stay in every head: only the content logits of a head with S_h > tau take gamma_h.",
            (_R, "has content logits multiplied by gamma_h = tau / S_h; all else stays"),
            ("gamma_H11 * before.rotary_BHTT", "before.rotary_BHTT"),
            cases=cases_of(
                p.clip(p.RULE, p.CONTENT), p.clip(p.RULE, "    qn *= g\n"), p.clip(p.RULE, "    kn *= g\n"),
                p.clip(p.RULE, p.SCALE), p.clip(p.RULE, p.WHOLE_KEY), p.clip(p.RULE, p.BOTH),
                p.clip(p.RULE, "    kn *= g\n    qr *= g.min() / g\n    kr /= g.min()\n"),
                p.clip(p.RULE, "    qn *= g\n    qr[1] /= g[1]\n    kr *= g.min()\n"),
            ),
        ),
        twist(
            SHARED_PRACTICE,
            "rotary for all",
            "Content logits of a head take its gamma_h; the rotary logits of all heads take the smallest gamma of the layer.",
            (_R, "has content logits times gamma_h = tau / S_h;\n               rotary logits of all heads take the smallest gamma"),  # noqa: E501
            ("gamma_H11 * before.rotary_BHTT", "gamma_H11.min() * before.rotary_BHTT"),
            cases=cases_of(
                p.clip(p.RULE, _MIN), p.clip(p.RULE, _MIN_LOOP), p.clip(p.RULE, p.CONTENT + "    qr *= g.min()\n"),
                p.clip(p.RULE, p.SCALE), p.clip(p.RULE, p.SHARED), p.clip(p.RULE, p.BOTH), p.clip(p.RULE, p.CONTENT),
            ),
        ),
        twist(
            SHARED_PRACTICE,
            "root for the rotary part",
            "In a clipped head the content logits take gamma_h and the rotary logits sqrt(gamma_h); the others stay.",
            (_R, "has content logits times gamma_h = tau / S_h, rotary times sqrt(gamma_h)"),
            ("gamma_H11 * before.rotary_BHTT", "gamma_H11.sqrt() * before.rotary_BHTT"),
            cases=cases_of(
                p.clip(p.RULE, p.ROOT), p.clip(p.RULE, "    kn *= g\n    qr *= g ** 0.5\n"),
                p.clip(p.RULE, "    qn *= g\n    qr /= g ** -0.5\n"), p.clip(p.RULE, p.SCALE),
                p.clip(p.RULE, p.CONTENT + "    kr *= g.min() ** 0.5\n"), p.clip(p.RULE, p.SHARED),
            ),
        ),
    ),
)  # fmt: skip
