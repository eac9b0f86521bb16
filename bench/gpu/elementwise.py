"""G9, G10 and G12: operations limited by bytes alone: RMSNorm (with a residual), SwiGLU's elementwise half, FP8.

Legend: T tokens, D width, F expert width.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch

from kimi_mini import kernels
from kimi_mini.kernels import rows, work

from ..harness import Case
from .common import OURS, Trial, compiled, fast_format, make_case, optional

STOCK, COMPILED, LIGER, FLA = "torch", "torch.compile", "Liger", "fla"
_EPS = 1e-6


def build_norm(device: torch.device, *, tokens: int, width: int, residual: int = 0, backward: int = 0) -> Case:
    """RMSNorm, alone or of the sum with a residual, which is an output too; forward, or backward alone with dW."""
    torch.manual_seed(0)
    options = {"device": device, "dtype": fast_format(device)}
    x_TD, residual_TD, *grads = (torch.randn(tokens, width, **options) for _ in range(4))
    weight_D = 1 + 0.1 * torch.randn(width, device=device)
    operands = (
        [("x", x_TD), ("residual", residual_TD), ("weight", weight_D)] if residual else [("x", x_TD), ("weight", weight_D)]
    )
    outputs = ("norm", "sum") if residual else ("norm",)
    trial = Trial(
        [x for _, x in operands], outputs, [f"d{name}" for name, _ in operands], grads[: len(outputs)],
        "backward" if backward else "forward",
    )  # fmt: skip
    name = "add_rms_norm" if residual else "rms_norm"
    ours, stock, reference = getattr(kernels, name), getattr(rows, f"{name}_torch"), getattr(rows, f"{name}_ref")

    def way(op: Callable):
        return trial.way(lambda *args: op(*args, _EPS))

    more, missing = optional({
        LIGER: ("liger_kernel", lambda: way(_liger_norm(residual))),
        FLA: ("fla", lambda: way(_fla_norm(residual))),
    })  # fmt: skip
    ways = {OURS: way(ours), STOCK: way(stock), COMPILED: way(compiled(stock, device))} | more
    return make_case(ways, trial.exactly(lambda *args: reference(*args, _EPS)), missing=missing)


def norm_work(*, tokens: int, width: int, residual: int = 0, backward: int = 0) -> work.Work:
    """With a residual the backward pass reads one gradient more."""
    if backward:
        return work.rms_norm_backward(tokens, width) + work.Work(0, residual * work.BF16 * tokens * width)
    return (work.add_rms_norm_forward if residual else work.rms_norm_forward)(tokens, width)


def build_swiglu(device: torch.device, *, tokens: int, hidden: int, backward: int = 0) -> Case:
    """silu(gate) * up; forward, or backward alone."""
    torch.manual_seed(0)
    gate_TF, up_TF, grad_TF = (torch.randn(tokens, hidden, device=device, dtype=fast_format(device)) for _ in range(3))
    trial = Trial([gate_TF, up_TF], ("out",), ("dgate", "dup"), (grad_TF,), "backward" if backward else "forward")
    more, missing = optional({LIGER: ("liger_kernel", lambda: trial.way(_liger().liger_swiglu))})
    ways = {OURS: kernels.swiglu, STOCK: rows.swiglu_torch, COMPILED: compiled(rows.swiglu_torch, device)}
    made = {name: trial.way(op) for name, op in ways.items()} | more
    return make_case(made, trial.exactly(rows.swiglu_ref), missing=missing)


def swiglu_work(*, tokens: int, hidden: int, backward: int = 0) -> work.Work:
    return (work.swiglu_backward if backward else work.swiglu_forward)(tokens, hidden)


# ---- peers -----------------------------------------------------------------------------------------------------------


def _liger():
    return import_module("liger_kernel.transformers.functional")


def _liger_norm(residual: int) -> Callable:
    """Not in place: the backward pass runs again and again on one graph."""
    functional = _liger()
    if not residual:
        return lambda x, weight, eps: functional.liger_rms_norm(x, weight.to(x.dtype), eps, in_place=False)
    return lambda x, r, weight, eps: functional.liger_fused_add_rms_norm(x, r, weight.to(x.dtype), eps, in_place=False)


def _fla_norm(residual: int) -> Callable:
    rms_norm = import_module("fla.modules.layernorm").rms_norm
    if not residual:
        return lambda x, weight, eps: rms_norm(x, weight, None, eps=eps)
    return lambda x, r, weight, eps: rms_norm(x, weight, None, residual=r, eps=eps, prenorm=True)
