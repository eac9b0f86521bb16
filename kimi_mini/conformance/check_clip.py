"""Checks of a QK-Clip on one synthetic layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import clipped
from .clipped import Clip
from .heads import Layout, draw, look
from .report import ALGORITHM, Check, Failed, described

TAU = 20.0
_LINES = f"{ALGORITHM}, lines 5-6"


def clip_checks(layout: Layout, seed: int = 0) -> list[Check]:
    """All of them. The callable is `clip(weights, max_logits_H, tau, layout)`."""

    def tried(look_at: Callable[[Clip], str]) -> Callable[[Callable], str]:
        return lambda callable_: look_at(_tried(callable_, layout, seed))

    shared = [
        Check(
            "shared-key",
            "The rotary key that all heads share takes no factor.",
            _LINES,
            tried(clipped.check_shared_key),
        )
    ]
    return [
        Check(
            "clipped-heads",
            "Every logit of a head with S > tau is multiplied by gamma = tau / S at fixed inputs, rotary part included.",
            _LINES,
            tried(clipped.check_clipped_heads),
        ),
        Check(
            "other-heads",
            "Logits of heads with S <= tau do not change."
            + (
                " Heads share a key here: either it stays and the query takes gamma whole, or the queries of the whole group "
                "make up for its factor. One factor for a whole group is not accepted."
                if layout.kind == "gqa"
                else ""
            ),
            f"K2 report, 2.1: per head, because few heads explode; {_LINES}",
            tried(clipped.check_other_heads),
        ),
        Check("values", "Values and the output projection do not change.", _LINES, tried(clipped.check_values)),
        *(shared if layout.kind == "mla" else []),
        Check(
            "below-tau",
            "With all S <= tau, S = tau included, no weight changes by a bit.",
            _LINES,
            lambda callable_: _below(callable_, layout, seed),
        ),
        Check(
            "negative",
            "S negative, zero or -inf (the head saw no token) is treated like S = tau: that head stays.",
            f"{_LINES}: S > tau, and S is signed",
            lambda callable_: _negative(callable_, layout, seed),
        ),
        Check(
            "broken",
            "S = NaN or infinity: an exception, or no weight changed. The forward pass has overflowed; no factor repairs it.",
            "not in the report; a clip by tau / inf = 0 or NaN silently ends the head",
            lambda callable_: _broken(callable_, layout, seed),
        ),
    ]


def apply(callable_: Callable[..., Any], weights: dict[str, Tensor], S_H: Tensor, layout: Layout) -> dict[str, Tensor]:
    """Weights after the callable's clip, in place, in the dict, or returned; the given ones stay as they are."""
    after: dict[str, Any] = {name: weight.clone() for name, weight in weights.items()}
    returned = callable_(after, S_H.clone(), TAU, layout)
    if isinstance(returned, dict):
        after |= returned
    for name, weight in weights.items():
        if not isinstance(after.get(name), Tensor) or after[name].shape != weight.shape:
            raise Failed(f"{name!r} is not a tensor of shape {list(weight.shape)} any more")
    return {name: after[name].detach() for name in weights}


def _tried(callable_: Callable[..., Any], layout: Layout, seed: int) -> Clip:
    weights, x_BTD = draw(layout, seed)
    S_H = look(weights, layout, x_BTD).max_logits_H
    gamma_H = torch.where(S_H > TAU, TAU / S_H, 1.0)
    return Clip(layout, x_BTD, gamma_H, weights, apply(callable_, weights, S_H, layout))


def _below(callable_: Callable[..., Any], layout: Layout, seed: int) -> str:
    weights, x_BTD = draw(layout, seed)
    S_H = torch.tensor([1.0, TAU, 0.5 * TAU, 0.99 * TAU], dtype=torch.float64)
    clip = Clip(layout, x_BTD, torch.ones_like(S_H), weights, apply(callable_, weights, S_H, layout))
    if not clip.changed:
        return "no weight changed"
    before, after = clip.seen
    grew = after.max_logits_H / before.max_logits_H
    raise Failed(
        f"changed: {', '.join(clip.changed)}; largest logits multiplied by {_numbers(grew)} (S / tau = {_numbers(S_H / TAU)})",
        "tau / S without a minimum with 1: heads below tau are scaled up to it." if grew.max() > 1 + 1e-6 else "",
    )


def _negative(callable_: Callable[..., Any], layout: Layout, seed: int) -> str:
    weights, _ = draw(layout, seed)

    def with_quiet(S: float) -> dict[str, Tensor]:
        return apply(callable_, weights, torch.tensor([4 * TAU, S, S, S], dtype=torch.float64), layout)

    ordinary = with_quiet(TAU)
    for S in (-3.0, 0.0, float("-inf")):
        after = with_quiet(S)
        broken = [name for name, weight in after.items() if not weight.isfinite().all()]
        changed = [name for name, weight in after.items() if not weight.equal(ordinary[name])]
        if changed:
            raise Failed(
                f"S = {S:g}: {'not finite any more: ' if broken else ''}{', '.join(broken or changed)}",
                "A clamp of tau / S at 1 gives a negative factor (or -0) for a negative S, and its root is NaN. Compare S with "
                "tau instead, or divide by max(S, tau).",
            )
    return "S = -3, 0 and -inf: the same weights as for S = tau, bit by bit"


def _broken(callable_: Callable[..., Any], layout: Layout, seed: int) -> str:
    weights, _ = draw(layout, seed)
    said = []
    for broken in (float("nan"), float("inf")):
        S_H = torch.tensor([1.0, broken, 2.0, 3.0], dtype=torch.float64)
        try:
            after = apply(callable_, weights, S_H, layout)
        except Failed:
            raise
        except Exception as error:
            said.append(f"S = {broken}: refused ({described(error)})")
            continue
        changed = [name for name, weight in weights.items() if not weight.equal(after[name])]
        if changed:
            raise Failed(
                f"S = {broken}: no exception, and {', '.join(changed)} changed",
                "tau / inf is 0 and tau / NaN is NaN: the head's weights are gone, and nobody is told. Refuse such a maximum.",
            )
        said.append(f"S = {broken}: nothing changed, and nobody was told")
    return "; ".join(said)


def _numbers(values: Tensor) -> str:
    return ", ".join(f"{value:.3g}" for value in values.tolist())
