"""Row-wise operations: RMSNorm, SwiGLU, rotary positions and cross-entropy, slow twin beside fast form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import at_least_fp32

IGNORE = -100


def rms_norm_ref(x_D: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    wide = x_D.to(at_least_fp32(x_D.dtype))
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return normed.to(x_D.dtype) * weight_D.to(x_D.dtype)


def rms_norm_torch(x_D: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x_D, x_D.shape[-1:], weight_D.to(x_D.dtype), eps)


def add_rms_norm_ref(x_D: Tensor, residual_D: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    sum_D = x_D + residual_D
    return rms_norm_ref(sum_D, weight_D, eps), sum_D


def add_rms_norm_torch(x_D: Tensor, residual_D: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    sum_D = x_D + residual_D
    return rms_norm_torch(sum_D, weight_D, eps), sum_D


def swiglu_ref(gate_F: Tensor, up_F: Tensor) -> Tensor:
    wide = gate_F.to(at_least_fp32(gate_F.dtype))
    return (wide * torch.sigmoid(wide) * up_F).to(gate_F.dtype)


def swiglu_torch(gate_F: Tensor, up_F: Tensor) -> Tensor:
    return F.silu(gate_F) * up_F


def rope(x_BTHR: Tensor, cos_BTP: Tensor, sin_BTP: Tensor) -> Tensor:
    """Definition and fast form in one: turn each pair (x0, x1), (x2, x3), ... by its angle; the layout of x stays."""
    even, odd = x_BTHR.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos_BTP.unsqueeze(2), sin_BTP.unsqueeze(2)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


def cross_entropy_ref(logits_TV: Tensor, target_T: Tensor) -> Tensor:
    counted = target_T != IGNORE
    log_probs = torch.log_softmax(logits_TV[counted].to(at_least_fp32(logits_TV.dtype)), dim=-1)
    return -log_probs.gather(1, target_T[counted].unsqueeze(1)).sum()


def cross_entropy_torch(logits_TV: Tensor, target_T: Tensor) -> Tensor:
    wide = logits_TV.to(at_least_fp32(logits_TV.dtype))
    return F.cross_entropy(wide, target_T, ignore_index=IGNORE, reduction="sum")
