"""Checks of a whole MuonClip step: Muon, the statistic and the clip, joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from . import clipped
from .check_clip import TAU
from .check_logits import synthetic_batches
from .clipped import Clip
from .heads import Layout, draw, look
from .report import ALGORITHM, Check, Failed

_NEVER = 1e30  # tau that no logit reaches
_QUERIES = {"q_proj", "q_b_proj", "qkv_proj", "q_nope_proj", "q_rope_proj"}


def muonclip_checks(layout: Layout, seed: int = 0) -> list[Check]:
    """All of them. The callable is `make(weights, layout, *, lr, weight_decay, momentum, tau)`; it returns `step`."""

    def still(look_at: Callable[[Clip], str]) -> Callable[[Callable], str]:
        return lambda make: look_at(_still(make, layout, seed))

    def check(name: str, required: str, source: str, run: Callable[..., str]) -> Check:
        return Check(name, required, source, lambda make: run(make, layout, seed))

    lines = f"{ALGORITHM}, lines 5-6"
    shared = [
        Check(
            "shared-key",
            "At learning rate 0 the shared rotary key does not change.",
            lines,
            still(clipped.check_shared_key),
        )
    ]
    return [
        Check(
            "clipped-heads",
            "At learning rate 0 only the clip moves weights: the next largest logit of a head above tau is tau.",
            lines,
            still(clipped.check_clipped_heads),
        ),
        Check(
            "other-heads",
            "At learning rate 0 the logits of the other heads do not change.",
            lines,
            still(clipped.check_other_heads),
        ),
        Check(
            "values",
            "At learning rate 0 values and the output projection do not change.",
            lines,
            still(clipped.check_values),
        ),
        *(shared if layout.kind == "mla" else []),
        check(
            "micro-batches",
            "A head that is loud in one micro-batch alone, whichever it is, is clipped.",
            "K2 report, 2.1",
            _micro_batches,
        ),
        check(
            "no-memory",
            "A step clips for what it has seen itself: a quiet step after a loud one clips nothing.",
            "K2 report, 2.1",
            _no_memory,
        ),
        check(
            "order",
            "The clip comes after the update, and multiplies the updated weights.",
            f"{ALGORITHM}, lines 2-6",
            _order,
        ),
        check(
            "update",
            "With logits below tau each matrix takes an update of RMS about 0.2 times the rate (kind muon looks closely).",
            f"{ALGORITHM}, lines 2-4",
            _update,
        ),
    ]


class _Run:
    """A layer in the hands of the callable: steps on given inputs, and the weights as they stand."""

    def __init__(self, make: Callable[..., Any], layout: Layout, seed: int, lr: float, tau: float = TAU, decay: float = 0.0):
        self.layout = layout
        self.start, self.x_BTD = draw(layout, seed)
        self.params = {name: nn.Parameter(weight.clone()) for name, weight in self.start.items()}
        self._step = make(dict(self.params), layout, lr=lr, weight_decay=decay, momentum=0.95, tau=tau)
        self._gen = torch.Generator().manual_seed(seed)

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.params.items()}

    def step(self, inputs: list[Tensor]) -> None:
        """One step with drawn gradients, the same in every run of a seed."""
        pairs = synthetic_batches(self.layout, self.weights, inputs)
        for p in self.params.values():
            p.grad = torch.randn(p.shape, generator=self._gen, dtype=p.dtype)
        self._step(pairs)

    def clip(self, before: dict[str, Tensor], inputs: list[Tensor]) -> Clip:
        """What happened between `before` and now, against what the inputs ask for; looked at on the first input."""
        S_H = torch.stack([look(before, self.layout, x).max_logits_H for x in inputs]).amax(0)
        return Clip(self.layout, inputs[0], torch.where(S_H > TAU, TAU / S_H, 1.0), before, self.weights)


def _still(make: Callable[..., Any], layout: Layout, seed: int) -> Clip:
    run = _Run(make, layout, seed, lr=0.0)
    run.step([run.x_BTD])
    return run.clip(run.start, [run.x_BTD])


def _micro_batches(make: Callable[..., Any], layout: Layout, seed: int) -> str:
    found = []
    for loud_at in range(3):
        run = _Run(make, layout, seed, lr=0.0)
        quiet = [run.x_BTD[:1, :1], run.x_BTD[1:, :1]]  # one token each, which sees only itself
        inputs = [*quiet[:loud_at], run.x_BTD, *quiet[loud_at:]]
        run.step(inputs)
        clip = run.clip(run.start, inputs)
        after_H = look(run.weights, layout, run.x_BTD).max_logits_H
        wanted_H = look(run.start, layout, run.x_BTD).max_logits_H.clamp(max=TAU)
        found.append(f"loud in micro-batch {loud_at + 1} of 3: largest logits {', '.join(f'{s:.3g}' for s in after_H)}")
        if not torch.allclose(after_H, wanted_H, rtol=clipped.EXACT):
            cause = "Only the last micro-batch counted." if loud_at < 2 else "Only the first micro-batch counted."
            raise Failed(found[-1], cause if not clip.changed else "")
    return "; ".join(found)


def _no_memory(make: Callable[..., Any], layout: Layout, seed: int) -> str:
    run = _Run(make, layout, seed, lr=0.0)
    run.step([run.x_BTD])
    with torch.no_grad():
        for name in _QUERIES & run.params.keys():
            run.params[name].mul_(0.01)
    before = run.weights
    run.step([run.x_BTD])
    changed = [name for name, weight in run.weights.items() if not weight.equal(before[name])]
    if changed:
        cause = "The largest logits of the first step were kept; they are to be forgotten after each clip."
        raise Failed(f"in the second, quiet step these changed: {', '.join(changed)}", cause)
    return "the second, quiet step changed nothing"


def _order(make: Callable[..., Any], layout: Layout, seed: int) -> str:
    ends = []
    for tau in (TAU, _NEVER):
        run = _Run(make, layout, seed, lr=0.01, tau=tau)
        run.step([run.x_BTD])
        ends.append(run)
    with_clip, without = ends
    gamma_H = with_clip.clip(with_clip.start, [with_clip.x_BTD]).gamma_H
    clip = Clip(layout, with_clip.x_BTD, gamma_H, without.weights, with_clip.weights)
    cause = "The clip ran before the update, or changed the gradients or the momentum that the update is made of."
    try:
        return f"against the same step without clip: {clipped.check_clipped_heads(clip)}"
    except Failed as failure:
        raise Failed(f"against the same step without clip: {failure.found}", cause) from None


def _update(make: Callable[..., Any], layout: Layout, seed: int) -> str:
    lr, decay, sizes = 0.01, 0.1, {}
    run = _Run(make, layout, seed, lr=lr, tau=_NEVER, decay=decay)
    run.step([run.x_BTD])
    for name, weight in run.weights.items():
        if weight.ndim == 2:
            update = (run.start[name] * (1 - lr * decay) - weight) / lr
            sizes[name] = update.square().mean().sqrt().item()
    found = "RMS " + ", ".join(f"{name} {rms:.3f}" for name, rms in sizes.items())
    if not all(0.15 <= rms <= 0.24 for rms in sizes.values()):
        raise Failed(found, "Try the optimizer alone with --kind muon: its report says more.")
    return found
