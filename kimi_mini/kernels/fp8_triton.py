"""FP8 E4M3 in tiles of 1x128 and 128x128, and back, as Triton kernels; also fused behind SwiGLU. Format and policy: fp8.py.

A program holds whole tiles in registers, so x is read once: its largest magnitude, the scale, and the rounding follow without a
second pass. Magnitudes are compared as integers (the bits of |x|, whose order is that of the numbers, with infinity and then
NaN above all), so the maximum is exact and lets NaN through. Codes are equal to those of the definition to the last bit.

Conversions need hardware of sm_89 or later; elsewhere (sm_80, the interpreter, whose own conversion does not round) the same
rounding is done by integer arithmetic. Limiter: bytes (1x128 of bf16: 3.03 a number; behind SwiGLU 5.03). In K2's recipe FP8
is storage only: the inputs of the experts' up-projections and of SwiGLU are kept in it until the backward pass.

Scope: fp32, fp16, bf16; fewer than 2^31 tiles; rows may be strided (halves of a fused product are read where they lie), all
else is copied.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import require
from . import fp8
from .fp8 import Block
from .launch import Config, blocks, has_fp8, interpreting, rows_of

# By prediction; not yet tuned on a device: 32 numbers a thread, loaded 16 bytes at a time; a 128x128 tile 64.
_ROWS = Config({"TILES": 4}) if interpreting() else Config({"TILES": 32}, warps=4, stages=1)
_SQUARES = Config(warps=8, stages=1)
_CODES = Config({"TILES": 4}) if interpreting() else Config({"TILES": 32}, warps=4, stages=1)

LARGEST = tl.constexpr(fp8.LARGEST)
SMALLEST_AMAX = tl.constexpr(fp8.SMALLEST_AMAX)
WIDTH = tl.constexpr(128)


@triton.jit
def _magnitude(x):
    """The bits of |x| as integers."""
    return x.to(tl.int32, bitcast=True) & 0x7FFFFFFF


@triton.jit
def _scales(largest):
    """(scale, its inverse, rounded as the definition does) of tiles whose largest magnitude has these bits."""
    smallest = tl.full((), SMALLEST_AMAX, tl.float32).to(tl.int32, bitcast=True)
    amax = tl.maximum(largest, smallest).to(tl.float32, bitcast=True)
    return tl.div_rn(amax, LARGEST), tl.div_rn(tl.zeros_like(amax) + 1.0, amax) * LARGEST


@triton.jit
def _encode(x, HARDWARE: tl.constexpr):
    """E4M3 codes, as bytes: rounded to nearest even, at most 448, NaN 0x7F (whatever its sign)."""
    if HARDWARE:
        return x.to(tl.float8e4nv).to(tl.uint8, bitcast=True)
    sign = (x.to(tl.int32, bitcast=True) >> 24) & 0x80
    bits = _magnitude(x)
    # Normal: the last 20 bits of the fraction go; half of the rest's last place is added, or just less where it is even. Then
    # exponent and fraction are moved down together from fp32's bias to E4M3's: 127 - 7 in units of 8.
    normal = ((bits + 0x7FFFF + ((bits >> 20) & 1)) >> 20) - 960
    # Below 2^-6: a multiple of 2^-9, which is the last place of 2^14, so that adding 2^14 rounds.
    small = (bits.to(tl.float32, bitcast=True) + 16384.0).to(tl.int32, bitcast=True) & 0xF
    code = tl.minimum(tl.where(bits < 0x3C800000, small, normal), 0x7E)
    return tl.where(bits > 0x7F800000, 0x7F, code | sign).to(tl.uint8)


@triton.jit
def _decode(code, HARDWARE: tl.constexpr):
    """The fp32 numbers of E4M3 codes."""
    if HARDWARE:
        return code.to(tl.float8e4nv, bitcast=True).to(tl.float32)
    wide = code.to(tl.int16)
    # fp16 has one exponent bit more and a bias of 15: the same bits, moved, mean 2^-8 times the number, small ones included.
    half = (((wide & 0x80) << 8) | ((wide & 0x7F) << 7)).to(tl.float16, bitcast=True)
    return tl.where((wide & 0x7F) == 0x7F, float("nan"), half.to(tl.float32) * 256.0)


@triton.jit
def _quantize_rows(
    x_ptr, up_ptr, q_ptr, scale_ptr, A, B, x_row, up_row,
    SWIGLU: tl.constexpr, HARDWARE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    per_row = tl.cdiv(B, WIDTH)
    tile = tl.program_id(0) * TILES + tl.arange(0, TILES)
    row = (tile // per_row)[:, None].to(tl.int64)
    column = (tile % per_row)[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    inside = (row < A) & (column < B)
    x = tl.load(x_ptr + row * x_row + column, mask=inside, other=0.0).to(tl.float32)
    if SWIGLU:
        x = x * tl.sigmoid(x) * tl.load(up_ptr + row * up_row + column, mask=inside, other=0.0).to(tl.float32)
    scale, inverse = _scales(tl.max(_magnitude(x), 1))
    tl.store(q_ptr + row * B + column, _encode(x * inverse[:, None], HARDWARE), mask=inside)
    tl.store(scale_ptr + tile, scale, mask=tile < A * per_row)


@triton.jit
def _quantize_squares(x_ptr, q_ptr, scale_ptr, A, B, x_matrix, x_row, HARDWARE: tl.constexpr):
    across = tl.cdiv(B, WIDTH)
    per_matrix = tl.cdiv(A, WIDTH) * across
    matrix, tile = (tl.program_id(0) // per_matrix).to(tl.int64), tl.program_id(0) % per_matrix
    row = (tile // across).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)[:, None]
    column = (tile % across) * WIDTH + tl.arange(0, WIDTH)[None, :]
    inside = (row < A) & (column < B)
    x = tl.load(x_ptr + matrix * x_matrix + row * x_row + column, mask=inside, other=0.0).to(tl.float32)
    scale, inverse = _scales(tl.max(tl.max(_magnitude(x), 1), 0))
    tl.store(q_ptr + (matrix * A + row) * B + column, _encode(x * inverse, HARDWARE), mask=inside)
    tl.store(scale_ptr + tl.program_id(0), scale)


@triton.jit
def _dequantize(q_ptr, scale_ptr, out_ptr, rows, A, B, HEIGHT: tl.constexpr, HARDWARE: tl.constexpr, TILES: tl.constexpr):
    """Tiles of 1x128 in any case; with a HEIGHT of 128 as many rows share a scale."""
    per_row = tl.cdiv(B, WIDTH)
    tile = tl.program_id(0) * TILES + tl.arange(0, TILES)
    row = tile // per_row
    column = (tile % per_row)[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    at = row[:, None].to(tl.int64) * B + column
    inside = (row < rows)[:, None] & (column < B)
    strip = row // A * tl.cdiv(A, HEIGHT) + row % A // HEIGHT  # of rows that share their scales
    scale = tl.load(scale_ptr + strip * per_row + tile % per_row, mask=row < rows, other=0.0)
    x = _decode(tl.load(q_ptr + at, mask=inside, other=0), HARDWARE) * scale[:, None]
    tl.store(out_ptr + at, x.to(out_ptr.dtype.element_ty), mask=inside)


def _rows(x_AB: Tensor, up_AB: Tensor | None) -> tuple[Tensor, Tensor]:
    q_AB = torch.empty(x_AB.shape, dtype=fp8.E4M3, device=x_AB.device)
    scale_Ab = torch.empty(fp8.scale_shape(x_AB.shape, (1, 128)), dtype=torch.float32, device=x_AB.device)
    if q_AB.numel() == 0:
        return q_AB, scale_Ab
    x_AB, up_AB = (None if x is None else rows_of(x.flatten(0, -2)) for x in (x_AB, up_AB))
    _quantize_rows[(blocks(scale_Ab.numel(), _ROWS.tiles["TILES"]),)](
        x_AB, up_AB, q_AB.view(torch.uint8), scale_Ab, *x_AB.shape, x_AB.stride(0), 0 if up_AB is None else up_AB.stride(0),
        up_AB is not None, has_fp8(), **_ROWS.options(),
    )  # fmt: skip
    return q_AB, scale_Ab


def quantize_fp8(x_AB: Tensor, block: Block) -> tuple[Tensor, Tensor]:
    shape = fp8.scale_shape(x_AB.shape, block)
    if block[0] == 1:
        return _rows(x_AB, None)
    q_AB = torch.empty(x_AB.shape, dtype=fp8.E4M3, device=x_AB.device)
    scale_ab = torch.empty(shape, dtype=torch.float32, device=x_AB.device)
    if q_AB.numel() > 0:
        x_nAB = rows_of(x_AB.reshape(-1, *x_AB.shape[-2:]))
        _quantize_squares[(scale_ab.numel(),)](
            x_nAB, q_AB.view(torch.uint8), scale_ab, *x_nAB.shape[1:], *x_nAB.stride()[:2], has_fp8(), **_SQUARES.options()
        )
    return q_AB, scale_ab


def swiglu_fp8(gate_TF: Tensor, up_TF: Tensor) -> tuple[Tensor, Tensor]:
    require(gate_TF.shape == up_TF.shape, "shape of up", list(up_TF.shape), f"{list(gate_TF.shape)}, that of gate")
    return _rows(gate_TF, up_TF)


def dequantize_fp8(q_AB: Tensor, scale_ab: Tensor, block: Block, dtype: torch.dtype) -> Tensor:
    fp8.check_scale(q_AB, scale_ab, block)
    out_AB = torch.empty(q_AB.shape, dtype=dtype, device=q_AB.device)
    A, B = q_AB.shape[-2:]
    rows = out_AB.numel() // max(B, 1)
    if out_AB.numel() > 0:
        _dequantize[(blocks(rows * blocks(B, 128), _CODES.tiles["TILES"]),)](
            q_AB.contiguous().view(torch.uint8), scale_ab.float().contiguous(), out_AB, rows, A, B, block[0], has_fp8(),
            **_CODES.options(),
        )  # fmt: skip
    return out_AB
