"""What the attention kernels share: tiles of a matrix, widths that are no power of two, and the order of programs.

A width is cut in two, 192 = 128 + 64: for MLA the content part and the rotary part. One product runs over each; a single tile
would have to be padded to 256. Tensor cores want at least 16 columns, so smaller parts are padded with zeros.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import PRECISION, interpreting, next_power_of_2

_CACHED_BYTES = 32 * 2**20  # of keys and values at once in a GPU's second-level cache (an H100 has 50 MB, an A100 40)

precision = tl.constexpr(PRECISION)
log2_e = tl.constexpr(1.4426950408889634)  # exp(x) = 2 ** (x log2(e))
SPAN = tl.constexpr(8 if interpreting() else 1024)  # tokens whose documents `span` reads at a time


def padded(width: int) -> int:
    """The tile width that holds `width` columns."""
    return max(next_power_of_2(width), 16)


def halves(width: int) -> tuple[int, int]:
    """Tile widths of the two parts of a row, the largest power of two and the rest; no rest is 0."""
    first = max(next_power_of_2(width + 1) // 2, 16)
    return first, padded(width - first) if width > first else 0


def heads_at_once(x_BTHN: Tensor, bytes_per_head: int) -> int:
    """How many heads' keys and values fit in the cache together; `place` runs so many side by side."""
    return max(1, min(_CACHED_BYTES // bytes_per_head, x_BTHN.shape[0] * x_BTHN.shape[2]))


def int32(document_BT: Tensor | None) -> Tensor | None:
    return None if document_BT is None else document_BT.to(torch.int32).contiguous()


_COMPILED = tl.constexpr(not interpreting())  # the interpreter knows no assembly, and no products in flight


@triton.jit
def finished(sum_fp32):
    """The same numbers, with the product that adds to them complete: for sums that a loop carries to its next round.

    Otherwise Triton leaves that product in flight over the loop's end, and NVIDIA's assembler, which finds other accumulators
    set up meanwhile, makes every wgmma of the loop wait for the one before (its note C7515). An empty instruction is a use.
    """
    if _COMPILED:
        sum_fp32 = tl.inline_asm_elementwise("// in use", "=f,0", [sum_fp32], dtype=tl.float32, is_pure=True, pack=1)
    return sum_fp32


@triton.jit
def place(n_tiles, n_heads, at_once):
    """(tile, head) of this program: `at_once` heads side by side so that the cache holds them, tile 0 of all first.

    The caller numbers its tiles from the one with most work on, so that the last programs to start are short ones.
    """
    program = tl.program_id(0)
    first = program // (n_tiles * at_once) * at_once
    heads = tl.minimum(at_once, n_heads - first)
    inside = program - first * n_tiles
    return inside // heads, first + inside % heads


@triton.jit
def load_tile(
    ptr, stride: tl.constexpr, n_rows, WIDTH: tl.constexpr, FIRST: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """The tile [ROWS, COLUMNS] from column FIRST on of a matrix with WIDTH columns; zero outside. WHOLE: no row is outside.

    The stride is a constant, as it is in a model: the addresses of a thread's rows then differ by constants and need no
    registers of their own.
    """
    row = tl.arange(0, ROWS)[:, None]
    column = FIRST + tl.arange(0, COLUMNS)[None, :]
    at = ptr + row * stride + column
    if FIRST + COLUMNS <= WIDTH:
        if WHOLE:
            tile = tl.load(at)
        else:
            tile = tl.load(at, mask=row < n_rows, other=0.0)
    else:
        tile = tl.load(at, mask=(row < n_rows) & (column < WIDTH), other=0.0)
    return tile


@triton.jit
def store_tile(ptr, tile, stride, n_rows, WIDTH: tl.constexpr, FIRST: tl.constexpr):
    """Write a tile where `load_tile` would read it, in the matrix's format."""
    row = tl.arange(0, tile.shape[0])[:, None]
    column = FIRST + tl.arange(0, tile.shape[1])[None, :]
    inside = (row < n_rows) & (column < WIDTH)
    tl.store(ptr + row * stride + column, tile.to(ptr.dtype.element_ty), mask=inside)


@triton.jit
def load_row(ptr, n, COLUMNS: tl.constexpr, WHOLE: tl.constexpr):
    """[1, COLUMNS] numbers that lie side by side, zero from n on. WHOLE: none is outside."""
    column = tl.arange(0, COLUMNS)[None, :]
    if WHOLE:
        row = tl.load(ptr + column)
    else:
        row = tl.load(ptr + column, mask=column < n, other=0.0)
    return row


@triton.jit
def span(document_ptr, lowest, highest, start, stop, BLOCK: tl.constexpr):
    """Of the tokens start to stop whose documents lie in lowest to highest: the first, and the one after the last.

    All that a tile with those documents may look at lies between. Where there is none: (stop, start).
    """
    first, end = stop, start
    for at in range(start, stop, BLOCK):
        token = at + tl.arange(0, BLOCK)
        document = tl.load(document_ptr + token, mask=token < stop, other=-1)
        within = (document >= lowest) & (document <= highest)
        first = tl.minimum(first, tl.min(tl.where(within, token, stop), 0))
        end = tl.maximum(end, tl.max(tl.where(within, token + 1, start), 0))
    return first, end
