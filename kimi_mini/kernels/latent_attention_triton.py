"""Absorbed decoding over the latent cache as Triton kernels: one reading of the cache serves keys and values of all heads.

Scope: fp32, fp16, bf16; any number of queries a sequence, ragged lengths, widths up to K2's (512 latent + 64 rotary, two
products instead of one padded to 1024). The queries of a sequence, all heads of all its tokens, are rows over the same cache.
A program takes ROWS of them and one of the splits of the visible part of the cache, so that few sequences still fill the GPU.
Each split leaves its output, its log-sum-exp and its largest logits; a second kernel weighs the splits in a fixed order. With
one split the first kernel writes the output itself. Nothing beyond the visible part is read. Limiter: bytes of the cache. 64
rows by 1088 multiply-adds for 1152 bytes are less than half of what an H100 computes while it reads them: fewer heads are
padded to 64, which its tensor cores want.

No backward: where a gradient is asked for, the torch form answers. After FlashMLA (one latent tile for keys and values) and
flash-decoding (splits).
"""

from __future__ import annotations

import math
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import require
from . import attention_torch
from .launch import Config, blocks, choose, require_fit, rows_of
from .tiles import load_tile, log2_e, padded, precision, store_tile

MAX_WIDTH = 576  # of the latent's tile and the rotary key's together; 512 + 64 fill an H100's shared memory
_PROCESSORS = 132  # of an H100; an A100 has 108, and neither is wrong for the other
_MOST_SPLITS = 128

# By prediction, not yet tuned on a device.
_CONFIGS = {
    "hopper": Config({"ROWS": 64, "S_BLOCK": 64}, warps=8, stages=2),
    "ampere": Config({"ROWS": 32, "S_BLOCK": 32}, warps=8, stages=2),
    "small": Config({"ROWS": 32, "S_BLOCK": 16}, warps=8, stages=3),
    "fp32": Config({"ROWS": 16, "S_BLOCK": 16}, warps=8, stages=1),
    "interpreter": Config({"ROWS": 8, "S_BLOCK": 8}),
}


@triton.jit(do_not_specialize=("B", "S", "n_splits"))  # a cache that grows compiles nothing anew
def _split(
    q_ptr, cache_ptr, visible_ptr, out_ptr, level_ptr, row_max_ptr, cache_batch, cache_row: tl.constexpr, B, S, T,
    H: tl.constexpr, n_splits, scale,
    X: tl.constexpr, C: tl.constexpr, C_BLOCK: tl.constexpr, R_BLOCK: tl.constexpr, ONLY: tl.constexpr,
    ROWS: tl.constexpr, S_BLOCK: tl.constexpr,
):  # fmt: skip
    TH = T * H  # T is 1 in most calls, and Triton makes a 1 a constant
    n_blocks = tl.cdiv(TH, ROWS)
    program = tl.program_id(0)
    block, split = program % n_blocks, program // n_blocks % n_splits  # neighbours read the same part of the cache
    batch = program // n_blocks // n_splits
    row = block * ROWS + tl.arange(0, ROWS)
    visible = tl.load(visible_ptr + batch.to(tl.int64) * T + row // H, mask=row < TH, other=0).to(tl.int32)
    visible = tl.minimum(visible, S)
    length = tl.max(visible, 0)
    keys = tl.cdiv(tl.cdiv(length, S_BLOCK), n_splits) * S_BLOCK
    start, stop = split * keys, tl.minimum(split * keys + keys, length)

    first_row = batch.to(tl.int64) * TH + block * ROWS
    q_ptr += first_row * X
    cache_ptr += batch.to(tl.int64) * cache_batch
    q_latent = load_tile(q_ptr, X, TH - block * ROWS, C, 0, ROWS, C_BLOCK, False)
    q_rope = q_latent
    if R_BLOCK > 0:
        q_rope = load_tile(q_ptr, X, TH - block * ROWS, X, C, ROWS, R_BLOCK, False)
    out = tl.zeros((ROWS, C_BLOCK), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    peak = tl.full((ROWS,), -float("inf"), tl.float32)
    log2_scale = scale * log2_e
    last = tl.minimum(visible, stop)  # the keys of each row end before it
    for s_start in range(start, stop, S_BLOCK):
        s = s_start + tl.arange(0, S_BLOCK)
        at = cache_ptr + tl.cast(s_start, tl.int64) * cache_row
        latent = load_tile(at, cache_row, stop - s_start, C, 0, S_BLOCK, C_BLOCK, False)
        product = tl.dot(q_latent, latent.T, input_precision=precision)
        if R_BLOCK > 0:
            k_rope = load_tile(at, cache_row, stop - s_start, X, C, S_BLOCK, R_BLOCK, False)
            product = tl.dot(q_rope, k_rope.T, product, input_precision=precision)
        product = tl.where(s[None, :] < last[:, None], product, -float("inf"))
        new_peak = tl.maximum(peak, tl.max(product, 1))
        base = tl.where(new_peak == -float("inf"), 0.0, new_peak)  # a row may have seen nothing yet
        weight = tl.exp2(product * log2_scale - (base * log2_scale)[:, None])
        shrink = tl.exp2((peak - base) * log2_scale)  # exactly 1 while the peak stays: see attention_triton.py
        total = total * shrink + tl.sum(weight, 1)
        out = tl.dot(weight.to(latent.dtype), latent, out * shrink[:, None], input_precision=precision)
        peak = new_peak

    seen = total > 0
    total = tl.where(seen, total, 1.0)
    out *= (1.0 / total)[:, None]
    here = split.to(tl.int64) * B * TH + first_row + tl.arange(0, ROWS)
    tl.store(row_max_ptr + here, peak * scale, mask=row < TH)  # the maximum itself, before the log-sum-exp hides it
    if ONLY:
        store_tile(out_ptr + first_row * C, out, C, TH - block * ROWS, C, 0)
    else:
        tl.store(level_ptr + here, tl.where(seen, peak * log2_scale + tl.log2(total), -float("inf")), mask=row < TH)
        if start < stop:
            store_tile(out_ptr + (split.to(tl.int64) * B * TH + first_row) * C, out, C, TH - block * ROWS, C, 0)


@triton.jit(do_not_specialize=("n_rows", "n_splits"))
def _combine(part_ptr, level_ptr, out_ptr, n_rows, n_splits, C: tl.constexpr, C_BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, C_BLOCK)
    peak = -float("inf")
    for split in range(0, n_splits):
        peak = tl.maximum(peak, tl.load(level_ptr + split * n_rows + row))
    base = tl.where(peak == -float("inf"), 0.0, peak)  # padding: all its splits are empty
    total = 0.0
    out = tl.zeros((C_BLOCK,), tl.float32)
    for split in range(0, n_splits):
        here = split * n_rows + row
        weight = tl.exp2(tl.load(level_ptr + here) - base)
        width = tl.where(weight > 0, C, 0)  # an empty split was never written
        out += weight * tl.load(part_ptr + here * C + column, mask=column < width, other=0.0)
        total += weight
    out = out / tl.where(total > 0, total, 1.0)
    tl.store(out_ptr + row * C + column, out.to(out_ptr.dtype.element_ty), mask=column < C)


@cache
def n_splits(programs: int, tiles: int) -> int:
    """How many splits a sequence's `tiles` of keys are cut into, when `programs` would run without: from shapes alone.

    The fewest that keep the processors nearly as busy as any number would; a split has at least two tiles to its name.
    """
    rounds = [programs * splits / _PROCESSORS for splits in range(1, max(1, min(tiles // 2, _MOST_SPLITS)) + 1)]
    busy = [these / math.ceil(these) for these in rounds]
    return next(i for i, share in enumerate(busy, 1) if share >= 0.9 * max(busy))


def _run(q: Tensor, cache_BSX: Tensor, visible: Tensor, latent_dim: int, scale: float) -> tuple[Tensor, Tensor]:
    B, T, H, X = q.shape
    S, C = cache_BSX.shape[1], latent_dim
    config = choose(_CONFIGS, q.dtype)
    n_blocks = blocks(T * H, config.tiles["ROWS"])
    splits = n_splits(B * n_blocks, blocks(S, config.tiles["S_BLOCK"]))
    only = splits == 1
    new = {"device": q.device, "dtype": torch.float32}
    out = torch.empty(B, T, H, C, dtype=q.dtype, device=q.device)
    parts = out if only else torch.empty(splits, B, T, H, C, **new)
    levels, row_max = torch.empty(splits, B, T, H, **new), torch.empty(splits, B, T, H, **new)
    _split[(n_blocks * splits * B,)](
        q, cache_BSX, visible, parts, levels, row_max, *cache_BSX.stride()[:2], B, S, T, H, splits, scale, X, C,
        padded(C), padded(X - C) if X > C else 0, only, **config.options(),
    )  # fmt: skip
    if not only:
        _combine[(B * T * H,)](parts, levels, out, B * T * H, splits, C, padded(C), num_warps=4)
    return out, row_max.amax((0, 1, 2))


def latent_attention(
    q_BTHX: Tensor, cache_BSX: Tensor, visible_BT: Tensor, *, latent_dim: int, scale: float
) -> tuple[Tensor, Tensor]:
    require_fit(scale > 0, "scale", scale, "a positive number (impl='torch' takes any)")
    B, T, _, X = q_BTHX.shape
    fits = cache_BSX.ndim == 3 and cache_BSX.shape[::2] == (B, X) and 0 < latent_dim <= X
    require(fits, "cache_BSX's shape", tuple(cache_BSX.shape), f"[{B}, S, {X}] with {latent_dim} latent columns at most {X}")
    require(visible_BT.shape == (B, T), "visible_BT's shape", tuple(visible_BT.shape), f"({B}, {T})")
    require(q_BTHX.dtype == cache_BSX.dtype, "cache_BSX's dtype", cache_BSX.dtype, f"that of q, {q_BTHX.dtype}")
    width = padded(latent_dim) + (padded(q_BTHX.shape[-1] - latent_dim) if q_BTHX.shape[-1] > latent_dim else 0)
    require_fit(width <= MAX_WIDTH, "width of the cache in tiles", width, f"at most {MAX_WIDTH} (impl='torch' takes more)")
    if torch.is_grad_enabled() and (q_BTHX.requires_grad or cache_BSX.requires_grad):
        return attention_torch.latent_attention(q_BTHX, cache_BSX, visible_BT, latent_dim=latent_dim, scale=scale)
    return _run(q_BTHX.contiguous(), rows_of(cache_BSX), visible_BT.contiguous(), latent_dim, scale)
