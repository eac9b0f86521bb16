"""RMSNorm, alone and with the residual addition before it, as Triton kernels: a program per row, statistics in fp32.

Scope: rows that fit in one block (up to 16,384 columns), contiguous; fp32, fp16, bf16. Limiter: bytes. The forward reads x once
and writes y once (with the residual: reads two, writes two). The backward recomputes x / rms(x) from the saved 1 / rms, and
adds the weight's gradient in registers: each program walks its share of the rows and writes one partial row, and torch adds
the partial rows, so the sum has a fixed order and needs no atomics (the trick of the fast published backward passes).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import require
from .launch import Config, interpreting, next_power_of_2, require_fit

MAX_WIDTH = 16_384
_PARTIALS = 3 if interpreting() else 528  # rows of partial weight gradients: four programs for each of an H100's 132 processors


def _config(width: int) -> Config:
    # By prediction, not yet tuned on a device: 16 bytes a thread and load up to 8 warps, then more columns a thread.
    block = next_power_of_2(width)
    return Config({"D_BLOCK": block}, warps=min(max(block // 256, 1), 16), stages=1)


@triton.jit
def _forward(
    x_ptr, residual_ptr, weight_ptr, sum_ptr, y_ptr, rrms_ptr, D, eps, HAS_RESIDUAL: tl.constexpr, D_BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, D_BLOCK)
    inside = column < D
    x = tl.load(x_ptr + row * D + column, mask=inside, other=0.0)
    if HAS_RESIDUAL:
        x = x + tl.load(residual_ptr + row * D + column, mask=inside, other=0.0)
        tl.store(sum_ptr + row * D + column, x, mask=inside)
    x = x.to(tl.float32)
    rrms = 1.0 / tl.sqrt(tl.sum(x * x, 0) / D + eps)
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0)
    normed = (x * rrms).to(y_ptr.dtype.element_ty)  # rounded before the weight, as the definition does
    tl.store(y_ptr + row * D + column, normed * weight.to(normed.dtype), mask=inside)
    tl.store(rrms_ptr + row, rrms)


@triton.jit
def _backward(
    dy_ptr, dsum_ptr, x_ptr, weight_ptr, rrms_ptr, dx_ptr, dweight_ptr, T, D, HAS_RESIDUAL: tl.constexpr, D_BLOCK: tl.constexpr
):
    program = tl.program_id(0).to(tl.int64)  # so that offsets of large tensors do not overflow
    column = tl.arange(0, D_BLOCK)
    inside = column < D
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0).to(tl.float32)
    dweight = tl.zeros((D_BLOCK,), tl.float32)
    for row in range(program, T, tl.num_programs(0)):
        at = row * D + column
        dy = tl.load(dy_ptr + at, mask=inside, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        rrms = tl.load(rrms_ptr + row)
        normed = x * rrms
        dweight += dy * normed
        dnormed = dy * weight
        dx = rrms * (dnormed - normed * (tl.sum(dnormed * normed, 0) / D))
        if HAS_RESIDUAL:
            dx += tl.load(dsum_ptr + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), mask=inside)
    tl.store(dweight_ptr + program * D + column, dweight, mask=inside)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_TD: Tensor, residual_TD: Tensor | None, weight_D: Tensor, eps: float):
        T, D = x_TD.shape
        y_TD, rrms_T = torch.empty_like(x_TD), torch.empty(T, dtype=torch.float32, device=x_TD.device)
        sum_TD = x_TD if residual_TD is None else torch.empty_like(x_TD)
        _forward[(T,)](
            x_TD, residual_TD, weight_D, sum_TD, y_TD, rrms_T, D, eps, residual_TD is not None, **_config(D).options()
        )
        ctx.save_for_backward(sum_TD, weight_D, rrms_T)
        ctx.has_residual = residual_TD is not None
        return (y_TD, sum_TD) if ctx.has_residual else y_TD

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_TD: Tensor, dsum_TD: Tensor | None = None):
        x_TD, weight_D, rrms_T = ctx.saved_tensors
        T, D = x_TD.shape
        programs = min(_PARTIALS, T)
        dx_TD = torch.empty_like(x_TD)
        dweight_PD = torch.empty(programs, D, dtype=torch.float32, device=x_TD.device)
        dsum_TD = dsum_TD.contiguous() if ctx.has_residual else None
        _backward[(programs,)](
            dy_TD.contiguous(),
            dsum_TD,
            x_TD,
            weight_D,
            rrms_T,
            dx_TD,
            dweight_PD,
            T,
            D,
            ctx.has_residual,
            **_config(D).options(),
        )
        return dx_TD, dx_TD if ctx.has_residual else None, dweight_PD.sum(0).to(weight_D.dtype), None


def _rows(x_D: Tensor, weight_D: Tensor) -> Tensor:
    require(weight_D.shape == x_D.shape[-1:], "weight_D's shape", list(weight_D.shape), f"[{x_D.shape[-1]}], the width of x_D")
    require_fit(0 < x_D.shape[-1] <= MAX_WIDTH, "width", x_D.shape[-1], f"1 to {MAX_WIDTH} columns (impl='torch' takes more)")
    return x_D.reshape(-1, x_D.shape[-1]).contiguous()


def rms_norm(x_D: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    return _RMSNorm.apply(_rows(x_D, weight_D), None, weight_D.contiguous(), eps).view(x_D.shape)


def add_rms_norm(x_D: Tensor, residual_D: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    fits = (residual_D.shape, residual_D.dtype) == (x_D.shape, x_D.dtype)
    require_fit(fits, "residual_D", (list(residual_D.shape), residual_D.dtype), f"shape and dtype of x_D, {list(x_D.shape)}")
    y_TD, sum_TD = _RMSNorm.apply(_rows(x_D, weight_D), _rows(residual_D, weight_D), weight_D.contiguous(), eps)
    return y_TD.view(x_D.shape), sum_TD.view(x_D.shape)
