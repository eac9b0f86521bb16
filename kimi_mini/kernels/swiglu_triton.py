"""SwiGLU's elementwise half, silu(gate) * up, as Triton kernels: a program per tile of rows and columns, sums in fp32.

Scope: any shape whose last axis has stride 1 and whose other axes merge into one row stride, so both halves of one fused
gate-and-up product are read where they lie; anything else is copied first. fp32, fp16, bf16. Limiter: bytes. The forward
reads two tensors and writes one. The backward saves nothing but its inputs: it recomputes silu in registers and writes both
gradients in one pass (three reads, two writes). Where torch rounds silu(gate) to the input's format before it multiplies, this
rounds once, at the end.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import require
from .launch import Config, blocks, interpreting, next_power_of_2, rows_of

_TILE = 64 if interpreting() else 4096  # numbers a program; by prediction (16 a thread), not yet tuned on a device


def _config(width: int) -> Config:
    columns = min(next_power_of_2(width), _TILE // 4)
    return Config({"T_BLOCK": _TILE // columns, "F_BLOCK": columns}, warps=8, stages=1)


@triton.jit
def _forward(gate_ptr, up_ptr, y_ptr, T, F, gate_stride, up_stride, T_BLOCK: tl.constexpr, F_BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * T_BLOCK + tl.arange(0, T_BLOCK)[:, None]
    column = tl.program_id(1) * F_BLOCK + tl.arange(0, F_BLOCK)[None, :]
    inside = (row < T) & (column < F)
    gate = tl.load(gate_ptr + row * gate_stride + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(up_ptr + row * up_stride + column, mask=inside, other=0.0).to(tl.float32)
    y = gate * tl.sigmoid(gate) * up
    tl.store(y_ptr + row * F + column, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _backward(
    dy_ptr, gate_ptr, up_ptr, dgate_ptr, dup_ptr, T, F, dy_stride, gate_stride, up_stride,
    T_BLOCK: tl.constexpr, F_BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * T_BLOCK + tl.arange(0, T_BLOCK)[:, None]
    column = tl.program_id(1) * F_BLOCK + tl.arange(0, F_BLOCK)[None, :]
    inside = (row < T) & (column < F)
    dy = tl.load(dy_ptr + row * dy_stride + column, mask=inside, other=0.0).to(tl.float32)
    gate = tl.load(gate_ptr + row * gate_stride + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(up_ptr + row * up_stride + column, mask=inside, other=0.0).to(tl.float32)
    opening = tl.sigmoid(gate)
    silu = gate * opening
    dgate = dy * up * (opening + silu * (1.0 - opening))
    tl.store(dgate_ptr + row * F + column, dgate.to(dgate_ptr.dtype.element_ty), mask=inside)
    tl.store(dup_ptr + row * F + column, (dy * silu).to(dup_ptr.dtype.element_ty), mask=inside)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate_TF: Tensor, up_TF: Tensor) -> Tensor:
        T, F = gate_TF.shape
        y_TF, config = torch.empty((T, F), dtype=gate_TF.dtype, device=gate_TF.device), _config(F)
        _forward[_grid(T, F, config)](gate_TF, up_TF, y_TF, T, F, gate_TF.stride(0), up_TF.stride(0), **config.options())
        ctx.save_for_backward(gate_TF, up_TF)
        return y_TF

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_TF: Tensor) -> tuple[Tensor, Tensor]:
        gate_TF, up_TF = ctx.saved_tensors
        (T, F), dy_TF, config = gate_TF.shape, _rows(dy_TF), _config(gate_TF.shape[1])
        dgate_TF, dup_TF = (torch.empty((T, F), dtype=gate_TF.dtype, device=gate_TF.device) for _ in range(2))
        strides = (dy_TF.stride(0), gate_TF.stride(0), up_TF.stride(0))
        _backward[_grid(T, F, config)](dy_TF, gate_TF, up_TF, dgate_TF, dup_TF, T, F, *strides, **config.options())
        return dgate_TF, dup_TF


def _grid(T: int, F: int, config: Config) -> tuple[int, int]:
    return blocks(T, config.tiles["T_BLOCK"]), blocks(F, config.tiles["F_BLOCK"])


def _rows(x_F: Tensor) -> Tensor:
    return rows_of(x_F.reshape(-1, x_F.shape[-1]))  # views where the layout allows it


def swiglu(gate_F: Tensor, up_F: Tensor) -> Tensor:
    require(gate_F.shape == up_F.shape, "up_F's shape", list(up_F.shape), f"that of gate_F, {list(gate_F.shape)}")
    require(gate_F.dtype == up_F.dtype, "up_F's dtype", up_F.dtype, f"that of gate_F, {gate_F.dtype}")
    return _SwiGLU.apply(_rows(gate_F), _rows(up_F)).view(gate_F.shape)
