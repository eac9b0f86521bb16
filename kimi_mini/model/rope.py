"""Rotary positions: interleaved pairs (0,1), (2,3), ... turned by position times frequency; YaRN slows some of them.

Legend: B batch, T tokens, H heads, R rotary width, P = R/2 pairs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .. import kernels
from ..config import ModelConfig, yarn_mscale


class Rope(NamedTuple):
    """Cosine and sine of every angle, one row per token: cos_BTP and sin_BTP (B may be 1)."""

    cos_BTP: Tensor
    sin_BTP: Tensor


def rope_frequencies(config: ModelConfig, device: torch.device | None = None) -> Tensor:
    """Angle per position of each pair, freq_P in float64: theta^(-2p/R), slowed by YaRN where the config asks for it."""
    width = config.qk_rope_head_dim
    freq_P = config.rope_theta ** -(torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)
    if config.rope_scaling is None:
        return freq_P
    low, high = yarn_range(config)
    ramp_P = ((torch.arange(width // 2, dtype=torch.float64, device=device) - low) / (high - low)).clamp(0, 1)
    return freq_P * (1 - ramp_P) + freq_P / config.rope_scaling.factor * ramp_P


def yarn_range(config: ModelConfig) -> tuple[float, float]:
    """Pairs below the first stay as they are, above the second are slowed by the full factor (K2: 19, 20: a step).

    A pair's index follows from how many turns it makes within the original length: d(r) = R ln(L / 2 pi r) / (2 ln theta).
    """
    yarn, width = config.rope_scaling, config.qk_rope_head_dim

    def pair_with(turns: float) -> float:
        length = yarn.original_max_position_embeddings
        return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(config.rope_theta))

    low = max(math.floor(pair_with(yarn.beta_fast)), 0)
    high = min(math.ceil(pair_with(yarn.beta_slow)), width - 1)
    return low, (high if high > low else low + 0.001)


def rope_table(config: ModelConfig, positions_BT: Tensor, dtype: torch.dtype) -> Rope:
    """The table for these positions. Angles are taken in float64: at 131,072 fp32 would be off by about 0.01 rad."""
    freq_P = rope_frequencies(config, positions_BT.device)  # made there: a copy would make a GPU wait, and bar CUDA graphs
    angle_BTP = positions_BT.to(torch.float64)[..., None] * freq_P
    scale = 1.0
    if config.rope_scaling is not None:
        scale = _yarn_amplitude(config)
    return Rope((angle_BTP.cos() * scale).to(dtype), (angle_BTP.sin() * scale).to(dtype))


def _yarn_amplitude(config: ModelConfig) -> float:
    yarn = config.rope_scaling
    if yarn.mscale and yarn.mscale_all_dim:
        return yarn_mscale(yarn.factor, yarn.mscale) / yarn_mscale(yarn.factor, yarn.mscale_all_dim)
    return yarn_mscale(yarn.factor, 1.0)


def rotate(x_BTHR: Tensor, rope: Rope) -> Tensor:
    """Turn each interleaved pair of x by its angle; the layout of x stays (x0', x1', x2', ...)."""
    return kernels.rope(x_BTHR, rope.cos_BTP, rope.sin_BTP)
