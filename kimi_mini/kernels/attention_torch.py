"""Attention, fast, in stock torch, with the exact largest logit per head.

Short sequences: one `baddbmm` folds mask and scale into the product, and the maximum is free because the logits exist.
Long ones: a flash kernel (V padded to the query width: unequal widths silently take torch's slow path), then a second
look for the maximum. On CPUs the kernel also returns the log-sum-exp of each row, and max <= log-sum-exp: rows that
cannot hold the maximum are skipped. That saves work and never changes the number.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import at_least_fp32
from .attention_ref import causal_mask

_SHORT = 256  # up to here writing the logits down is the faster way on a CPU
_ROWS = 256  # query rows per block of the second look


def attention(
    q_BTHN: Tensor, k_BTHN: Tensor, v_BTHM: Tensor, *, scale: float, document_BT: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    q, k, v = (x.transpose(1, 2) for x in (q_BTHN, k_BTHN, v_BTHM))  # B H T .
    full_precision = q.dtype in (torch.float32, torch.float64)
    run = _explicit if q.shape[2] <= _SHORT and full_precision else _flash
    out_BHTM, max_logits_H = run(q, k, v, scale, document_BT)
    return out_BHTM.transpose(1, 2), max_logits_H


def _explicit(q: Tensor, k: Tensor, v: Tensor, scale: float, document_BT: Tensor | None) -> tuple[Tensor, Tensor]:
    B, H, T, _ = q.shape
    bias = _additive_mask(T, document_BT, q)  # [1 or B, T, T]
    if document_BT is not None:
        bias = bias.repeat_interleave(H, 0)
    logits = torch.baddbmm(bias, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=scale)
    out = torch.bmm(logits.softmax(-1), v.flatten(0, 1))
    row_max_BHT = logits.detach().amax(-1).view(B, H, T)
    return out.view(B, H, T, -1), _over_real_rows(row_max_BHT, document_BT)


def _flash(q: Tensor, k: Tensor, v: Tensor, scale: float, document_BT: Tensor | None) -> tuple[Tensor, Tensor]:
    width = v.shape[-1]
    v = F.pad(v, (0, q.shape[-1] - width)) if width < q.shape[-1] else v
    if width > q.shape[-1]:
        q, k = (F.pad(x, (0, width - x.shape[-1])) for x in (q, k))
    mask = None if document_BT is None else _additive_mask(q.shape[2], document_BT, q)[:, None]
    causal = mask is None
    if q.device.type == "cpu":
        out, lse_BHT = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, causal, attn_mask=mask, scale=scale
        )
    else:
        out, lse_BHT = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale), None
    with torch.no_grad():
        max_logits_H = _exact_max(q.detach(), k.detach(), scale, document_BT, lse_BHT)
    return out[..., :width], max_logits_H


def _exact_max(q: Tensor, k: Tensor, scale: float, document_BT: Tensor | None, lse_BHT: Tensor | None) -> Tensor:
    """max_logits_H by blocks of rows; a block of one sequence and head is skipped when its log-sum-exp is too small."""
    B, H, T, _ = q.shape
    best_H = torch.full((H,), float("-inf"), device=q.device, dtype=at_least_fp32(q.dtype))
    bound_BHT = None if lse_BHT is None else _upper_bound(lse_BHT, document_BT)
    starts = range(0, T, _ROWS)
    if bound_BHT is not None:  # most promising block first: it lets the others be skipped
        starts = sorted(starts, key=lambda t: -bound_BHT[:, :, t : t + _ROWS].amax().item())
    for start in starts:
        rows = slice(start, min(start + _ROWS, T))
        for b in range(B):
            heads = slice(None) if bound_BHT is None else (bound_BHT[b, :, rows].amax(-1) > best_H).nonzero().flatten()
            found = _block_max(q[b, heads, rows], k[b, heads, : rows.stop], scale, rows, document_BT, b)
            best_H[heads] = torch.maximum(best_H[heads], found)
    return best_H


def _block_max(q: Tensor, k: Tensor, scale: float, rows: slice, document_BT: Tensor | None, b: int) -> Tensor:
    logits = q.to(at_least_fp32(q.dtype)) @ k.to(at_least_fp32(k.dtype)).mT
    logits = logits * scale
    later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=q.device).triu(rows.start + 1)
    if document_BT is not None:
        query, key = document_BT[b, rows, None], document_BT[b, None, : rows.stop]
        later = later | (query != key) | (query == 0)
    return logits.masked_fill_(later, float("-inf")).amax((-2, -1))


def _upper_bound(lse_BHT: Tensor, document_BT: Tensor | None) -> Tensor:
    """Row-wise log-sum-exp with a margin for its rounding; padding rows bound nothing."""
    bound_BHT = lse_BHT + 1e-3 * (1 + lse_BHT.abs())
    return bound_BHT if document_BT is None else bound_BHT.masked_fill((document_BT == 0)[:, None], float("-inf"))


def _over_real_rows(row_max_BHT: Tensor, document_BT: Tensor | None) -> Tensor:
    if document_BT is not None:
        row_max_BHT = row_max_BHT.masked_fill((document_BT == 0)[:, None], float("-inf"))
    return row_max_BHT.amax((0, 2))


def _additive_mask(n_tokens: int, document_BT: Tensor | None, like: Tensor) -> Tensor:
    seen_BTS = causal_mask(n_tokens, document_BT, like.device)
    return torch.zeros(seen_BTS.shape, dtype=like.dtype, device=like.device).masked_fill_(~seen_BTS, float("-inf"))


def latent_attention(
    q_BTHX: Tensor, cache_BSX: Tensor, visible_BT: Tensor, *, latent_dim: int, scale: float
) -> tuple[Tensor, Tensor]:
    # All heads of a sequence read the same cache: one product per sequence over T * H rows.
    B, T, H, _ = q_BTHX.shape
    logits_BTHS = torch.bmm(q_BTHX.flatten(1, 2), cache_BSX.mT).mul(scale).view(B, T, H, -1)
    hidden_BTS = torch.arange(cache_BSX.shape[1], device=q_BTHX.device) >= visible_BT[..., None]
    logits_BTHS = logits_BTHS.to(at_least_fp32(logits_BTHS.dtype))
    logits_BTHS = logits_BTHS.masked_fill(hidden_BTS[:, :, None], float("-inf"))
    probs = logits_BTHS.softmax(-1).masked_fill(hidden_BTS[:, :, None], 0.0)
    out = torch.bmm(probs.to(cache_BSX.dtype).flatten(1, 2), cache_BSX[..., :latent_dim])
    return out.view(B, T, H, -1), logits_BTHS.detach().amax((0, 1, 3))
