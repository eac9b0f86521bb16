"""FP8 E4M3 with one fp32 scale per tile of 1x128 (activations) or 128x128 (weights): the format K2 is released in.

x is about q * scale, with scale = amax / 448 over the tile, so the largest entry of a tile becomes 448, the largest of E4M3.
q = E4M3(x * (1 / amax * 448)), each operation rounded to fp32 and the last to nearest even: what `448 / amax` in DeepGEMM's
casts means in torch. Tiles at the end of an axis may be short.

A tile of zeros, like one whose amax is below 2^-96, has the scale of 2^-96: its zeros come back as zeros, never NaN. A tile
that holds NaN or an infinity comes back as NaN, whole: its scale is not finite, and nothing hides it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import require
from . import rows

E4M3 = torch.float8_e4m3fn
LARGEST = 448.0  # of E4M3
SMALLEST_AMAX = 2.0**-96  # below it a tile counts as zeros: 448 / amax must stay finite
BLOCKS = ((1, 128), (128, 128))

Block = tuple[int, int]


def scale_shape(shape: torch.Size | list[int], block: Block) -> list[int]:
    """The shape of the scales of a tensor: its last two axes count tiles."""
    require(block in BLOCKS, "block", block, " or ".join(map(str, BLOCKS)))
    require(len(shape) >= 2, "shape", list(shape), "at least two axes")
    return [*shape[:-2], *(-(-n // b) for n, b in zip(shape[-2:], block, strict=True))]


def check_scale(q_AB: Tensor, scale_ab: Tensor, block: Block) -> None:
    """Raise ValueError for codes that are not E4M3 and for scales of another shape than their tiles ask for."""
    require(q_AB.dtype == E4M3, "q's dtype", q_AB.dtype, str(E4M3))
    right = scale_shape(q_AB.shape, block)
    require(list(scale_ab.shape) == right, "shape of the scales", list(scale_ab.shape), f"{right}, tiles of {block}")


def quantize_fp8_ref(x_AB: Tensor, block: Block) -> tuple[Tensor, Tensor]:
    q_AB = torch.empty_like(x_AB, dtype=E4M3)
    scale_ab = torch.empty(scale_shape(x_AB.shape, block), device=x_AB.device)
    for a in range(scale_ab.shape[-2]):
        for b in range(scale_ab.shape[-1]):
            here = (..., slice(a * block[0], (a + 1) * block[0]), slice(b * block[1], (b + 1) * block[1]))
            tile = x_AB[here].float()
            amax = tile.abs().amax((-2, -1), keepdim=True).clamp_min(SMALLEST_AMAX)
            q_AB[here] = (tile * (amax.reciprocal() * LARGEST)).clamp(-LARGEST, LARGEST).to(E4M3)
            scale_ab[..., a, b] = (amax / LARGEST)[..., 0, 0]
    return q_AB, scale_ab


def quantize_fp8_torch(x_AB: Tensor, block: Block) -> tuple[Tensor, Tensor]:
    shape = scale_shape(x_AB.shape, block)
    height, width = x_AB.shape[-2:]
    padded = F.pad(x_AB.float(), (0, -width % block[1], 0, -height % block[0]))
    tiles = padded.view(*shape[:-1], block[0], shape[-1], block[1])  # [..., a, rows of a tile, b, columns of a tile]
    amax = tiles.abs().amax((-3, -1), keepdim=True).clamp_min(SMALLEST_AMAX)
    # Casts differ in what they do beyond 448, so nothing is left there.
    q = (tiles * (amax.reciprocal() * LARGEST)).clamp_(-LARGEST, LARGEST).to(E4M3).view(padded.shape)
    return q[..., :height, :width].contiguous(), (amax / LARGEST).view(shape)


def dequantize_fp8(q_AB: Tensor, scale_ab: Tensor, block: Block, dtype: torch.dtype) -> Tensor:
    check_scale(q_AB, scale_ab, block)
    scale_AB = scale_ab.float().repeat_interleave(block[0], -2).repeat_interleave(block[1], -1)
    return (q_AB.float() * scale_AB[..., : q_AB.shape[-2], : q_AB.shape[-1]]).to(dtype)


def swiglu_fp8_ref(gate_TF: Tensor, up_TF: Tensor) -> tuple[Tensor, Tensor]:
    return quantize_fp8_ref(rows.swiglu_ref(gate_TF.float(), up_TF.float()), (1, 128))


def swiglu_fp8_torch(gate_TF: Tensor, up_TF: Tensor) -> tuple[Tensor, Tensor]:
    return quantize_fp8_torch(rows.swiglu_torch(gate_TF.float(), up_TF.float()), (1, 128))
