"""Attention by definition: write every logit down, take the largest, softmax, sum."""

from __future__ import annotations

import torch
from torch import Tensor

from ..device import at_least_fp32


def attention(
    q_BTHN: Tensor, k_BTHN: Tensor, v_BTHM: Tensor, *, scale: float, document_BT: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    wide = at_least_fp32(q_BTHN.dtype)
    logits_BHTS = torch.einsum("bthn,bshn->bhts", q_BTHN.to(wide), k_BTHN.to(wide)) * scale
    seen_BTS = causal_mask(q_BTHN.shape[1], document_BT, q_BTHN.device)
    logits_BHTS = logits_BHTS.masked_fill(~seen_BTS[:, None], float("-inf"))
    out_BTHM = torch.einsum("bhts,bshm->bthm", logits_BHTS.softmax(-1), v_BTHM.to(wide)).to(v_BTHM.dtype)

    counted = logits_BHTS.detach()
    if document_BT is not None:
        counted = counted.masked_fill((document_BT == 0)[:, None, :, None], float("-inf"))
    return out_BTHM, counted.amax((0, 2, 3))


def latent_attention(
    q_BTHX: Tensor, cache_BSX: Tensor, visible_BT: Tensor, *, latent_dim: int, scale: float
) -> tuple[Tensor, Tensor]:
    wide = at_least_fp32(q_BTHX.dtype)
    logits_BHTS = torch.einsum("bthx,bsx->bhts", q_BTHX.to(wide), cache_BSX.to(wide)) * scale
    hidden_BTS = torch.arange(cache_BSX.shape[1], device=q_BTHX.device) >= visible_BT[..., None]
    logits_BHTS = logits_BHTS.masked_fill(hidden_BTS[:, None], float("-inf"))
    probs_BHTS = logits_BHTS.softmax(-1).masked_fill(hidden_BTS[:, None], 0.0)  # a padding row is all -inf: 0, not NaN
    out_BTHC = torch.einsum("bhts,bsc->bthc", probs_BHTS, cache_BSX[..., :latent_dim].to(wide)).to(q_BTHX.dtype)
    return out_BTHC, logits_BHTS.detach().amax((0, 2, 3))


def causal_mask(n_tokens: int, document_BT: Tensor | None, device: torch.device) -> Tensor:
    """seen_BTS: True where query t may look at key s: not later, and in the same document (B is 1 without documents)."""
    seen_BTS = torch.ones(1, n_tokens, n_tokens, dtype=torch.bool, device=device).tril()
    if document_BT is not None:
        seen_BTS = seen_BTS & (document_BT[:, :, None] == document_BT[:, None, :])
    return seen_BTS
