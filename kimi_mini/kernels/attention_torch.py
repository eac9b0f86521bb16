"""Attention, fast, in stock torch, with the exact largest logit per head.

Up to 1024 tokens the logits are written down, by blocks of query rows of one sequence and only as far as the causal mask lets
them be seen: that halves the work, a block stays in the processor's cache, and the maximum is free because the logits exist.
Longer sequences, and half precision: a flash kernel (V padded to the query width: unequal widths silently take torch's slow
path), then a second look for the maximum. On CPUs the kernel also returns the log-sum-exp of each row, and
max <= log-sum-exp: rows that cannot hold the maximum are skipped. That saves work and never changes the number.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import at_least_fp32
from .attention_ref import causal_mask

_SHORT = 1024  # tokens; the blocked form is the faster one up to here on a CPU, and its backward keeps B H T^2 / 2 numbers
_BLOCK = 128  # query rows per block of logits
_LOOK = 64  # query rows per block of the second look


def attention(
    q_BTHN: Tensor, k_BTHN: Tensor, v_BTHM: Tensor, *, scale: float, document_BT: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    q, k, v = (x.transpose(1, 2) for x in (q_BTHN, k_BTHN, v_BTHM))  # B H T .
    full_precision = q.dtype in (torch.float32, torch.float64)
    run = _blocked if q.shape[2] <= _SHORT and full_precision else _flash
    out_BHTM, max_logits_H = run(q, k, v, scale, document_BT)
    return out_BHTM.transpose(1, 2), max_logits_H


def _blocked(q: Tensor, k: Tensor, v: Tensor, scale: float, document_BT: Tensor | None) -> tuple[Tensor, Tensor]:
    at_once = 1 if q.device.type == "cpu" else len(q)  # sequences: a CPU's cache holds the logits of one, a GPU wants them all
    parts = [x.split(at_once) for x in (q, k, v)]
    mask_BTS = _additive_mask(q.shape[2], document_BT, q)
    masks = [mask_BTS] * len(parts[0]) if document_BT is None else mask_BTS.split(at_once)
    outs, row_max = zip(*(_by_rows(*part, scale) for part in zip(*parts, masks, strict=True)), strict=True)
    return torch.cat(outs), _over_real_rows(torch.cat(row_max), document_BT)


def _by_rows(q: Tensor, k: Tensor, v: Tensor, mask_BTS: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """out_BHTM and the largest logit of each row; the mask has B = 1 where all sequences share it."""
    heads = q.shape[1]
    bias = mask_BTS if len(mask_BTS) == 1 else mask_BTS.repeat_interleave(heads, 0)
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))  # n = B * H, T, .
    outs, row_max = [], []
    for rows in _blocks(q.shape[1], _BLOCK):
        logits = torch.baddbmm(bias[:, rows, : rows.stop], q[:, rows], k[:, : rows.stop].mT, alpha=scale)
        row_max.append(logits.detach().amax(-1))
        outs.append(torch.bmm(logits.softmax(-1), v[:, : rows.stop]))
    return torch.cat(outs, 1).unflatten(0, (-1, heads)), torch.cat(row_max, 1).unflatten(0, (-1, heads))


def _blocks(n_tokens: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n_tokens)) for start in range(0, n_tokens, size)]


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
    """max_logits_H by blocks of query rows; a sequence's head is left out where its log-sum-exp is too small."""
    B, H, T, _ = q.shape
    wide = at_least_fp32(q.dtype)
    q, k = q.flatten(0, 1).to(wide) * scale, k.flatten(0, 1).to(wide)  # n = B * H, T, N
    best_BH = torch.full((B, H), float("-inf"), device=q.device, dtype=wide)
    bound_BHT = None if lse_BHT is None else _upper_bound(lse_BHT, document_BT)
    blocks = _blocks(T, _LOOK)
    if bound_BHT is not None:  # most promising block first: it lets the others be skipped
        blocks.sort(key=lambda rows: -bound_BHT[:, :, rows].amax().item())
    for rows in blocks:
        n = slice(None)
        if bound_BHT is not None:
            open_n = (bound_BHT[:, :, rows].amax(-1) > best_BH.amax(0)).flatten()
            n = n if open_n.all() else open_n.nonzero().flatten()
        found_n = _block_max(q[n, rows], k[n, : rows.stop], _unseen(rows, document_BT, H, n))
        best_BH.view(-1)[n] = torch.maximum(best_BH.view(-1)[n], found_n)
    return best_BH.amax(0)


def _block_max(q_nRN: Tensor, k_nSN: Tensor, unseen: Tensor | None) -> Tensor:
    logits_nRS = torch.bmm(q_nRN, k_nSN.mT)
    if unseen is not None:
        logits_nRS.masked_fill_(unseen, float("-inf"))
    n_rows = q_nRN.shape[1]
    later_RR = torch.ones(n_rows, n_rows, dtype=torch.bool, device=q_nRN.device).triu(1)
    logits_nRS[:, :, -n_rows:].masked_fill_(later_RR, float("-inf"))  # keys before the block are all seen
    return logits_nRS.amax((1, 2))


def _unseen(rows: slice, document_BT: Tensor | None, heads: int, n: slice | Tensor) -> Tensor | None:
    """unseen_nRS: keys of other documents, and everything for a padding query (None without documents)."""
    if document_BT is None:
        return None
    query_BR1, key_B1S = document_BT[:, rows, None], document_BT[:, None, : rows.stop]
    return ((query_BR1 != key_B1S) | (query_BR1 == 0)).repeat_interleave(heads, 0)[n]


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
