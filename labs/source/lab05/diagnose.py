"""A verdict from a clip's instruments: the first link of the chain that is broken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def diagnose(frame):
    """Say what is wrong with a clip, from what was recorded at one step of one layer.

    frame   dict of tensors [H], one number for each head, and two others:
        "largest"   the head's largest logit, measured by code that is known to be right
        "logged"    the same, as the run's own code logged it
        "factor"    gamma as the run's code logged it, 1 where nothing was to be done
        "logits"    by what the clip multiplied the head's logits, measured
        "values"    by what the clip multiplied the norm of the head's value rows, measured
        "tau"       a number
        "loss"      the last four losses, a list

        due: gamma_h = tau / S_h for every head with S_h > tau, else 1, with S the logged maximum

    Returns the first that is true of:
        "maximum"              logged is not largest
        "no clip"              a factor was due, and every logged one is 1
        "factor"               the logged factors are not those that were due
        "clip has no effect"   a factor below 1 was logged, and neither logits nor values of any head changed
        "rows"                 logits are not multiplied by the factors, or values changed
        "healthy"              otherwise
    Instruments are good to 1 %.
    """

    def same(a, b):
        return torch.allclose(a, b, rtol=0.01)

    S_H, factor_H, one_H = frame["logged"], frame["factor"], torch.ones_like(frame["factor"])
    due_H = torch.where(S_H > frame["tau"], frame["tau"] / S_H, 1.0)
    untouched = same(frame["logits"], one_H) and same(frame["values"], one_H)
    if not same(S_H, frame["largest"]):
        return "maximum"
    if not same(due_H, one_H) and same(factor_H, one_H):
        return "no clip"
    if not same(factor_H, due_H):
        return "factor"
    if not same(factor_H, one_H) and untouched:
        return "clip has no effect"
    if not same(frame["logits"], factor_H) or not same(frame["values"], one_H):
        return "rows"
    return "healthy"
'''
PACKAGE = SOLUTION.replace("import torch\n", "import torch\n\nfrom kimi_mini.optim import clip_factors\n", 1).replace(
    'torch.where(S_H > frame["tau"], frame["tau"] / S_H, 1.0)', 'clip_factors(S_H, frame["tau"])'
)
_TAU = 20.0
Rule = Callable[[Tensor], Tensor]


def _usual(S_H: Tensor) -> Tensor:
    return torch.where(S_H > _TAU, _TAU / S_H, 1.0)


def _pairs(S_H: Tensor) -> Tensor:
    return _usual(S_H.view(-1, 2).amax(1)).repeat_interleave(2)


def _twice(S_H: Tensor) -> Tensor:
    return torch.where(S_H > 2 * _TAU, _TAU / S_H, 1.0)


def _worst(S_H: Tensor) -> Tensor:
    return torch.where(S_H == S_H.max(), _usual(S_H), 1.0)


def frames_of(rule: Rule) -> Callable[[int], tuple[Case, ...]]:
    """Frames of a run whose right factors are `rule`, in an order and with numbers that the seed decides."""

    def cases(seed: int) -> tuple[Case, ...]:
        gen = torch.Generator().manual_seed(seed)

        def noisy(x_H: Tensor) -> Tensor:
            return x_H * (1 + 0.002 * torch.rand(4, generator=gen, dtype=torch.float64))

        def frame(
            maxima: list[float], factor_H=None, done_H=None, values_H=1.0, logged: float = 1.0, spike: float = 0.0
        ) -> dict:
            largest_H = torch.tensor(maxima, dtype=torch.float64) * (
                1 + 0.1 * torch.rand(1, generator=gen, dtype=torch.float64)
            )
            seen_H = largest_H * logged
            factor_H = (rule if factor_H is None else factor_H)(seen_H)
            done_H = factor_H if done_H is None else done_H(factor_H)
            loss = (5 - torch.rand(4, generator=gen, dtype=torch.float64)).tolist()
            return {
                "largest": largest_H, "logged": noisy(seen_H), "factor": factor_H, "logits": noisy(done_H),
                "values": noisy(values_H * torch.ones_like(done_H)), "tau": _TAU, "loss": [*loss[:3], loss[3] + spike],
            }  # fmt: skip

        one = torch.ones_like
        frames = [
            frame([7.0, 90.0, 12.0, 15.0]),
            frame([4.0, 9.0, -6.0, 16.0], spike=3.0),
            frame([25.0, 60.0, 48.0, 11.0], spike=2.0),
            frame([30.0, 80.0, 9.0, 3.0], factor_H=one),
            frame([9.0, 70.0, 26.0, 5.0], done_H=one),
            frame([6.0, 55.0, 13.0, 100.0], logged=2.5),
            frame([6.0, 48.0, 13.0, 9.0], factor_H=lambda S_H: _usual(S_H.max()).expand(4)),
            frame([8.0, 50.0, 10.0, 14.0], done_H=lambda g_H: g_H * 0.7),
            frame([8.0, 50.0, 10.0, 14.0], values_H=0.6),
            frame([25.0, 90.0, 12.0, 5.0], factor_H=None if rule is _usual else _usual),
        ]
        order = torch.randperm(len(frames), generator=gen).tolist()
        return tuple(Case(f"frame {number}", (frames[place],)) for number, place in enumerate(order, 1))

    return cases


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    frames_of(_usual),
    (
        Mistake(
            "the healthy one accused",
            "if not same(due_H, one_H) and same(factor_H, one_H):",
            "if same(factor_H, one_H):",
            "A healthy frame was accused of having no clip: no head exceeded tau, so nothing was due.",
        ),
        Mistake(
            "no effect taken for no clip",
            "if not same(due_H, one_H) and same(factor_H, one_H):",
            "if not same(due_H, one_H) and untouched:",
            '"clip has no effect" was taken for "no clip": there the factors are logged as they should be, '
            "and the weights did not hear of them.",
        ),
        Mistake(
            "accused for its loss",
            "    if not same(S_H,",
            '    if frame["loss"][-1] > frame["loss"][0] + 0.9:\n        return "factor"\n    if not same(S_H,',
            "A frame was accused for its loss. A spike has many causes; the instruments agree with each other.",
        ),
        Mistake(
            "exact",
            "rtol=0.01",
            "rtol=1e-7",
            "Instruments are good to 1 %; you compared more exactly than that.",
        ),
        Mistake(
            "values not looked at",
            ' or not same(frame["values"], one_H)',
            "",
            "A clip that fades the values was called healthy: look at \"values\" too.",
        ),
        Mistake(
            "due from the right maximum",
            "    if not same(S_H, frame[\"largest\"]):\n        return \"maximum\"\n",
            "",
            "The log was believed. Compare it with the maximum that other code measured, before anything else.",
        ),
    ),
)  # fmt: skip
_DUE = 'torch.where(S_H > frame["tau"], frame["tau"] / S_H, 1.0)'
_TEXT = "gamma_h = tau / S_h for every head with S_h > tau, else 1,"
DIAGNOSE = Coding(
    "diagnose",
    "Diagnose the frames",
    minutes=18,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "pairs",
            "Heads 2i and 2i + 1 share one factor: tau / S where S, the larger of their maxima, exceeds tau, else 1.",
            (_TEXT, "for heads 2i and 2i + 1, with S the larger of their two maxima, tau / S if S > tau, else 1,"),
            (
                _DUE,
                _DUE.replace("S_H", "P_H"),
            ),
            ("    due_H =", "    P_H = S_H.view(-1, 2).amax(1).repeat_interleave(2)\n    due_H ="),
            cases=frames_of(_pairs),
        ),
        twist(
            PRACTICE,
            "twice tau",
            "A head is left alone until S_h > 2 tau; then it takes tau / S_h.",
            (_TEXT, "gamma_h = tau / S_h for every head with S_h > 2 tau, else 1,"),
            (_DUE, _DUE.replace("S_H > frame", "S_H > 2 * frame")),
            cases=frames_of(_twice),
        ),
        twist(
            PRACTICE,
            "worst head alone",
            "Only the head with the largest S is clipped, by tau / S, and only if its S > tau; all others take 1.",
            (_TEXT, "for the head with the largest S alone, if S > tau, gamma = tau / S, else 1,"),
            (_DUE, _DUE.replace('S_H > frame["tau"]', '(S_H > frame["tau"]) & (S_H == S_H.max())')),
            cases=frames_of(_worst),
        ),
    ),
)
