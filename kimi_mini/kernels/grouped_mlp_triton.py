"""Routed experts as Triton kernels: hundreds of unevenly loaded experts in three launches, none waiting for the host.

The assignments are sorted by expert (sort_triton). A table of row tiles, (expert, first row), is built on the device
(row_tiles_triton); its length is an upper bound from shapes alone, so idle programs leave at once and all of it fits in a CUDA
graph. Then

    gate and up   rows of x are fetched by token inside the product; SwiGLU and the routing weight are applied at its end
    down          writes a row per assignment at its own place of [T, K, D]
    sum           adds each token's K rows in fp32 in a fixed order: no atomics

No permuted or padded copy of x exists. For the backward the products of gate and up are kept, 2 F numbers an assignment. To
make them anew would cost 4 D F operations (a fifth more of forward and backward); to keep them costs 8 F bytes of traffic in 16
bits, and at D = 2048 that is about a tenth of the time. The weighted hidden activation is made anew for next to nothing.

Scope: fp32, fp16, bf16; any widths. Limiter: math where an expert has more than about 260 rows (H100), below that the experts'
bytes. Learned from: ScatterMoE (no padded copy), Liger-Kernel and SonicMoE (the routing weight's gradient from
<dy W_down, hidden>, so that no row of outputs is kept).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import require
from . import launch
from .grouped_mlp_triton_backward import backward
from .launch import Config, blocks
from .row_tiles_triton import Plan, grouped

# By prediction, not yet tuned on a device.
GATE_UP = {
    "hopper": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "ampere": Config({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "small": Config({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 32, "GROUP": 8}, warps=8, stages=4),
    "fp32": Config({"BLOCK_M": 64, "BLOCK_N": 32, "BLOCK_K": 16, "GROUP": 8}, warps=4, stages=2),
    "interpreter": Config({"BLOCK_M": 4, "BLOCK_N": 8, "BLOCK_K": 8, "GROUP": 2}),
}


@triton.jit
def _gate_up(
    x_ptr, gate_up_ptr, weight_ptr, order_ptr, ends_ptr, tile_expert_ptr, tile_row_ptr, product_ptr, hidden_ptr,
    n_tiles, E, D, F, K: tl.constexpr, KEEP: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile, column = grouped(tl.program_id(0), n_tiles, tl.cdiv(F, BLOCK_N), GROUP)
    expert = tl.load(tile_expert_ptr + tile).to(tl.int64)
    if expert >= E:
        return
    row = tl.load(tile_row_ptr + tile).to(tl.int64) + tl.arange(0, BLOCK_M)
    is_row = row < tl.load(ends_ptr + expert)
    assignment = tl.load(order_ptr + row, mask=is_row, other=0)
    x_ptrs = x_ptr + (assignment // K)[:, None] * D
    f = column * BLOCK_N + tl.arange(0, BLOCK_N)
    gate_ptrs = gate_up_ptr + (expert * 2 * F + f)[None, :] * D
    gate, up = tl.zeros((BLOCK_M, BLOCK_N), tl.float32), tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for first in range(0, D, BLOCK_K):
        d = first + tl.arange(0, BLOCK_K)
        x = tl.load(x_ptrs + d[None, :], mask=is_row[:, None] & (d < D)[None, :], other=0.0)
        is_weight = (d < D)[:, None] & (f < F)[None, :]
        gate_DF = tl.load(gate_ptrs + d[:, None], mask=is_weight, other=0.0)
        gate = tl.dot(x, gate_DF, gate, input_precision=PRECISION)
        up_DF = tl.load(gate_ptrs + F * D + d[:, None], mask=is_weight, other=0.0)
        up = tl.dot(x, up_DF, up, input_precision=PRECISION)
    inside = is_row[:, None] & (f < F)[None, :]
    dtype = hidden_ptr.dtype.element_ty
    if KEEP:
        tl.store(product_ptr + row[:, None] * 2 * F + f[None, :], gate.to(dtype), mask=inside)
        tl.store(product_ptr + row[:, None] * 2 * F + F + f[None, :], up.to(dtype), mask=inside)
    assignment = tl.load(order_ptr + row, mask=is_row, other=0)  # again: kept through the loop, it would cost a spill
    weight = tl.load(weight_ptr + assignment, mask=is_row, other=0.0).to(tl.float32)
    hidden = gate * tl.sigmoid(gate) * up * weight[:, None]
    tl.store(hidden_ptr + row[:, None] * F + f[None, :], hidden.to(dtype), mask=inside)


class _GroupedMLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_TD: Tensor, expert_TK: Tensor, weight_TK: Tensor, gate_up_E2FD: Tensor, down_EDF: Tensor, keep: bool):
        E, D, F = down_EDF.shape
        plan = Plan(expert_TK, E, x_TD.dtype)
        hidden_AF = x_TD.new_empty(expert_TK.numel(), F)
        product_A2F = x_TD.new_empty(expert_TK.numel(), 2 * F) if keep else None
        config = plan.fit(GATE_UP)
        _gate_up[(plan.n_tiles * blocks(F, config.tiles["BLOCK_N"]),)](
            x_TD, gate_up_E2FD, weight_TK, *plan.where, product_A2F, hidden_AF,
            plan.n_tiles, E, D, F, plan.k, keep, PRECISION=launch.PRECISION, **config.options(),
        )  # fmt: skip
        if keep:
            ctx.save_for_backward(x_TD, weight_TK, gate_up_E2FD, down_EDF, product_A2F)
            ctx.plan = plan
        return plan.by_row(hidden_AF, down_EDF.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx, dout_TD: Tensor):
        wanted = [ctx.needs_input_grad[i] for i in (0, 2, 3, 4)]
        dx_TD, dweight_TK, dgate_up, ddown = backward(ctx.plan, dout_TD.contiguous(), *ctx.saved_tensors, wanted=wanted)
        return dx_TD, None, dweight_TK, dgate_up, ddown, None


def grouped_mlp(x_TD: Tensor, expert_TK: Tensor, weight_TK: Tensor, gate_up_E2FD: Tensor, down_EDF: Tensor) -> Tensor:
    E, D, F = down_EDF.shape
    shapes = [list(t.shape) for t in (x_TD, weight_TK, gate_up_E2FD)]
    fit = shapes == [[len(expert_TK), D], list(expert_TK.shape), [E, 2, F, D]]
    require(
        fit, "shapes of x_TD, weight_TK and gate_up_E2FD", shapes, f"those of {list(expert_TK.shape)} choices and {[E, D, F]}"
    )
    dtypes = {x_TD.dtype, gate_up_E2FD.dtype, down_EDF.dtype}
    require(len(dtypes) == 1, "dtypes", dtypes, "one for x_TD, gate_up_E2FD and down_EDF")
    leaves = (x_TD, weight_TK, gate_up_E2FD, down_EDF)
    keep = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)
    x_TD, weight_TK, gate_up_E2FD, down_EDF = (leaf.contiguous() for leaf in leaves)
    return _GroupedMLP.apply(x_TD, expert_TK.contiguous(), weight_TK, gate_up_E2FD, down_EDF, keep)
