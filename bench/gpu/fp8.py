"""G12: FP8 with a scale per 1x128 tile: into it, back, and fused behind SwiGLU.

Legend: T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

from kimi_mini import kernels
from kimi_mini.kernels import work

from ..harness import Case, relative_error
from .common import OURS, Metric, Trial, Way, compiled, fast_format, make_case, optional

TORCH, COMPILED, TORCHAO = "torch ops", "torch.compile", "torchao"
QUANTIZE, DEQUANTIZE, SWIGLU = 0, 1, 2
_TILE = (1, 128)


def build(device: torch.device, *, tokens: int, width: int, op: int) -> Case:
    """Random rows, every eighth of them zero. What the torch form gives is the truth, to be met bit for bit.

    Behind SwiGLU exponentials differ in their last bit, so there scales have a relative error, and a few codes may turn.
    """
    torch.manual_seed(0)
    x_TD, up_TD = (torch.randn(tokens, width, device=device, dtype=fast_format(device)) for _ in range(2))
    x_TD[::8] = 0
    if op == DEQUANTIZE:
        q_TD, scale = kernels.quantize_fp8(x_TD, _TILE, impl="torch")
        return _case(lambda impl: _dequantize(impl, x_TD.dtype), [q_TD, scale], {"values": _share_off})
    if op == SWIGLU:
        return _case(_swiglu, [x_TD, up_TD], {"codes": _share_off, "scales": relative_error})
    both = {"codes": _share_off, "scales": _share_off}
    return _case(_quantize, [x_TD], both, {TORCHAO: ("torchao", lambda: _torchao(x_TD))})


def cost(*, tokens: int, width: int, op: int) -> work.Work:
    """Dequantising moves the bytes of quantising, the other way."""
    return (work.swiglu_fp8 if op == SWIGLU else work.quantize_fp8)(tokens, width)


def _quantize(impl: str) -> Callable:
    return lambda x_TD: kernels.quantize_fp8(x_TD, _TILE, impl=impl)


def _dequantize(impl: str, dtype: torch.dtype) -> Callable:
    return lambda q_TD, scale: kernels.dequantize_fp8(q_TD, scale, _TILE, dtype=dtype, impl=impl)


def _swiglu(impl: str) -> Callable:
    return lambda gate_TD, up_TD: kernels.swiglu_fp8(gate_TD, up_TD, impl=impl)


def _case(form: Callable[[str], Callable], inputs: list[Tensor], metrics: dict[str, Metric], more: dict | None = None) -> Case:
    trial, device, torch_form = Trial(inputs, tuple(metrics)), inputs[0].device, form("torch")
    peers, missing = optional(more or {})
    ways = {OURS: form("auto"), TORCH: torch_form, COMPILED: compiled(torch_form, device)}
    made = {name: trial.way(op) for name, op in ways.items()} | peers
    return make_case(made, trial.way(torch_form), metrics=metrics, missing=missing)


def _share_off(got: Tensor, exact: Tensor) -> float:
    """The share of numbers that are not the same to the last bit."""
    return (got.float() != exact.float()).double().mean().item() if got.shape == exact.shape else 1.0


def _torchao(x_TD: Tensor) -> Way:
    """Its scales are reciprocals in another layout: the codes are compared."""
    run = import_module("torchao.prototype.blockwise_fp8_training.kernels").triton_fp8_blockwise_act_quant_lhs
    return lambda: {"codes": run(x_TD)[0]}
