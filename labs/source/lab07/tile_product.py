"""A matrix product in tiles, with edges that no tile fits."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant

from .own import own_kernel as twist

SOLUTION = '''
import torch
import triton
import triton.language as tl


def tile_product(a_MK, b_KN):
    """The product of two matrices of any shapes, by a Triton kernel that makes one tile of it in each program.

    a_MK, b_KN    [M, K] and [K, N], both fp16 or both fp32, contiguous

        c[m, n] = sum over k of a[m, k] * b[k, n]

    A program walks along K, 16 numbers at a time, and adds up in fp32. Tiles are 16 x 16; M, N and K need not be whole tiles.
    Use tl.dot(..., input_precision="ieee"), so that a GPU does not round fp32 inputs.
    Returns c_MN, [M, N], fp32.
    """
    (M, K), N = a_MK.shape, b_KN.shape[1]
    c_MN = torch.empty(M, N, dtype=torch.float32, device=a_MK.device)
    product_kernel[(triton.cdiv(M, 16), triton.cdiv(N, 16))](a_MK, b_KN, c_MN, M, N, K, TILE=16)
    return c_MN


@triton.jit
def product_kernel(a_ptr, b_ptr, c_ptr, M, N, K, TILE: tl.constexpr):
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)[:, None]
    n = tl.program_id(1) * TILE + tl.arange(0, TILE)[None, :]
    c = tl.zeros((TILE, TILE), tl.float32)
    for start in range(0, K, TILE):
        k = start + tl.arange(0, TILE)
        a = tl.load(a_ptr + m * K + k[None, :], mask=(m < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * N + n, mask=(k[:, None] < K) & (n < N), other=0.0)
        c = tl.dot(a, b, c, input_precision="ieee")
    tl.store(c_ptr + m * N + n, c, mask=(m < M) & (n < N))
'''


def cases(seed: int, turn_a: bool = False, turn_b: bool = False) -> tuple[Case, ...]:
    """One whole tile, several, tails on every axis, a long sum whose low bits fp16 loses, numbers too large for fp16."""
    gen = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int, turned: bool, dtype: torch.dtype) -> torch.Tensor:
        return torch.randn(*((columns, rows) if turned else (rows, columns)), generator=gen).to(dtype)

    def case(name: str, m: int, k: int, n: int, dtype: torch.dtype, size: float = 1.0) -> Case:
        return Case(name, (size * matrix(m, k, turn_a, dtype), matrix(k, n, turn_b, dtype)), kernel=True)

    return (
        case("one tile", 16, 16, 16, torch.float32),
        case("wider than tall", 16, 32, 48, torch.float32),
        case("tails on every axis", 19, 37, 21, torch.float32),
        case("a long sum of fp16 numbers", 9, 90, 11, torch.float16, 8.0),
        case("one row, one column, large numbers", 1, 20, 1, torch.float32, 1e5),
    )


_A = "mask=(m < M) & (k[None, :] < K), other=0.0)"
_B = "mask=(k[:, None] < K) & (n < N), other=0.0)"
_K_TAIL = (
    "The last step along K takes more than there is: behind a row of a stands the next row, behind b nothing. Mask k in both."
)

PRACTICE = Variant(
    "plain",
    SOLUTION,
    cases,
    (
        Mistake(
            "strides right only for squares",
            "b_ptr + k[:, None] * N + n,",
            "b_ptr + k[:, None] * K + n,",
            "From one row of b to the next it is N numbers, the width of b. K is right only for squares.",
        ),
        Mistake(
            "stride of a",
            "a_ptr + m * K + k[None, :],",
            "a_ptr + m * M + k[None, :],",
            "From one row of a to the next it is K numbers, the width of a. M is right only for squares.",
        ),
        Mistake(
            "stride of c",
            "c_ptr + m * N + n",
            "c_ptr + m * M + n",
            "From one row of c to the next it is N numbers. M is right only for squares.",
        ),
        Mistake("K tail", _A, "mask=m < M, other=0.0)", _K_TAIL),
        Mistake("K tail of b", _B, "mask=n < N, other=0.0)", _K_TAIL),
        Mistake(
            "inputs rounded to fp16",
            "c = tl.dot(a, b, c,",
            "c = tl.dot(a.to(tl.float16), b.to(tl.float16), c,",
            "fp32 inputs were rounded to fp16 before the product. Give them to tl.dot as they are.",
        ),
        Mistake(
            "K tail left out",
            "range(0, K, TILE)",
            "range(0, K // TILE * TILE, TILE)",
            "What is left of K behind the last whole tile was left out. Go on, with a mask.",
        ),
        Mistake(
            "low-precision sum",
            'c = tl.dot(a, b, c, input_precision="ieee")',
            'c = (c + tl.dot(a, b, input_precision="ieee")).to(tl.float16).to(tl.float32)',
            "The sum was rounded to fp16 on the way. Products of fp16 numbers are added up in fp32, and rounded at the end.",
        ),
        Mistake(
            "only the last step",
            'c = tl.dot(a, b, c, input_precision="ieee")',
            'c = tl.dot(a, b, input_precision="ieee")',
            "Each step along K overwrote the one before. Add it to what is there: tl.dot(a, b, c) does.",
        ),
        Mistake(
            "store not masked",
            "tl.store(c_ptr + m * N + n, c, mask=(m < M) & (n < N))",
            "tl.store(c_ptr + m * N + n, c, mask=m < M)",
            "A tile that hangs over an edge wrote into the next row, or behind the matrix. Mask the store on both axes.",
        ),
    ),
)  # fmt: skip

_FORMULA = "c[m, n] = sum over k of a[m, k] * b[k, n]"

TILE_PRODUCT = Coding(
    "tile_product",
    "Matrix tile",
    minutes=30,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=SOLUTION,  # the package multiplies matrices only inside larger kernels
    twists=(
        twist(
            PRACTICE,
            "b turned",
            "b lies turned in memory, as a linear layer's weight does: b_NK, and c = a b^T.",
            ("def my_tile_product(a_MK, b_KN)", "def my_tile_product(a_MK, b_NK)"),
            ("a_MK, b_KN    [M, K] and [K, N]", "a_MK, b_NK    [M, K] and [N, K]"),
            (_FORMULA, "c[m, n] = sum over k of a[m, k] * b[n, k]"),
            ("b_KN.shape[1]", "b_NK.shape[0]"),
            ("](a_MK, b_KN,", "](a_MK, b_NK,"),
            ("b_ptr + k[:, None] * N + n,", "b_ptr + n * K + k[:, None],"),
            cases=lambda seed: cases(seed, turn_b=True),
            also=(
                Mistake(
                    "strides right only for squares",
                    "b_ptr + n * K + k[:, None],",
                    "b_ptr + n * N + k[:, None],",
                    "From one row of b to the next it is K numbers. N is right only for squares.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a turned",
            "a lies turned in memory, as in the gradient of a weight: a_KM, and c = a^T b.",
            ("def my_tile_product(a_MK, b_KN)", "def my_tile_product(a_KM, b_KN)"),
            ("a_MK, b_KN    [M, K] and [K, N]", "a_KM, b_KN    [K, M] and [K, N]"),
            (_FORMULA, "c[m, n] = sum over k of a[k, m] * b[k, n]"),
            ("(M, K), N = a_MK.shape", "(K, M), N = a_KM.shape"),
            ("device=a_MK.device", "device=a_KM.device"),
            ("](a_MK, b_KN,", "](a_KM, b_KN,"),
            ("a_ptr + m * K + k[None, :],", "a_ptr + k[None, :] * M + m,"),
            cases=lambda seed: cases(seed, turn_a=True),
            besides=("K tail",),
            also=(
                Mistake(
                    "K tail",
                    _A + "\n        b = tl.load(b_ptr + k[:, None] * N + n, " + _B,
                    "mask=m < M, other=0.0)\n        b = tl.load(b_ptr + k[:, None] * N + n, mask=n < N, other=0.0)",
                    _K_TAIL,
                ),
            ),
        ),
        twist(
            PRACTICE,
            "lower triangle",
            "Only what stands on and below the diagonal counts: c[m, n] = 0 where n > m.",
            (_FORMULA, _FORMULA + " where n <= m,   0 where n > m"),
            ("tl.store(c_ptr + m * N + n, c,", "tl.store(c_ptr + m * N + n, tl.where(n <= m, c, 0.0),"),
            besides=("store not masked", ),
            also=(
                Mistake(
                    "diagonal left out",
                    "tl.where(n <= m, c, 0.0)",
                    "tl.where(n < m, c, 0.0)",
                    "The diagonal belongs to the triangle: n <= m.",
                ),
                Mistake(
                    "triangle of the tile",
                    "tl.where(n <= m, c, 0.0)",
                    "tl.where(n - tl.program_id(1) * TILE <= m - tl.program_id(0) * TILE, c, 0.0)",
                    "Every tile got a triangle of its own. Places count from the matrix's corner.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "scaled columns",
            "Column n of the product is divided by the largest size in column n of b: c[m, n] / max over k of |b[k, n]|.",
            (_FORMULA, _FORMULA + "  /  max over k of |b[k, n]|"),
            ("c = tl.zeros((TILE, TILE), tl.float32)", "c = tl.zeros((TILE, TILE), tl.float32)\n    size = tl.zeros((1, TILE), tl.float32)"),  # noqa: E501
            (
                'c = tl.dot(a, b, c, input_precision="ieee")',
                'c = tl.dot(a, b, c, input_precision="ieee")\n'
                "        size = tl.maximum(size, tl.max(tl.abs(b.to(tl.float32)), 0)[None, :])",
            ),
            ("tl.store(c_ptr + m * N + n, c,", "tl.store(c_ptr + m * N + n, c / size,"),
            besides=("low-precision sum", "only the last step", "store not masked"),
            also=(
                Mistake(
                    "size of the last step",
                    "tl.maximum(size, tl.max(tl.abs(b.to(tl.float32)), 0)[None, :])",
                    "tl.max(tl.abs(b.to(tl.float32)), 0)[None, :]",
                    "Only the last tile of b counts for the largest size. Carry it along, as the sum is.",
                ),
            ),
        ),
    ),
)  # fmt: skip
