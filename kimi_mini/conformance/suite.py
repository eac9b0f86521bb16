"""The conformance suite: which checks there are for which kind of code, and the protocol that the code must follow.

The protocol, one callable of the user's for each kind; `layout` is a `Layout`, whose docstring says how weights are laid out:

    muon        make(params, *, lr, weight_decay, momentum) -> torch.optim.Optimizer
                params: a list of torch parameters, fp32 matrices (and, in one check, a stack [n, A, B]; refusing it is fine)
    max-logits  max_logits(micro_batches, scale) -> [heads]
                micro_batches: a list of (q_BTHN, k_BTGN), turned and ready; all belong to one step
    qk-clip     clip(weights, max_logits_H, tau, layout)
                weights: a dict of [out, in] tensors in float64; write into them, put new ones in, or return a dict of new ones
    muonclip    make(weights, layout, *, lr, weight_decay, momentum, tau) -> step
                step(micro_batches): one update of `weights`, whose .grad are set; the statistic is the callable's own

Only behaviour counts, on synthetic heads drawn from a seed: no name and no source is looked at. `adapters` has examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..checks import is_int, require
from .check_clip import clip_checks
from .check_logits import logit_checks
from .check_muon import muon_checks
from .check_muonclip import muonclip_checks
from .heads import Layout
from .report import Report, run_checks

_CHECKS: dict[str, Callable[..., list]] = {
    "muon": lambda layout, seed: muon_checks(seed),
    "max-logits": logit_checks,
    "qk-clip": clip_checks,
    "muonclip": muonclip_checks,
}
KINDS = tuple(_CHECKS)


def conformance(
    callable_: Callable[..., Any], kind: str, layout: Layout | None = None, *, name: str = "", seed: int = 0
) -> Report:
    """Put a callable through all checks of its kind (layout None: K2's own). `name` is what the report calls it.

    An exception inside the callable fails the check it happened in. Raises ValueError for an unknown kind or a seed below 0.
    """
    require(kind in KINDS, "kind", kind, " or ".join(map(repr, KINDS)))
    require(is_int(seed, 0), "seed", seed, "an integer >= 0")
    layout = layout or Layout()
    subject = f"{name or getattr(callable_, '__name__', 'the callable')} as {kind}"
    subject += "" if kind == "muon" else f" ({layout})"
    return run_checks(kind, subject, _CHECKS[kind](layout, seed), callable_)
