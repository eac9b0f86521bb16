"""Causal attention with the exact largest logit per head, as Triton kernels: online softmax over tiles, nothing of size T x T.

Scope: fp32, fp16, bf16; any lengths and head counts; widths up to those of MLA in K2 (192 and 128); packed documents. q, k
and v may be strided views with contiguous rows. A program takes T_BLOCK queries of one head and walks the keys they may see:
first the tiles below the diagonal, without a mask, then those that the diagonal crosses. Limiter: tensor cores, then the
exponentials.

The running row maximum is that of the unscaled products, so scaling it (scale > 0) gives the largest logit exactly. It leaves
the kernel before the epilogue turns it into the log-sum-exp, from which it cannot be had back; a program writes the largest of
its real rows, one number, and torch takes the maximum of those: no second pass, no atomics. Of packed documents only the tiles
between the first and the last token of a tile's documents are visited.

After FlashAttention-2 (Dao 2023) and Triton's tutorial 06; the store of the maximum after TransformerEngine and MagiAttention.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import require
from .attention_triton_backward import gradients
from .launch import Config, blocks, choose, require_fit, rows_of
from .tiles import SPAN, finished, halves, heads_at_once, int32, load_tile, log2_e, padded, place, precision, span, store_tile

MAX_WIDTHS = 320  # of a key tile and a value tile together: 192 + 128 fill an H100's shared memory

# By prediction, not yet tuned on a device.
_CONFIGS = {
    "hopper": Config({"T_BLOCK": 128, "S_BLOCK": 128}, warps=8, stages=2),
    "ampere": Config({"T_BLOCK": 128, "S_BLOCK": 64}, warps=8, stages=2),
    "small": Config({"T_BLOCK": 64, "S_BLOCK": 32}, warps=4, stages=2),
    "fp32": Config({"T_BLOCK": 32, "S_BLOCK": 32}, warps=8, stages=1),
    "interpreter": Config({"T_BLOCK": 16, "S_BLOCK": 8}),
}


@triton.jit
def _walk(
    out, total, peak, q_first, q_rest, k_ptr, v_ptr, document_ptr, start, stop, t, t_document, T,
    k_row: tl.constexpr, v_row: tl.constexpr, log2_scale,
    N: tl.constexpr, M: tl.constexpr, N_FIRST: tl.constexpr, N_REST: tl.constexpr, M_BLOCK: tl.constexpr,
    S_BLOCK: tl.constexpr, HAS_DOCUMENTS: tl.constexpr, DIAGONAL: tl.constexpr,
):  # fmt: skip
    """Let the queries see keys start to stop: the state (out, total, peak) of their online softmax afterwards."""
    for s_start in range(start, stop, S_BLOCK):
        s = s_start + tl.arange(0, S_BLOCK)
        far = tl.cast(s_start, tl.int64)
        k_first = load_tile(k_ptr + far * k_row, k_row, T - s_start, N, 0, S_BLOCK, N_FIRST, not DIAGONAL)
        product = tl.dot(q_first, k_first.T, input_precision=precision)
        if N_REST > 0:
            k_rest = load_tile(k_ptr + far * k_row, k_row, T - s_start, N, N_FIRST, S_BLOCK, N_REST, not DIAGONAL)
            product = tl.dot(q_rest, k_rest.T, product, input_precision=precision)
        if DIAGONAL:
            product = tl.where(s[None, :] <= t[:, None], product, -float("inf"))
        if HAS_DOCUMENTS:
            s_document = tl.load(document_ptr + s, mask=s < T, other=-1)
            product = tl.where(s_document[None, :] == t_document[:, None], product, -float("inf"))
        new_peak = tl.maximum(peak, tl.max(product, 1))
        base = new_peak
        if HAS_DOCUMENTS:  # a row may have seen nothing yet
            base = tl.where(new_peak == -float("inf"), 0.0, new_peak)
        weight = tl.exp2(product * log2_scale - (base * log2_scale)[:, None])
        # Subtract, then scale: exactly 1 while the peak stays. Fused, peak * log2_scale - level is off by level's rounding, and
        # once for every tile.
        shrink = tl.exp2((peak - base) * log2_scale)
        total = total * shrink + tl.sum(weight, 1)
        v = load_tile(v_ptr + far * v_row, v_row, T - s_start, M, 0, S_BLOCK, M_BLOCK, not DIAGONAL)
        out = finished(tl.dot(weight.to(v.dtype), v, out * shrink[:, None], input_precision=precision))
        peak = new_peak
    return out, total, peak


@triton.jit(do_not_specialize=("B", "at_once"))
def _forward(
    q_ptr, k_ptr, v_ptr, document_ptr, out_ptr, level_ptr, tile_max_ptr,
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
    q_ptr += batch * q_batch + h * q_head + far * q_row
    k_ptr += batch * k_batch + h * k_head
    v_ptr += batch * v_batch + h * v_head
    q_first = load_tile(q_ptr, q_row, T - t_start, N, 0, T_BLOCK, N_FIRST, False)
    q_rest = q_first
    if N_REST > 0:
        q_rest = load_tile(q_ptr, q_row, T - t_start, N, N_FIRST, T_BLOCK, N_REST, False)
    t_document, start = t, 0
    if HAS_DOCUMENTS:
        document_ptr += batch * T
        t_document = tl.load(document_ptr + tl.minimum(t, T - 1))  # rows after the last are like it
        start, _ = span(document_ptr, tl.min(t_document, 0), tl.max(t_document, 0), 0, t_start, SPAN)
        start = start // S_BLOCK * S_BLOCK

    out = tl.zeros((T_BLOCK, M_BLOCK), tl.float32)
    total = tl.zeros((T_BLOCK,), tl.float32)
    peak = tl.full((T_BLOCK,), -float("inf"), tl.float32)
    log2_scale = scale * log2_e
    diagonal = (t_start + 1) // S_BLOCK * S_BLOCK  # keys before it are seen by every query of the tile
    out, total, peak = _walk(
        out, total, peak, q_first, q_rest, k_ptr, v_ptr, document_ptr, start, diagonal, t, t_document, T, k_row, v_row,
        log2_scale, N, M, N_FIRST, N_REST, M_BLOCK, S_BLOCK, HAS_DOCUMENTS, False,
    )  # fmt: skip
    out, total, peak = _walk(
        out, total, peak, q_first, q_rest, k_ptr, v_ptr, document_ptr, diagonal, tl.minimum(t_start + T_BLOCK, T), t,
        t_document, T, k_row, v_row, log2_scale, N, M, N_FIRST, N_REST, M_BLOCK, S_BLOCK, HAS_DOCUMENTS, True,
    )  # fmt: skip

    counts = t < T
    if HAS_DOCUMENTS:
        counts = counts & (t_document != 0)
    # Now: the log-sum-exp below hides it.
    tile_max = tl.max(tl.where(counts, peak, -float("inf")), 0) * scale
    tl.store(tile_max_ptr + head.to(tl.int64) * n_tiles + light, tile_max)
    total = tl.where(t < T, total, 1.0)  # rows after the last saw nothing
    tl.store(level_ptr + head.to(tl.int64) * T + t, peak + tl.log2(total) / log2_scale, mask=t < T)
    out_ptr += (batch * T + far) * H * M + h * M
    store_tile(out_ptr, out / total[:, None], H * M, T - t_start, M, 0)


def _run_forward(q: Tensor, k: Tensor, v: Tensor, scale: float, document_BT: Tensor | None):
    """out_BTHM, the level of each row (its log-sum-exp over scale, [B, H, T]) and max_logits_H."""
    B, T, H, N = q.shape
    M = v.shape[-1]
    config = choose(_CONFIGS, q.dtype)
    n_tiles = blocks(T, config.tiles["T_BLOCK"])
    out = torch.empty(B, T, H, M, dtype=v.dtype, device=q.device)
    level = torch.empty(B, H, T, dtype=torch.float32, device=q.device)
    tile_max = torch.empty(B, H, n_tiles, dtype=torch.float32, device=q.device)
    _forward[(n_tiles * B * H,)](
        q, k, v, document_BT, out, level, tile_max, *q.stride()[:3], *k.stride()[:3], *v.stride()[:3], B, T, H, scale,
        heads_at_once(q, T * (N + M) * q.element_size()), N, M, *halves(N), padded(M),
        HAS_DOCUMENTS=document_BT is not None, **config.options(),
    )  # fmt: skip
    return out, level, tile_max.amax((0, 2))


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, document_BT: Tensor | None, scale: float):
        out, level, max_logits_H = _run_forward(q, k, v, scale, document_BT)
        ctx.mark_non_differentiable(max_logits_H)
        ctx.save_for_backward(q, k, v, document_BT, out, level)
        ctx.scale = scale
        return out, max_logits_H

    @staticmethod
    @once_differentiable
    def backward(ctx, dout: Tensor, _: Tensor):
        return *gradients(*ctx.saved_tensors, dout.contiguous(), ctx.scale), None, None


def attention(
    q_BTHN: Tensor, k_BTHN: Tensor, v_BTHM: Tensor, *, scale: float, document_BT: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    require_fit(scale > 0, "scale", scale, "a positive number (impl='torch' takes any)")
    require(q_BTHN.shape == k_BTHN.shape, "k_BTHN's shape", tuple(k_BTHN.shape), f"that of q, {tuple(q_BTHN.shape)}")
    fits = v_BTHM.shape[:3] == q_BTHN.shape[:3]
    require(fits, "v_BTHM's shape", tuple(v_BTHM.shape), f"{(*q_BTHN.shape[:3], 'M')}, as q has")
    if document_BT is not None:
        require(document_BT.shape == q_BTHN.shape[:2], "document_BT's shape", tuple(document_BT.shape), "[B, T]")
    require(q_BTHN.dtype == k_BTHN.dtype == v_BTHM.dtype, "v_BTHM's dtype", v_BTHM.dtype, "one format for q, k and v")
    widths = sum(halves(q_BTHN.shape[-1])) + padded(v_BTHM.shape[-1])
    require_fit(
        widths <= MAX_WIDTHS, "widths of key and value in tiles", widths, f"at most {MAX_WIDTHS} (impl='torch' takes more)"
    )
    return _Attention.apply(rows_of(q_BTHN), rows_of(k_BTHN), rows_of(v_BTHM), int32(document_BT), scale)
