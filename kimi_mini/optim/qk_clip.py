"""QK-Clip: after the update, shrink the query and key weights of heads whose logits grew too large (K2 report, 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import require
from ..model import KimiMini


def clip_factors(max_logits_LH: Tensor, tau: float) -> Tensor:
    """gamma_LH = tau / S for heads with S > tau, else 1: what each head's logits are to be multiplied by.

    Chosen by comparison, not by clamping tau / S: a head whose logits are all negative must give 1, not a negative number.
    """
    return torch.where(max_logits_LH > tau, tau / max_logits_LH, 1.0)


def qk_clip_(model: KimiMini, max_logits_LH: Tensor, *, tau: float, alpha: float = 0.5) -> Tensor:
    """Algorithm 1, lines 5-6, on every head of every layer; returns gamma_LH (1 where nothing was done).

    `max_logits_LH` comes from the forward pass of this step: signed, over the whole batch and all ranks. It was measured
    before the weight update, so the guarantee "next maximum = min(S, tau)" is exact at fixed inputs and weights.
    Raises ValueError for tau <= 0, alpha outside [0, 1], a wrong shape, or a maximum that is NaN or infinite.
    """
    config = model.config
    require(tau > 0, "tau", tau, "a number > 0")
    require(0 <= alpha <= 1, "alpha", alpha, "a number from 0 to 1")
    shape = (config.num_hidden_layers, config.num_attention_heads)
    if max_logits_LH.shape != shape:
        raise ValueError(f"max_logits_LH has shape {list(max_logits_LH.shape)}; expected [layers, heads] = {list(shape)}")
    broken = (max_logits_LH.isnan() | (max_logits_LH == float("inf"))).nonzero()
    if len(broken):
        layer, head = broken[0].tolist()
        raise ValueError(
            f"max_logits_LH[{layer}, {head}] = {max_logits_LH[layer, head].item()} ({len(broken)} heads in all); expected a "
            "finite number: the forward pass has overflowed, so no factor could repair it"
        )
    gamma_LH = clip_factors(max_logits_LH, tau)
    for block, gamma_H in zip(model.blocks, gamma_LH, strict=True):
        block.attn.rescale_qk_(gamma_H, alpha)
    return gamma_LH
