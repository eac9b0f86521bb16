"""The gradients of causal attention as two Triton kernels: dq by query tiles, then dk and dv by key tiles; no atomics.

With p the softmax weights, g = dout v^T and delta = rowsum(dout * out):

    dv = p^T dout      d(q k^T) = p * (g - delta)      dq = scale d(q k^T) k      dk = scale d(q k^T)^T q

p = exp(scale (q k^T - level)) is recomputed from the level of each row, its log-sum-exp divided by scale; the products start
from -level and -delta, so neither needs registers of its own. Each kernel keeps in registers what it adds up, so both compute
q k^T and g: seven products where a kernel that adds to dq in memory needs five, in exchange for sums in a fixed order. The
first kernel also computes delta and leaves it for the second. The second works on transposed tiles (keys by queries): what was
just computed is then the left side of the next product and stays in registers. Limiter: tensor cores and registers (dk and dv
of 128 keys are 40,960 fp32 numbers, 160 a thread).

After FlashAttention-2 (Dao 2023).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Config, blocks, choose
from .tiles import (
    SPAN,
    finished,
    halves,
    heads_at_once,
    load_row,
    load_tile,
    log2_e,
    padded,
    place,
    precision,
    span,
    store_tile,
)

# By prediction, not yet tuned on a device.
_QUERY_CONFIGS = {
    "hopper": Config({"T_BLOCK": 128, "S_BLOCK": 64}, warps=8, stages=3),
    "ampere": Config({"T_BLOCK": 64, "S_BLOCK": 16}, warps=4, stages=2),
    "small": Config({"T_BLOCK": 32, "S_BLOCK": 32}, warps=4, stages=2),
    "fp32": Config({"T_BLOCK": 16, "S_BLOCK": 16}, warps=8, stages=1),
    "interpreter": Config({"T_BLOCK": 16, "S_BLOCK": 8}),
}
_KEY_CONFIGS = {
    "hopper": Config({"T_BLOCK": 32, "S_BLOCK": 128}, warps=8, stages=2),  # 64 queries spill 8 bytes a thread
    "ampere": Config({"T_BLOCK": 64, "S_BLOCK": 32}, warps=8, stages=2),
    "small": Config({"T_BLOCK": 64, "S_BLOCK": 32}, warps=8, stages=2),
    "fp32": Config({"T_BLOCK": 16, "S_BLOCK": 16}, warps=8, stages=1),
    "interpreter": Config({"T_BLOCK": 8, "S_BLOCK": 16}),
}


@triton.jit
def _over_keys(
    dq_first, dq_rest, q_first, q_rest, dout, level, delta, k_ptr, v_ptr, document_ptr, start, stop, t, t_document, T,
    k_row: tl.constexpr, v_row: tl.constexpr, log2_scale,
    N: tl.constexpr, M: tl.constexpr, N_FIRST: tl.constexpr, N_REST: tl.constexpr, M_BLOCK: tl.constexpr,
    S_BLOCK: tl.constexpr, HAS_DOCUMENTS: tl.constexpr, DIAGONAL: tl.constexpr,
):  # fmt: skip
    """Add to the gradient of a tile of queries what keys start to stop contribute."""
    for s_start in range(start, stop, S_BLOCK):
        s = s_start + tl.arange(0, S_BLOCK)
        far = tl.cast(s_start, tl.int64)
        k_first = load_tile(k_ptr + far * k_row, k_row, T - s_start, N, 0, S_BLOCK, N_FIRST, not DIAGONAL)
        product = tl.zeros((q_first.shape[0], S_BLOCK), tl.float32) - level[:, None]
        product = tl.dot(q_first, k_first.T, product, input_precision=precision)
        if N_REST > 0:
            k_rest = load_tile(k_ptr + far * k_row, k_row, T - s_start, N, N_FIRST, S_BLOCK, N_REST, not DIAGONAL)
            product = tl.dot(q_rest, k_rest.T, product, input_precision=precision)
        if DIAGONAL:
            product = tl.where(s[None, :] <= t[:, None], product, -float("inf"))
        if HAS_DOCUMENTS:
            s_document = tl.load(document_ptr + s, mask=s < T, other=-1)
            product = tl.where(s_document[None, :] == t_document[:, None], product, -float("inf"))
        weight = tl.exp2(product * log2_scale)
        v = load_tile(v_ptr + far * v_row, v_row, T - s_start, M, 0, S_BLOCK, M_BLOCK, not DIAGONAL)
        dweight = tl.zeros((q_first.shape[0], S_BLOCK), tl.float32) - delta[:, None]
        dweight = tl.dot(dout, v.T, dweight, input_precision=precision)
        dproduct = (weight * dweight).to(k_first.dtype)
        dq_first = finished(tl.dot(dproduct, k_first, dq_first, input_precision=precision))
        if N_REST > 0:
            dq_rest = finished(tl.dot(dproduct, k_rest, dq_rest, input_precision=precision))
    return dq_first, dq_rest


@triton.jit(do_not_specialize=("B", "at_once"))
def _queries(
    q_ptr, k_ptr, v_ptr, document_ptr, out_ptr, level_ptr, dout_ptr, delta_ptr, dq_ptr,
    q_batch, q_row: tl.constexpr, q_head, k_batch, k_row: tl.constexpr, k_head, v_batch, v_row: tl.constexpr, v_head,
    B, T, H: tl.constexpr, scale, at_once,
    N: tl.constexpr, M: tl.constexpr, N_FIRST: tl.constexpr, N_REST: tl.constexpr, M_BLOCK: tl.constexpr,
    T_BLOCK: tl.constexpr, S_BLOCK: tl.constexpr, HAS_DOCUMENTS: tl.constexpr,
):  # fmt: skip
    n_tiles = tl.cdiv(T, T_BLOCK)
    light, head = place(n_tiles, B * H, at_once)
    t_start = (n_tiles - 1 - light) * T_BLOCK  # late queries see most keys
    batch, h, far = (head // H).to(tl.int64), (head % H).to(tl.int64), t_start.to(tl.int64)
    t = t_start + tl.arange(0, T_BLOCK)
    n_rows = T - t_start
    row = (batch * T + far) * H + h
    q_ptr += batch * q_batch + h * q_head + far * q_row
    k_ptr += batch * k_batch + h * k_head
    v_ptr += batch * v_batch + h * v_head
    out = load_tile(out_ptr + row * M, H * M, n_rows, M, 0, T_BLOCK, M_BLOCK, False)
    dout = load_tile(dout_ptr + row * M, H * M, n_rows, M, 0, T_BLOCK, M_BLOCK, False)
    delta = tl.sum(out.to(tl.float32) * dout.to(tl.float32), 1)
    tl.store(delta_ptr + head.to(tl.int64) * T + t, delta, mask=t < T)
    level = tl.load(level_ptr + head.to(tl.int64) * T + t, mask=t < T, other=0.0)
    q_first = load_tile(q_ptr, q_row, n_rows, N, 0, T_BLOCK, N_FIRST, False)
    q_rest = q_first
    dq_first = tl.zeros((T_BLOCK, N_FIRST), tl.float32)
    dq_rest = dq_first
    if N_REST > 0:
        q_rest = load_tile(q_ptr, q_row, n_rows, N, N_FIRST, T_BLOCK, N_REST, False)
        dq_rest = tl.zeros((T_BLOCK, N_REST), tl.float32)
    t_document, start = t, 0
    if HAS_DOCUMENTS:
        document_ptr += batch * T
        t_document = tl.load(document_ptr + tl.minimum(t, T - 1))  # rows after the last are like it
        start, _ = span(document_ptr, tl.min(t_document, 0), tl.max(t_document, 0), 0, t_start, SPAN)
        start = start // S_BLOCK * S_BLOCK

    log2_scale = scale * log2_e
    diagonal = (t_start + 1) // S_BLOCK * S_BLOCK  # keys before it are seen by every query of the tile
    dq_first, dq_rest = _over_keys(
        dq_first, dq_rest, q_first, q_rest, dout, level, delta, k_ptr, v_ptr, document_ptr, start, diagonal, t, t_document, T,
        k_row, v_row, log2_scale, N, M, N_FIRST, N_REST, M_BLOCK, S_BLOCK, HAS_DOCUMENTS, False,
    )  # fmt: skip
    dq_first, dq_rest = _over_keys(
        dq_first, dq_rest, q_first, q_rest, dout, level, delta, k_ptr, v_ptr, document_ptr, diagonal,
        tl.minimum(t_start + T_BLOCK, T), t, t_document, T, k_row, v_row, log2_scale,
        N, M, N_FIRST, N_REST, M_BLOCK, S_BLOCK, HAS_DOCUMENTS, True,
    )  # fmt: skip
    store_tile(dq_ptr + row * N, dq_first * scale, H * N, n_rows, N, 0)
    if N_REST > 0:
        store_tile(dq_ptr + row * N, dq_rest * scale, H * N, n_rows, N, N_FIRST)


@triton.jit
def _over_queries(
    dk_first, dk_rest, dv, k_first, k_rest, v, q_ptr, dout_ptr, level_ptr, delta_ptr, document_ptr, start, stop, s, s_document,
    T, q_row: tl.constexpr, dout_row: tl.constexpr, log2_scale,
    N: tl.constexpr, M: tl.constexpr, N_FIRST: tl.constexpr, N_REST: tl.constexpr, M_BLOCK: tl.constexpr,
    T_BLOCK: tl.constexpr, HAS_DOCUMENTS: tl.constexpr, DIAGONAL: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Add to the gradients of a tile of keys and values what queries start to stop contribute; tiles are keys by queries."""
    for t_start in range(start, stop, T_BLOCK):
        t = t_start + tl.arange(0, T_BLOCK)
        far = tl.cast(t_start, tl.int64)
        q_first = load_tile(q_ptr + far * q_row, q_row, T - t_start, N, 0, T_BLOCK, N_FIRST, WHOLE)
        level = load_row(level_ptr + t_start, T - t_start, T_BLOCK, WHOLE)
        product = tl.zeros((k_first.shape[0], T_BLOCK), tl.float32) - level
        product = tl.dot(k_first, q_first.T, product, input_precision=precision)
        if N_REST > 0:
            q_rest = load_tile(q_ptr + far * q_row, q_row, T - t_start, N, N_FIRST, T_BLOCK, N_REST, WHOLE)
            product = tl.dot(k_rest, q_rest.T, product, input_precision=precision)
        delta = load_row(delta_ptr + t_start, T - t_start, T_BLOCK, WHOLE)
        if DIAGONAL:
            product = tl.where(s[:, None] <= t[None, :], product, -float("inf"))
        if HAS_DOCUMENTS:
            t_document = tl.load(document_ptr + t, mask=t < T, other=-1)
            product = tl.where(s_document[:, None] == t_document[None, :], product, -float("inf"))
        weight = tl.exp2(product * log2_scale)
        dout = load_tile(dout_ptr + far * dout_row, dout_row, T - t_start, M, 0, T_BLOCK, M_BLOCK, WHOLE)
        dv = tl.dot(weight.to(dout.dtype), dout, dv, input_precision=precision)
        dweight = tl.zeros((k_first.shape[0], T_BLOCK), tl.float32) - delta
        dweight = tl.dot(v, dout.T, dweight, input_precision=precision)
        dproduct = (weight * dweight).to(q_first.dtype)
        dk_first = finished(tl.dot(dproduct, q_first, dk_first, input_precision=precision))
        if N_REST > 0:
            dk_rest = finished(tl.dot(dproduct, q_rest, dk_rest, input_precision=precision))
    return dk_first, dk_rest, dv


@triton.jit(do_not_specialize=("B", "at_once"))
def _keys(
    q_ptr, k_ptr, v_ptr, document_ptr, level_ptr, dout_ptr, delta_ptr, dk_ptr, dv_ptr,
    q_batch, q_row: tl.constexpr, q_head, k_batch, k_row: tl.constexpr, k_head, v_batch, v_row: tl.constexpr, v_head,
    B, T, H: tl.constexpr, scale, at_once,
    N: tl.constexpr, M: tl.constexpr, N_FIRST: tl.constexpr, N_REST: tl.constexpr, M_BLOCK: tl.constexpr,
    T_BLOCK: tl.constexpr, S_BLOCK: tl.constexpr, HAS_DOCUMENTS: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    tile, head = place(tl.cdiv(T, S_BLOCK), B * H, at_once)  # early keys are seen by most queries
    s_start = tile * S_BLOCK
    batch, h, far = (head // H).to(tl.int64), (head % H).to(tl.int64), s_start.to(tl.int64)
    s = s_start + tl.arange(0, S_BLOCK)
    n_rows = T - s_start
    q_ptr += batch * q_batch + h * q_head
    k_ptr += batch * k_batch + h * k_head + far * k_row
    v_ptr += batch * v_batch + h * v_head + far * v_row
    dout_ptr += (batch * T * H + h) * M
    level_ptr += head.to(tl.int64) * T
    delta_ptr += head.to(tl.int64) * T
    k_first = load_tile(k_ptr, k_row, n_rows, N, 0, S_BLOCK, N_FIRST, False)
    k_rest = k_first
    dk_first = tl.zeros((S_BLOCK, N_FIRST), tl.float32)
    dk_rest = dk_first
    if N_REST > 0:
        k_rest = load_tile(k_ptr, k_row, n_rows, N, N_FIRST, S_BLOCK, N_REST, False)
        dk_rest = tl.zeros((S_BLOCK, N_REST), tl.float32)
    v = load_tile(v_ptr, v_row, n_rows, M, 0, S_BLOCK, M_BLOCK, False)
    dv = tl.zeros((S_BLOCK, M_BLOCK), tl.float32)
    s_document, stop = s, T
    if HAS_DOCUMENTS:
        document_ptr += batch * T
        s_document = tl.load(document_ptr + tl.minimum(s, T - 1))
        _, stop = span(document_ptr, tl.min(s_document, 0), tl.max(s_document, 0), s_start, T, SPAN)

    log2_scale = scale * log2_e
    whole = tl.minimum(T // T_BLOCK, tl.cdiv(stop, T_BLOCK)) * T_BLOCK  # whole tiles of queries end before it
    diagonal = tl.minimum(tl.cdiv(s_start + S_BLOCK - 1, T_BLOCK) * T_BLOCK, T)  # queries from it on see every key of the tile
    dk_first, dk_rest, dv = _over_queries(
        dk_first, dk_rest, dv, k_first, k_rest, v, q_ptr, dout_ptr, level_ptr, delta_ptr, document_ptr,
        s_start // T_BLOCK * T_BLOCK, diagonal, s, s_document, T, q_row, H * M, log2_scale,
        N, M, N_FIRST, N_REST, M_BLOCK, T_BLOCK, HAS_DOCUMENTS, True, WHOLE,
    )  # fmt: skip
    dk_first, dk_rest, dv = _over_queries(
        dk_first, dk_rest, dv, k_first, k_rest, v, q_ptr, dout_ptr, level_ptr, delta_ptr, document_ptr,
        diagonal, whole, s, s_document, T, q_row, H * M, log2_scale,
        N, M, N_FIRST, N_REST, M_BLOCK, T_BLOCK, HAS_DOCUMENTS, False, True,
    )  # fmt: skip
    if not WHOLE:
        dk_first, dk_rest, dv = _over_queries(
            dk_first, dk_rest, dv, k_first, k_rest, v, q_ptr, dout_ptr, level_ptr, delta_ptr, document_ptr,
            tl.maximum(diagonal, whole), stop, s, s_document, T, q_row, H * M, log2_scale,
            N, M, N_FIRST, N_REST, M_BLOCK, T_BLOCK, HAS_DOCUMENTS, True, False,
        )  # fmt: skip
    row = (batch * T + far) * H + h
    store_tile(dk_ptr + row * N, dk_first * scale, H * N, n_rows, N, 0)
    if N_REST > 0:
        store_tile(dk_ptr + row * N, dk_rest * scale, H * N, n_rows, N, N_FIRST)
    store_tile(dv_ptr + row * M, dv, H * M, n_rows, M, 0)


def gradients(
    q: Tensor, k: Tensor, v: Tensor, document_BT: Tensor | None, out: Tensor, level: Tensor, dout: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """dq, dk and dv; out and dout are contiguous [B, T, H, M], level [B, H, T], document_BT int32."""
    B, T, H, N = q.shape
    M = v.shape[-1]
    dq, dk, dv = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    delta = torch.empty_like(level)
    of_keys, of_queries = choose(_KEY_CONFIGS, q.dtype), choose(_QUERY_CONFIGS, q.dtype)
    strides = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3])
    at_once = heads_at_once(q, T * (N + M) * q.element_size())
    shapes = (B, T, H, scale, at_once, N, M, *halves(N), padded(M))
    has_documents = document_BT is not None
    _queries[(blocks(T, of_queries.tiles["T_BLOCK"]) * B * H,)](
        q,
        k,
        v,
        document_BT,
        out,
        level,
        dout,
        delta,
        dq,
        *strides,
        *shapes,
        HAS_DOCUMENTS=has_documents,
        **of_queries.options(),
    )
    whole = T % of_keys.tiles["T_BLOCK"] == 0
    _keys[(blocks(T, of_keys.tiles["S_BLOCK"]) * B * H,)](
        q, k, v, document_BT, level, dout, delta, dk, dv, *strides, *shapes, HAS_DOCUMENTS=has_documents, WHOLE=whole,
        **of_keys.options(),
    )  # fmt: skip
    return dq, dk, dv
