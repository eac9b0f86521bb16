"""Newton-Schulz for a batch of equal matrices at once, with symmetric products as one Triton kernel.

Every product of the iteration except the last is symmetric: X X^T, G G, and products of two polynomials of one G. The kernel
computes the tiles on and above the diagonal and writes each of them twice, once mirrored: half the work, and symmetric to the
last bit. The triangle of tiles is folded into a rectangle, so that every program has a tile. A tall matrix is read through its
strides (X^T X), never copied. The polynomial takes a I in as well (a I + b G + c G G, added in fp32 before rounding), so that
X <- poly X is a plain batched product, which cuBLAS does best; "a X + poly X" would copy X first, and is no more exact.

The two forms are those of newton_schulz_torch.py, where the Gram form is derived; by symmetric products, for N = the short side
and r = the long one over it, five steps cost (7.5 r + 2.5) N^3 multiply-adds directly, (3 r + 7) N^3 as Gram form: 1.6 times
less at K2's experts (r = 3.5).

Scope: fp32, fp16, bf16; matrices of fewer than 2^31 entries; no gradients (an optimizer's step). Limiter: tensor cores; for
small matrices that are few, the launches. Learned from flash-muon, Dion and Gram Newton-Schulz; this is our own code.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import require
from .launch import HALF, PRECISION, Config, blocks, choose, interpreting, require_fit
from .newton_schulz_ref import frobenius_norm, step_coefficients
from .newton_schulz_torch import Triples, from_short_side, gram_form, short_rows, takes_gram_form

GRAM_ASPECT = 1.5  # the least r of the Gram form: 11.5 N^3 there against 13.75, which pays for its smaller products

# By prediction; not yet tuned on a device. Two blocks of 96 KB and 128 registers a thread share an H100's processor: one stores
# while the other multiplies. The polynomial, with its addend, needs 175 registers and runs alone.
_LARGE = {
    "hopper": Config({"BLOCK": 128, "K_BLOCK": 64}, warps=8, stages=3),
    "ampere": Config({"BLOCK": 128, "K_BLOCK": 32}, warps=8, stages=4),
    "small": Config({"BLOCK": 128, "K_BLOCK": 32}, warps=8, stages=3),
    "fp32": Config({"BLOCK": 64, "K_BLOCK": 16}, warps=8, stages=3),
    "interpreter": Config({"BLOCK": 8, "K_BLOCK": 16}),
}
_SMALL = {
    "hopper": Config({"BLOCK": 64, "K_BLOCK": 64}, warps=4, stages=4),
    "ampere": Config({"BLOCK": 64, "K_BLOCK": 64}, warps=4, stages=3),
    "small": Config({"BLOCK": 64, "K_BLOCK": 32}, warps=4, stages=4),
    "fp32": Config({"BLOCK": 32, "K_BLOCK": 32}, warps=4, stages=3),
    "interpreter": Config({"BLOCK": 8, "K_BLOCK": 16}),
}
_PROCESSORS = 132  # of an H100; others have 108 to 148
_SMALL_TILE_RATE = 0.7  # how fast a small tile's entries are next to a large one's: it loads twice as much for each of them


@triton.jit
def _upper_tile(index, tiles):
    """(row, column) of the index-th tile on or above the diagonal: short rows of the triangle fill up long ones."""
    width = tiles + 1 - tiles % 2
    long = index // width
    short = tiles - 1 - long + tiles % 2
    along = index % width
    in_long = along < tiles - long
    return tl.where(in_long, long, short), tl.where(in_long, long + along, short + along - (tiles - long))


@triton.jit
def _symmetric_product(
    a_ptr, b_ptr, plus_ptr, out_ptr, N, K, alpha, beta, diagonal, stride_matrix, stride_row, stride_k,
    HAS_PLUS: tl.constexpr, PRECISION: tl.constexpr, BLOCK: tl.constexpr, K_BLOCK: tl.constexpr,
):  # fmt: skip
    tiles = tl.cdiv(N, BLOCK)
    per_matrix = tiles * (tiles + 1) // 2
    matrix = (tl.program_id(0) // per_matrix).to(tl.int64)
    tile_row, tile_column = _upper_tile(tl.program_id(0) % per_matrix, tiles)
    row = tile_row * BLOCK + tl.arange(0, BLOCK)
    column = tile_column * BLOCK + tl.arange(0, BLOCK)
    k = tl.arange(0, K_BLOCK)
    a_ptrs = a_ptr + matrix * stride_matrix + row[:, None] * stride_row + k[None, :] * stride_k
    b_ptrs = b_ptr + matrix * stride_matrix + column[None, :] * stride_row + k[:, None] * stride_k
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, K, K_BLOCK):
        a = tl.load(a_ptrs, mask=(row < N)[:, None] & (k < K - start)[None, :], other=0.0)
        b = tl.load(b_ptrs, mask=(column < N)[None, :] & (k < K - start)[:, None], other=0.0)
        acc = tl.dot(a, b, acc, input_precision=PRECISION)
        a_ptrs += K_BLOCK * stride_k
        b_ptrs += K_BLOCK * stride_k
    inside = (row < N)[:, None] & (column < N)[None, :]
    at = row[:, None] * N + column[None, :]
    acc = alpha * acc + tl.where(row[:, None] == column[None, :], diagonal, 0.0)
    if HAS_PLUS:
        acc += beta * tl.load(plus_ptr + matrix * N * N + at, mask=inside, other=0.0).to(tl.float32)
    out = acc.to(out_ptr.dtype.element_ty)
    if tile_row == tile_column:  # one half of a tile on the diagonal is the mirror image of the other, to the last bit
        out = tl.where(row[:, None] <= column[None, :], out, tl.trans(out))
    out_ptr += matrix * N * N
    tl.store(out_ptr + at, out, mask=inside)
    tl.store(out_ptr + column[None, :] * N + row[:, None], out, mask=inside)


def _config(matrices: int, n: int, dtype: torch.dtype) -> Config:
    """Large tiles, unless small ones fill the processors so much better that all are done earlier."""

    def time(config: Config, rate: float) -> float:
        tiles, size = blocks(n, config.tiles["BLOCK"]), config.tiles["BLOCK"]
        return blocks(matrices * tiles * (tiles + 1) // 2, _PROCESSORS) * size**2 / rate

    large, small = choose(_LARGE, dtype), choose(_SMALL, dtype)
    return large if time(large, 1.0) <= time(small, _SMALL_TILE_RATE) else small


def symmetric_product(
    a_nNK: Tensor,
    b_nNK: Tensor,
    *,
    alpha: float = 1.0,
    plus_nNN: Tensor | None = None,
    beta: float = 0.0,
    diagonal: float = 0.0,
) -> Tensor:
    """alpha a b^T + beta plus + diagonal I for each of n matrices, where the caller knows that it is symmetric.

    a and b have one layout (any strides); plus is symmetric and contiguous. Products and sums are in fp32.
    """
    require(a_nNK.stride() == b_nNK.stride(), "strides of b", b_nNK.stride(), f"those of a, {a_nNK.stride()}")
    matrices, n, k = a_nNK.shape
    config = _config(matrices, n, a_nNK.dtype)
    tiles = blocks(n, config.tiles["BLOCK"])
    out_nNN = a_nNK.new_empty(matrices, n, n)
    _symmetric_product[(matrices * tiles * (tiles + 1) // 2,)](
        a_nNK, b_nNK, plus_nNN, out_nNN, n, k, alpha, beta, diagonal, *a_nNK.stride(), plus_nNN is not None, PRECISION,
        **config.options(),
    )  # fmt: skip
    return out_nNN


def _polynomial(gram_nNN: Tensor, a: float, b: float, c: float) -> Tensor:
    """a I + b G + c G G."""
    return symmetric_product(gram_nNN, gram_nNN, alpha=c, plus_nNN=gram_nNN, beta=b, diagonal=a)


def _direct_form(x_nAB: Tensor, triples: Triples) -> Tensor:
    for triple in triples:
        poly = _polynomial(symmetric_product(short_rows(x_nAB), short_rows(x_nAB)), *triple)
        x_nAB = torch.bmm(*from_short_side(poly, x_nAB))
    return x_nAB


def newton_schulz(x_AB: Tensor, *, steps: int, coefficients: str, dtype: torch.dtype | None, eps: float) -> Tensor:
    triples = step_coefficients(coefficients, steps)
    dtype = dtype or x_AB.dtype
    require_fit(dtype in (torch.float32, *HALF), "dtype", dtype, "float32, float16 or bfloat16 (float64: 'ref' or 'torch')")
    wrong = interpreting() and dtype == torch.bfloat16
    require(not wrong, "dtype", dtype, "float32 or float16 (Triton's interpreter multiplies bfloat16 tiles wrongly)")
    grad = x_AB.requires_grad and torch.is_grad_enabled()
    require(not grad, "x.requires_grad", grad, "no gradient ('ref' has one)")
    sides = sorted(x_AB.shape[-2:])
    require_fit(sides[0] * sides[1] < 2**31, "entries of a matrix", sides[0] * sides[1], "fewer than 2^31")
    if x_AB.numel() == 0:
        return torch.empty_like(x_AB)
    x_nAB = x_AB.reshape(-1, *x_AB.shape[-2:])
    x_nAB = torch.div(x_nAB, frobenius_norm(x_nAB, eps), out=torch.empty_like(x_nAB, dtype=dtype))
    if takes_gram_form(x_AB.shape, dtype, GRAM_ASPECT):
        x_nAB = gram_form(x_nAB, triples, symmetric_product, _polynomial)
    else:
        x_nAB = _direct_form(x_nAB, triples)
    return x_nAB.to(x_AB.dtype).view(x_AB.shape)
