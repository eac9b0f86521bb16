"""The backward of the routed experts: gradients of tokens, routing weights and both slabs, with no atomics and no wait.

    hidden    dy W_down for each sorted row (dy fetched by token inside the product); at its end the gradients of the products
              of gate and up, the weighted hidden activation made anew, and the routing weight's gradient <dy W_down, hidden>,
              one partial sum per tile of columns
    tokens    those gradients times the gate and up matrices, a row per assignment, then the sum over K (as in the forward)
    slabs     for each expert the product over its own rows; an expert without rows gets zeros

Limiter: math, as in the forward; for the slabs of nearly empty experts the bytes of the gradients themselves.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import launch
from .launch import Config, blocks, choose
from .row_tiles_triton import Plan, grouped

# By prediction, not yet tuned on a device.
D_HIDDEN = {
    "hopper": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "ampere": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "small": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 32, "GROUP": 8}, warps=8, stages=4),
    "fp32": Config({"BLOCK_M": 64, "BLOCK_N": 32, "BLOCK_K": 16, "GROUP": 8}, warps=4, stages=2),
    "interpreter": Config({"BLOCK_M": 4, "BLOCK_N": 8, "BLOCK_K": 8, "GROUP": 2}),
}
D_SLAB = {
    "hopper": Config({"BLOCK_M": 128, "BLOCK_N": 256, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "ampere": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "small": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 32, "GROUP": 8}, warps=8, stages=4),
    "fp32": Config({"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 16, "GROUP": 8}, warps=4, stages=2),
    "interpreter": Config({"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_K": 8, "GROUP": 2}),
}


@triton.jit
def _d_hidden(
    dout_ptr, down_ptr, weight_ptr, order_ptr, ends_ptr, tile_expert_ptr, tile_row_ptr,
    product_ptr, dproduct_ptr, hidden_ptr, dweight_ptr, n_tiles, A, E, D, F, K: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile, column = grouped(tl.program_id(0), n_tiles, tl.cdiv(F, BLOCK_N), GROUP)
    expert = tl.load(tile_expert_ptr + tile).to(tl.int64)
    if expert >= E:
        return
    row = tl.load(tile_row_ptr + tile).to(tl.int64) + tl.arange(0, BLOCK_M)
    is_row = row < tl.load(ends_ptr + expert)
    dout_ptrs = dout_ptr + (tl.load(order_ptr + row, mask=is_row, other=0) // K)[:, None] * D
    f = column * BLOCK_N + tl.arange(0, BLOCK_N)
    down_ptrs = down_ptr + expert * D * F + f[None, :]
    dhidden = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for first in range(0, D, BLOCK_K):
        d = first + tl.arange(0, BLOCK_K)
        dout = tl.load(dout_ptrs + d[None, :], mask=is_row[:, None] & (d < D)[None, :], other=0.0)
        down_DF = tl.load(down_ptrs + d[:, None] * F, mask=(d < D)[:, None] & (f < F)[None, :], other=0.0)
        dhidden = tl.dot(dout, down_DF, dhidden, input_precision=PRECISION)
    assignment = tl.load(order_ptr + row, mask=is_row, other=0)
    weight = tl.load(weight_ptr + assignment, mask=is_row, other=0.0).to(tl.float32)[:, None]
    first_row = tl.load(tile_row_ptr + tile).to(tl.int64)
    local = tl.arange(0, BLOCK_M)[:, None]
    product_ptr += first_row * 2 * F
    dproduct_ptr += first_row * 2 * F
    hidden_ptr += first_row * F
    dtype = hidden_ptr.dtype.element_ty
    dweight = tl.zeros((BLOCK_M,), tl.float32)
    HALF: tl.constexpr = BLOCK_N // 2  # half of the columns at a time, or the registers overflow
    left, right = tl.split(tl.permute(tl.reshape(dhidden, (BLOCK_M, 2, HALF)), (0, 2, 1)))
    for side in tl.static_range(2):
        dhidden = left if side == 0 else right
        f = (column * BLOCK_N + side * HALF + tl.arange(0, HALF))[None, :]
        inside = is_row[:, None] & (f < F)
        at = local * 2 * F + f
        gate = tl.load(product_ptr + at, mask=inside, other=0.0).to(tl.float32)
        up = tl.load(product_ptr + F + at, mask=inside, other=0.0).to(tl.float32)
        sigmoid = tl.sigmoid(gate)
        hidden = gate * sigmoid * up
        dweight += tl.sum(dhidden * hidden, 1)
        tl.store(hidden_ptr + local * F + f, (hidden * weight).to(dtype), mask=inside)
        dhidden = dhidden * weight
        tl.store(dproduct_ptr + F + at, (dhidden * gate * sigmoid).to(dtype), mask=inside)
        dgate = dhidden * up * sigmoid * (1.0 + gate * (1.0 - sigmoid))
        tl.store(dproduct_ptr + at, dgate.to(dtype), mask=inside)
    tl.store(dweight_ptr + column.to(tl.int64) * A + assignment, dweight, mask=is_row)


@triton.jit
def _d_slab(
    a_ptr, b_ptr, order_ptr, ends_ptr, slab_ptr, M, N, K: tl.constexpr, A_BY_TOKEN: tl.constexpr, B_BY_TOKEN: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A tile of an expert's [M, N]: the product a^T b over its rows, each side sorted already or fetched by token."""
    programs = tl.cdiv(M, BLOCK_M) * tl.cdiv(N, BLOCK_N)
    expert = (tl.program_id(0) // programs).to(tl.int64)
    m_tile, n_tile = grouped(tl.program_id(0) % programs, tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N), GROUP)
    m = m_tile * BLOCK_M + tl.arange(0, BLOCK_M)
    n = n_tile * BLOCK_N + tl.arange(0, BLOCK_N)
    start = tl.load(ends_ptr + expert - 1, mask=expert > 0, other=0)
    end = tl.load(ends_ptr + expert)
    slab = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    ahead = start + tl.arange(0, BLOCK_K)  # assignments are loaded a step ahead, so that fetching by them can be pipelined
    assignment = tl.load(order_ptr + ahead, mask=ahead < end, other=0)
    for first in range(start, end, BLOCK_K):
        row = (first + tl.arange(0, BLOCK_K)).to(tl.int64)
        is_row = row < end
        token = assignment // K
        assignment = tl.load(order_ptr + row + BLOCK_K, mask=row + BLOCK_K < end, other=0)
        a_row = token if A_BY_TOKEN else row
        b_row = token if B_BY_TOKEN else row
        a = tl.load(a_ptr + a_row[None, :] * M + m[:, None], mask=is_row[None, :] & (m < M)[:, None], other=0.0)
        b = tl.load(b_ptr + b_row[:, None] * N + n[None, :], mask=is_row[:, None] & (n < N)[None, :], other=0.0)
        slab = tl.dot(a, b, slab, input_precision=PRECISION)
    at = expert * M * N + m[:, None].to(tl.int64) * N + n[None, :]
    tl.store(slab_ptr + at, slab.to(slab_ptr.dtype.element_ty), mask=(m < M)[:, None] & (n < N)[None, :])


def _slab(plan: Plan, slab: Tensor, a: Tensor, b: Tensor, *, a_by_token: bool) -> Tensor:
    """Fill slab [E, M, N] with each expert's a^T b; one side has a row per token, the other a row per sorted assignment."""
    E, M, N = slab.shape
    config = choose(D_SLAB, plan.dtype)
    programs = E * blocks(M, config.tiles["BLOCK_M"]) * blocks(N, config.tiles["BLOCK_N"])
    _d_slab[(programs,)](
        a, b, plan.order_A, plan.ends_E, slab, M, N, plan.k, a_by_token, not a_by_token,
        PRECISION=launch.PRECISION, **config.options(),
    )  # fmt: skip
    return slab


def backward(
    plan: Plan, dout_TD: Tensor, x_TD: Tensor, weight_TK: Tensor, gate_up_E2FD: Tensor, down_EDF: Tensor, product_A2F: Tensor,
    *, wanted: list[bool],
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """Gradients of (x_TD, weight_TK, gate_up_E2FD, down_EDF); None for those that are not wanted."""
    E, D, F = down_EDF.shape
    A = product_A2F.shape[0]
    config = plan.fit(D_HIDDEN)
    columns = blocks(F, config.tiles["BLOCK_N"])
    dproduct_A2F, hidden_AF = torch.empty_like(product_A2F), product_A2F.new_empty(A, F)
    dweight_CTK = product_A2F.new_empty(columns, *weight_TK.shape, dtype=torch.float32)
    _d_hidden[(plan.n_tiles * columns,)](
        dout_TD, down_EDF, weight_TK, *plan.where, product_A2F, dproduct_A2F, hidden_AF, dweight_CTK,
        plan.n_tiles, A, E, D, F, plan.k, PRECISION=launch.PRECISION, **config.options(),
    )  # fmt: skip
    gate_up_EGD = gate_up_E2FD.flatten(1, 2)
    dx_TD = plan.by_row(dproduct_A2F, gate_up_EGD) if wanted[0] else None
    dweight_TK = dweight_CTK.sum(0).to(weight_TK.dtype) if wanted[1] else None
    dgate_up_EGD = _slab(plan, torch.empty_like(gate_up_EGD), dproduct_A2F, x_TD, a_by_token=False) if wanted[2] else None
    ddown_EDF = _slab(plan, torch.empty_like(down_EDF), dout_TD, hidden_AF, a_by_token=True) if wanted[3] else None
    return dx_TD, dweight_TK, None if dgate_up_EGD is None else dgate_up_EGD.view_as(gate_up_E2FD), ddown_EDF
