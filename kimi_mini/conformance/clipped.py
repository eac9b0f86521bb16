"""What a clip did to a layer, at fixed inputs: clipped heads, other heads, values, the shared rotary key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .heads import Layout, Seen, look, parts_of
from .report import Failed

EXACT = 1e-6  # relative; leaves room for factors computed in single precision
_ROUNDED = "Only rounding: the weights went through a lower precision than the float64 that they came in."
_BROKEN = "Weights are not finite any more: a root of a negative number, or a division by zero."
_CAUSE_VALUES = "Keys and values share a matrix, or a name, and the factor went to all of it. Values take no factor."
_CAUSE_SHARED = "All heads read this key: a factor for one head is a factor for all. The rotary query takes gamma whole."


@dataclass(frozen=True)
class Clip:
    """Weights before and after a clip that was to give each head gamma_H, and the inputs they are tried on."""

    layout: Layout
    x_BTD: Tensor
    gamma_H: Tensor
    before: dict[str, Tensor]
    after: dict[str, Tensor]

    @cached_property
    def seen(self) -> tuple[Seen, Seen]:
        return look(self.before, self.layout, self.x_BTD), look(self.after, self.layout, self.x_BTD)

    @property
    def changed(self) -> list[str]:
        """Names of the weights that are not the same bit by bit."""
        return [name for name, weight in self.before.items() if not weight.equal(self.after[name])]

    @property
    def finite(self) -> bool:
        return all(bool(weight.isfinite().all()) for weight in self.after.values())

    @property
    def clipped_heads(self) -> list[int]:
        return (self.gamma_H < 1).nonzero().flatten().tolist()


def check_clipped_heads(clip: Clip) -> str:
    """Every logit of a clipped head is multiplied by its gamma."""
    before, after = clip.seen
    wrong = _error(after.logits_BHTT, before.logits_BHTT * clip.gamma_H[:, None, None], before.logits_BHTT)
    heads = clip.clipped_heads
    if bool((wrong[heads] <= EXACT).all()):
        factors = ", ".join(f"head {h} by {clip.gamma_H[h]:.4f}" for h in heads)
        return f"logits of {factors}, off by at most {wrong[heads].max():.1g}{_split(clip)}"
    found = [f"head {h}: wanted x{clip.gamma_H[h]:.4f}, {_multiples(clip, h)}" for h in heads]
    largest = ", ".join(f"{after.max_logits_H[h]:.4g} instead of {(before.max_logits_H * clip.gamma_H)[h]:.4g}" for h in heads)
    raise Failed(f"{'; '.join(found)}. Largest logits now: {largest}", _cause(clip))


def check_other_heads(clip: Clip) -> str:
    """Logits of the other heads stay: bit by bit, or where a shared key was scaled and made up for, up to rounding."""
    before, after = clip.seen
    others = [h for h in range(clip.layout.heads) if h not in clip.clipped_heads]
    wrong = _error(after.logits_BHTT, before.logits_BHTT, before.logits_BHTT)[others]
    if bool((wrong == 0).all()):
        return f"heads {_list(others)}: the same bit by bit"
    if bool((wrong <= EXACT).all()) and clip.layout.kind == "gqa":
        return f"heads {_list(others)}: the same up to rounding ({wrong.max():.1g}), not bit by bit"
    found = "; ".join(f"head {h}: {_multiples(clip, h)}" for h, error in zip(others, wrong, strict=True) if error > 0)
    raise Failed(f"heads that were to stay have changed. {found}", _cause_others(clip))


def check_values(clip: Clip) -> str:
    """What the heads say, and the output projection, stay bit by bit."""
    before, after = clip.seen
    moved = [name for name in ("v", "o") if not _same_part(clip, name)]
    if before.values_BTHM.equal(after.values_BTHM) and not moved:
        return "value rows, output projection and the values of all heads: the same bit by bit"
    heads = [h for h in range(clip.layout.heads) if not before.values_BTHM[:, :, h].equal(after.values_BTHM[:, :, h])]
    size = ", ".join(f"head {h} x{_multiple(before.values_BTHM[:, :, h], after.values_BTHM[:, :, h])[0]:.3f}" for h in heads)
    raise Failed(
        f"values have changed ({size or 'the output projection'}); changed weights: {_list(clip.changed)}",
        _down_cause(clip) or (_ROUNDED if _only_rounded(clip) else _CAUSE_VALUES),
    )


def check_shared_key(clip: Clip) -> str:
    """The rotary key that all heads share stays bit by bit."""
    if _same_part(clip, "k_rope"):
        return "rows of the shared rotary key: the same bit by bit"
    before, after = (parts_of(w, clip.layout)["k_rope"] for w in (clip.before, clip.after))
    raise Failed(
        f"rows of the shared rotary key are multiplied by {_multiple(before, after)[0]:.4f}",
        _ROUNDED if _only_rounded(clip) else _CAUSE_SHARED,
    )


def _same_part(clip: Clip, name: str) -> bool:
    before, after = (parts_of(w, clip.layout)[name] for w in (clip.before, clip.after))
    return before.equal(after)


def _only_rounded(clip: Clip) -> bool:
    """Whether everything that belongs to no clipped head is what it was, up to single precision."""
    before, after = clip.seen
    others = [h for h in range(clip.layout.heads) if h not in clip.clipped_heads]
    pairs = [(before.logits_BHTT[:, others], after.logits_BHTT[:, others]), (before.values_BTHM, after.values_BTHM)]
    shared = ("k_rope", "o") if clip.layout.kind == "mla" else ("o",)
    pairs += [(parts_of(clip.before, clip.layout)[name], parts_of(clip.after, clip.layout)[name]) for name in shared]
    return all(bool((a - b).abs().max() <= EXACT * b.abs().max()) for b, a in pairs)


def _error(found_BHTT: Tensor, wanted_BHTT: Tensor, size_BHTT: Tensor) -> Tensor:
    """Largest deviation in each head, relative to its largest logit; NaN counts as infinite."""
    off_H = (found_BHTT - wanted_BHTT).abs().amax((0, 2, 3)) / size_BHTT.abs().amax((0, 2, 3))
    return off_H.nan_to_num(nan=float("inf"))


def _multiple(before: Tensor, after: Tensor) -> tuple[float, bool]:
    """Factor that best turns `before` into `after`, and whether it does so exactly."""
    if before.numel() == 0:
        return 1.0, True
    factor = (before * after).sum() / before.square().sum()
    off = (after - factor * before).norm() / after.norm().clamp_min(1e-300)
    return factor.item(), bool(off <= EXACT)


def _head_multiples(clip: Clip, head: int) -> dict[str, tuple[float, bool]]:
    before, after = clip.seen
    parts = {"content": (before.content_BHTT, after.content_BHTT), "rotary": (before.rotary_BHTT, after.rotary_BHTT)}
    if clip.layout.nope == 0:
        parts = {"logits": parts["rotary"]}
    return {name: _multiple(b[:, head], a[:, head]) for name, (b, a) in parts.items()}


def _multiples(clip: Clip, head: int) -> str:
    return ", ".join(
        f"{name} x{factor:.4f}" if exact else f"{name} about x{factor:.4f} but not evenly"
        for name, (factor, exact) in _head_multiples(clip, head).items()
    )


def _split(clip: Clip) -> str:
    """Which share of gamma the queries took, where that can be said."""
    part = "q_nope" if clip.layout.nope else "q_rope"
    before, after = (parts_of(w, clip.layout)[part] for w in (clip.before, clip.after))
    alphas = []
    for head in clip.clipped_heads:
        factor, exact = _multiple(before[head], after[head])
        if not exact or factor <= 0:
            return ""
        alphas.append(torch.tensor(factor).log() / clip.gamma_H[head].log())
    alpha = torch.stack(alphas)
    if alpha.max() - alpha.min() > 1e-3:
        return ""
    return f"; queries took gamma^{alpha.mean():.2f}, keys the rest (the report: 0.50 of the content, all of the rotary part)"


def _cause(clip: Clip) -> str:
    if not clip.finite:
        return _BROKEN
    if not clip.changed:
        return "No weight changed. Was a copy scaled: mul without its underscore, a reshape that copies, a clone?"
    head = clip.clipped_heads[0]
    gamma, multiples = clip.gamma_H[head].item(), _head_multiples(clip, head)

    def near(name: str, power: float) -> bool:
        factor, exact = multiples.get(name, (0.0, False))
        return exact and abs(factor - gamma**power) < 1e-4

    if near("content", 0) and _down_cause(clip):
        return _down_cause(clip)
    if near("content", 1) and near("rotary", 0.5):
        return "The rotary query took sqrt(gamma). Its key is shared and takes nothing, so the query must take gamma whole."
    if near("content", 1) and near("rotary", 0):
        return "The rotary rows of the query were left out; they take gamma whole."
    whole = "logits" if "logits" in multiples else "content"
    if near(whole, 0.5):
        return "Only one of query and key took its root of gamma; or one took the root of the other's exponent."
    if near(whole, 2):
        return "Query and key each took gamma whole; together they are to make gamma once."
    if not all(exact for _, exact in multiples.values()):
        return "Rows of other heads, or columns instead of rows, were scaled: in [out, in] weights a head is a block of rows."
    return ""


def _down_cause(clip: Clip) -> str:
    """Not "" where the latents' down-projections have changed; the rotary rows of one of them are another matter."""
    names = [n for n in ("q_a", "kv_a") if n in parts_of(clip.before, clip.layout) and not _same_part(clip, n)]
    return f"A down-projection was scaled ({_list(names)}); the norm behind it divides the factor out again." if names else ""


def _cause_others(clip: Clip) -> str:
    layout = clip.layout
    if not clip.finite:
        return _BROKEN
    if _only_rounded(clip):
        return _down_cause(clip) or _ROUNDED
    if layout.kind == "mla" and not _same_part(clip, "k_rope"):
        return "The shared rotary key was scaled, and every head reads it."
    worst = clip.gamma_H.min().item()
    others = [h for h in range(layout.heads) if h not in clip.clipped_heads]
    factors = [list(_head_multiples(clip, h).values())[-1] for h in others]
    if all(exact and abs(factor - worst) < 1e-4 for factor, exact in factors):
        return "One factor for all heads: the worst head's. Each head is to have its own."
    if layout.kind == "gqa" and all(exact and factor < 1 for factor, exact in factors):
        return (
            "A key that several heads share was scaled. Leave it, and give gamma whole to the query; or make up for it in "
            "the queries of all heads of the group."
        )
    return "Rows of other heads, or columns instead of rows, were scaled: in [out, in] weights a head is a block of rows."


def _list(items: list) -> str:
    return ", ".join(map(str, items)) or "none"
