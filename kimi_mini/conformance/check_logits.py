"""Checks of the statistic: each head's largest logit over one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .heads import Layout, look
from .report import Check, Failed

_SOURCE = "K2 report, 2.1: the definition of S_max"
_CLOSE = 1e-2  # relative: room for kernels in half precision; every mistake below is far larger
Pair = tuple[Tensor, Tensor]


def logit_checks(layout: Layout, seed: int = 0) -> list[Check]:
    """All of them. The callable is `max_logits(micro_batches, scale)`, micro_batches a list of (q_BTHN, k_BTGN)."""

    def check(name: str, required: str, make: Callable[[torch.Generator, Layout], list[Pair]], more: str = "") -> Check:
        def run(callable_: Callable[..., Any]) -> str:
            return _compared(callable_, make(torch.Generator().manual_seed(seed), layout), layout)

        return Check(name, required, _SOURCE + more, run)

    return [
        check(
            "per-head",
            "One number for each query head, [heads], the largest over all sequences of the batch"
            + (" (query head h reads key head h // group)." if layout.kind == "gqa" else "."),
            _per_head,
        ),
        check(
            "scaled",
            "Logits as the softmax receives them: times the scale that is in force, here not 1/sqrt(d).",
            _scaled,
            ", with 1/sqrt(d) for the scale",
        ),
        check(
            "causal",
            "Only logits that the causal mask lets through to the softmax; a token sees itself.",
            _causal,
            ", which does not write the mask down",
        ),
        check(
            "signed",
            "The signed maximum: not of the absolute value, and not clamped at 0.",
            _signed,
            ", which has no absolute value",
        ),
        check("micro-batches", "The maximum over all micro-batches of the step, in whatever order.", _micro_batches),
        Check("no-memory", "A call knows nothing of the call before.", _SOURCE, lambda c: _no_memory(c, layout, seed)),
    ]


# Each batch is made so that one mistake shows and the others do not: all products are positive, and the key that is looked
# at most is the first, which every query may see.


def _pair(gen: torch.Generator, layout: Layout, tokens: int = 6) -> Pair:
    def positive(heads: int) -> Tensor:
        return torch.randn(2, tokens, heads, layout.qk_dim, generator=gen, dtype=torch.float64).abs() + 0.1

    q, k = positive(layout.heads), positive(layout.kv_heads)
    k[:, 0] *= 4
    return q, k


def _per_head(gen: torch.Generator, layout: Layout) -> list[Pair]:
    q, k = _pair(gen, layout)
    q = q * torch.tensor([1.0, 30.0, 3.0, 10.0], dtype=torch.float64)[:, None]
    k = k * torch.arange(1, layout.kv_heads + 1, dtype=torch.float64)[:, None] ** 2
    q[1, :, 2] *= 5  # one head's maximum is in the second sequence
    return [(q, k)]


def _scaled(gen: torch.Generator, layout: Layout) -> list[Pair]:
    return [_pair(gen, layout)]


def _causal(gen: torch.Generator, layout: Layout) -> list[Pair]:
    """The last key is the loudest, but its own query whispers; of the others, a token that sees itself is the largest, and the
    query before it would be louder still."""
    q, k = _pair(gen, layout)
    q[:, 4:] *= 1e-3
    q[:, 2] *= 4
    k[:, 3] *= 20
    k[:, 5] *= 200
    return [(q, k)]


def _signed(gen: torch.Generator, layout: Layout) -> list[Pair]:
    """All logits negative, those with the first key least."""
    q, k = _pair(gen, layout)
    k[:, 0] *= 0.01
    return [(q, -5 * k)]


def _micro_batches(gen: torch.Generator, layout: Layout) -> list[Pair]:
    """Of three micro-batches of unequal length, each holds the maximum of some head."""
    batches = []
    for step in range(3):
        q, k = _pair(gen, layout, 4 + step)
        loud_H = torch.tensor([20.0 if head % 3 == step else 1.0 for head in range(layout.heads)], dtype=torch.float64)
        batches.append((q * loud_H[:, None], k))
    return batches


def _no_memory(callable_: Callable[..., Any], layout: Layout, seed: int) -> str:
    gen = torch.Generator().manual_seed(seed)
    (q, k), quiet = _pair(gen, layout), [_pair(gen, layout)]
    callable_([(100 * q, k)], layout.scale)
    cause = "A running maximum that is never reset: a head that was loud once is clipped for ever."
    return _compared(callable_, quiet, layout, cause)


def _compared(callable_: Callable[..., Any], batches: list[Pair], layout: Layout, cause: str = "") -> str:
    scale = 1.7 * layout.scale  # not 1/sqrt(d), as with YaRN
    found_H = callable_([(q.clone(), k.clone()) for q, k in batches], scale)
    found_H = torch.as_tensor(found_H).detach().double().cpu()
    if found_H.shape != (layout.heads,):
        raise Failed(f"returned shape {list(found_H.shape)}; expected [{layout.heads}], one number for each query head")
    wanted_H = _maxima(batches, layout) * scale
    if torch.allclose(found_H, wanted_H, rtol=_CLOSE, atol=0):
        return f"{_numbers(found_H)}, off by at most {((found_H / wanted_H) - 1).abs().max():.1g}"
    named = _likely(found_H, batches, layout, scale)
    raise Failed(f"{_numbers(found_H)}; expected {_numbers(wanted_H)}", named or cause)


def _maxima(
    batches: list[Pair],
    layout: Layout,
    causal: bool = True,
    absolute: bool = False,
    tiled: bool = False,
    diagonal: int = 1,
) -> Tensor:
    """Of each head, over all micro-batches, without the scale; the flags make what the usual mistakes compute."""
    best = []
    for q, k in batches:
        group = layout.heads // layout.kv_heads
        k = k.repeat(1, 1, group, 1) if tiled else k.repeat_interleave(group, 2)
        logits = torch.einsum("bthn,bshn->bhts", q, k)
        logits = logits.abs() if absolute else logits
        later = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).triu(diagonal)
        best.append((logits.masked_fill(later, float("-inf")) if causal else logits).amax((0, 2, 3)))
    return torch.stack(best).amax(0)


def _likely(found_H: Tensor, batches: list[Pair], layout: Layout, scale: float) -> str:
    """The usual mistake that gives these numbers."""
    right_H = _maxima(batches, layout)
    guesses = {
        "The maximum was taken before the causal mask, over keys that no softmax sees.": _maxima(batches, layout, False)
        * scale,
        "The largest absolute value: a strongly negative logit harms nothing.": _maxima(batches, layout, absolute=True) * scale,
        "The logits were not multiplied by the scale.": right_H,
        "The logits were divided by d instead of multiplied by the scale.": right_H / layout.qk_dim,
        "The logits were multiplied by 1/sqrt(d) instead of the scale that is in force.": right_H * layout.scale,
        "The mask hides each token from itself.": _maxima(batches, layout, diagonal=0) * scale,
        "The mask lets each token see the next one.": _maxima(batches, layout, diagonal=2) * scale,
        "The result was clamped at 0.": (right_H * scale).clamp(min=0),
        "Only the last micro-batch counted.": _maxima(batches[-1:], layout) * scale,
        "Only the first micro-batch counted.": _maxima(batches[:1], layout) * scale,
        "The largest over all heads was given to every head.": (right_H * scale).amax().expand_as(right_H),
        "Key heads were repeated in the wrong order: head h reads key head h // group.": _maxima(batches, layout, tiled=True)
        * scale,
    }
    return next((name for name, guess in guesses.items() if torch.allclose(found_H, guess, rtol=_CLOSE, atol=1e-9)), "")


def _numbers(values: Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.tolist())


def synthetic_batches(layout: Layout, weights: dict[str, Tensor], inputs: list[Tensor]) -> list[Pair]:
    """(q_BTHN, k_BTGN) of a layer on each of the inputs: shared keys as they are, not repeated."""
    group = layout.heads // layout.kv_heads
    seen = [look(weights, layout, x_BTD) for x_BTD in inputs]
    return [(s.q_BTHN, s.k_BTHN[:, :, ::group]) for s in seen]
