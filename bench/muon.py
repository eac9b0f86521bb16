"""C5: one Muon step over all block matrices of the tiny model, ours beside torch.optim.Muon on the same matrices split up.

Two cases: as both come (a bf16 iteration where the hardware is fast at it), and both kept in fp32, for CPUs that are not.
"""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import Parameter

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.optim import Muon, update_scale
from kimi_mini.train.loss import Batch, next_token_loss

from . import tiny
from .harness import Case, Errors, relative_error

OURS, TORCH, PASS = "ours", "torch.optim.Muon", "forward + backward"
LR, DECAY = 0.02, 0.1

Optimise = tuple[list[Parameter], Callable[[], object]]  # parameters with gradients, and the step that updates them


def build(*, batch: int, length: int, fp32: bool = False, **shape: int) -> Case:
    """Gradients are those of one real batch; its forward and backward pass is timed too: what the step costs beside it."""
    model = tiny.our_model(tiny.config(**shape))
    data = Batch(*torch.randint(shape["vocab"], (2, batch, length)))
    _forward_backward(model, data)
    slabs = [p for name, p in model.named_parameters() if p.ndim >= 2 and name.startswith("blocks.")]
    makers = {OURS: ours, TORCH: split_up}

    def check() -> Errors:
        errors = {}
        for name, make in makers.items():
            params, step = make(slabs, fp32)
            step()
            errors[name] = {"update": update_error(params, slabs)}
        return errors

    contenders = {name: make(slabs, fp32)[1] for name, make in makers.items()}
    notes = {"matrices": sum(len(_matrices(p)) for p in slabs), "parameters": sum(p.numel() for p in slabs)}
    return Case(contenders | {PASS: lambda: _forward_backward(model, data)}, check, notes=notes)


def _forward_backward(model: km.KimiMini, data: Batch) -> None:
    model.zero_grad()
    loss_sum, count = next_token_loss(model(data.tokens_BT).logits_BTV, data)
    (loss_sum / count).backward()


def _matrices(slab: Tensor) -> tuple[Tensor, ...]:
    return slab.reshape(-1, *slab.shape[-2:]).unbind(0)


def with_grad(weight: Tensor, grad: Tensor) -> Parameter:
    parameter = Parameter(weight.detach().clone())
    parameter.grad = grad.clone()
    return parameter


def ours(slabs: list[Parameter], fp32: bool) -> Optimise:
    params = [with_grad(p, p.grad) for p in slabs]
    return params, Muon(params, lr=LR, weight_decay=DECAY, ns_dtype=torch.float32 if fp32 else None).step


def split_up(slabs: list[Parameter], fp32: bool) -> Optimise:
    """torch's optimizer takes matrices only, and always iterates in bf16; with `fp32` its cast becomes a copy."""
    params = [with_grad(w, g) for p in slabs for w, g in zip(_matrices(p), _matrices(p.grad), strict=True)]
    optimizer = torch.optim.Muon(params, lr=LR, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")

    def step_in_fp32() -> None:
        with patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            optimizer.step()

    return params, step_in_fp32 if fp32 else optimizer.step


@torch.no_grad()
def update_error(params: list[Parameter], before: list[Parameter]) -> float:
    """What the first step added besides decay, against the definition in float64; the worst matrix counts."""
    after = [m for p in params for m in _matrices(p)]
    old = [(w, g) for p in before for w, g in zip(_matrices(p), _matrices(p.grad), strict=True)]
    worst = 0.0
    for new, (weight, grad) in zip(after, old, strict=True):
        exact = -LR * update_scale(*grad.shape) * kernels.newton_schulz(grad.double(), impl="ref")
        worst = max(worst, relative_error(new.double() - weight.double() * (1 - LR * DECAY), exact))
    return worst
