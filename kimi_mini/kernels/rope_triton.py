"""Rotary positions on interleaved pairs as a Triton kernel: a program per tile of (token, head) rows, products in fp32.

Scope: even rotary widths, x of any layout whose last axis has stride 1 (the rotary part of the queries is read where it lies),
tables of one batch row or of B; fp32, fp16, bf16. Each row is loaded whole and split into pairs in registers, so loads and
stores stay wide. The backward is the same kernel with the sine's sign turned: a rotation's transpose turns back. The table is
a constant here: it gets no gradient. Limiter: bytes (one read, one write; the table's rows come from the caches).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import require
from .launch import Config, blocks, interpreting, next_power_of_2, rows_of

_TILE = 32 if interpreting() else 4096  # numbers a program; by prediction (32 a thread), not yet tuned on a device


def _config(width: int) -> Config:
    padded = next_power_of_2(width)
    return Config({"N_BLOCK": max(_TILE // padded, 1), "R_BLOCK": padded}, warps=4, stages=1)


@triton.jit
def _rotate(
    x_ptr, cos_ptr, sin_ptr, y_ptr, T, H, N, R, x_stride_b, x_stride_t, x_stride_h, table_stride_b,
    BACK: tl.constexpr, N_BLOCK: tl.constexpr, R_BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0) * N_BLOCK + tl.arange(0, N_BLOCK)
    head, token = (n % H).to(tl.int64), n // H
    batch, time = (token // T).to(tl.int64), (token % T).to(tl.int64)
    column, pair = tl.arange(0, R_BLOCK), tl.arange(0, R_BLOCK // 2)
    inside = (n < N)[:, None] & (column < R)[None, :]
    m_table = (n < N)[:, None] & (pair < R // 2)[None, :]

    at_x = (batch * x_stride_b + time * x_stride_t + head * x_stride_h)[:, None] + column[None, :]
    at_table = (batch * table_stride_b + time * (R // 2))[:, None] + pair[None, :]
    x = tl.load(x_ptr + at_x, mask=inside, other=0.0).to(tl.float32)
    cos = tl.load(cos_ptr + at_table, mask=m_table, other=0.0).to(tl.float32)
    sin = tl.load(sin_ptr + at_table, mask=m_table, other=0.0).to(tl.float32)
    if BACK:
        sin = -sin
    even, odd = tl.split(tl.reshape(x, (N_BLOCK, R_BLOCK // 2, 2)))
    y = tl.interleave(even * cos - odd * sin, odd * cos + even * sin)
    at_y = n.to(tl.int64)[:, None] * R + column[None, :]
    tl.store(y_ptr + at_y, y.to(y_ptr.dtype.element_ty), mask=inside)


def _turn(x_BTHR: Tensor, cos_BTP: Tensor, sin_BTP: Tensor, back: bool) -> Tensor:
    x_BTHR = rows_of(x_BTHR)
    B, T, H, R = x_BTHR.shape
    y_BTHR, config = torch.empty((B, T, H, R), dtype=x_BTHR.dtype, device=x_BTHR.device), _config(R)
    strides = (*x_BTHR.stride()[:3], cos_BTP.stride(0) if len(cos_BTP) > 1 else 0)
    _rotate[(blocks(B * T * H, config.tiles["N_BLOCK"]),)](
        x_BTHR, cos_BTP, sin_BTP, y_BTHR, T, H, B * T * H, R, *strides, back, **config.options()
    )
    return y_BTHR


class _Rope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_BTHR: Tensor, cos_BTP: Tensor, sin_BTP: Tensor) -> Tensor:
        ctx.save_for_backward(cos_BTP, sin_BTP)
        return _turn(x_BTHR, cos_BTP, sin_BTP, back=False)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_BTHR: Tensor) -> tuple[Tensor, None, None]:
        return _turn(dy_BTHR, *ctx.saved_tensors, back=True), None, None


def rope(x_BTHR: Tensor, cos_BTP: Tensor, sin_BTP: Tensor) -> Tensor:
    B, T, _, R = x_BTHR.shape
    require(R % 2 == 0, "rotary width", R, "an even number of columns")
    for name, table in (("cos_BTP", cos_BTP), ("sin_BTP", sin_BTP)):
        fits = table.shape in ((B, T, R // 2), (1, T, R // 2))
        require(fits, f"{name}'s shape", list(table.shape), f"[{B} or 1, {T}, {R // 2}]")
    return _Rope.apply(x_BTHR, cos_BTP.contiguous(), sin_BTP.contiguous())
