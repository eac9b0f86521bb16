"""A row at a time: a sum over a padded block, in fp32."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant

from .own import own_kernel as twist

SOLUTION = '''
import torch
import triton
import triton.language as tl


def rms_norm(x_TD, weight_D, eps):
    """RMSNorm of every row, by a Triton kernel: statistics and result in fp32 (K2 has one before each layer's two halves).

    x_TD        [T, D], fp16 or fp32, contiguous; D is any width up to 1,024
    weight_D    [D], fp32
    eps         a number

        y[t, d] = x[t, d] / sqrt(mean over d of x[t, d]^2 + eps) * weight[d]

    One program for each row. A block is a power of two: triton.next_power_of_2(D) columns hold a row, and some stay empty.
    Returns y_TD, [T, D], fp32.
    """
    T, D = x_TD.shape
    y_TD = torch.empty(T, D, dtype=torch.float32, device=x_TD.device)
    rms_norm_kernel[(T,)](x_TD, weight_D, y_TD, D, eps, BLOCK=triton.next_power_of_2(D))
    return y_TD


@triton.jit
def rms_norm_kernel(x_ptr, weight_ptr, y_ptr, D, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    d = tl.arange(0, BLOCK)
    inside = d < D
    x = tl.load(x_ptr + row * D + d, mask=inside, other=0.0)
    x = x.to(tl.float32)
    weight = tl.load(weight_ptr + d, mask=inside, other=0.0)
    size = tl.sqrt(tl.sum(x * x, 0) / D + eps)
    tl.store(y_ptr + row * D + d, x / size * weight, mask=inside)
'''

PACKAGE = """
import kimi_mini as km


def rms_norm(x_TD, weight_D, eps):
    return km.kernels.rms_norm(x_TD.float(), weight_D, eps, impl="triton")
"""


def cases(seed: int, sign: int = 1) -> tuple[Case, ...]:
    """Widths that fill a block and that do not, fp16 numbers whose squares do not fit into fp16, small rows where eps counts.
    On the whole the numbers have that sign."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, rows: int, width: int, size: float, dtype: torch.dtype, eps: float = 1e-6) -> Case:
        x_TD = sign * size * (torch.randn(rows, width, generator=gen) + 0.5)
        return Case(name, (x_TD.to(dtype), 1 + 0.3 * torch.randn(width, generator=gen), eps), kernel=True)

    return (
        case("rows that fill their block", 3, 32, 1.0, torch.float32),
        case("rows that do not", 4, 22, 1.0, torch.float32),
        case("large fp16 numbers", 3, 38, 400.0, torch.float16),
        case("many fp16 numbers", 1, 300, 2.0, torch.float16),
        case("small numbers, a large eps", 3, 18, 0.01, torch.float32, 1e-4),
    )


_SIZE = "size = tl.sqrt(tl.sum(x * x, 0) / D + eps)"

PRACTICE = Variant(
    "plain",
    SOLUTION,
    cases,
    (
        Mistake(
            "tail not masked",
            "x = tl.load(x_ptr + row * D + d, mask=inside, other=0.0)",
            "x = tl.load(x_ptr + row * D + d)",
            "The sum counts what lies behind the row: the next row, and behind the last one foreign memory. Mask the load, and "
            "let `other` be 0, which adds nothing.",
        ),
        Mistake(
            "nothing said of what is hidden",
            "x = tl.load(x_ptr + row * D + d, mask=inside, other=0.0)",
            "x = tl.load(x_ptr + row * D + d, mask=inside)",
            "Empty columns are hidden, but what they hold was not said, and the sum counts it. Let `other` be 0.",
        ),
        Mistake(
            "mean over the padded width",
            "tl.sum(x * x, 0) / D",
            "tl.sum(x * x, 0) / BLOCK",
            "The sum was divided by the width of the block, empty columns included. The row has D numbers.",
        ),
        Mistake(
            "fp16 sums",
            "    x = x.to(tl.float32)\n",
            "",
            "Squares and sum were made in fp16, which ends at 65,504 and keeps eleven bits. Cast to fp32 right after the load.",
        ),
        Mistake(
            "eps outside the root",
            _SIZE,
            "size = tl.sqrt(tl.sum(x * x, 0) / D) + eps",
            "eps belongs under the root, beside the mean of the squares.",
        ),
        Mistake(
            "sum for mean",
            "tl.sum(x * x, 0) / D + eps",
            "tl.sum(x * x, 0) + eps",
            "The root of the sum was taken. It is the root of the mean: divide by D.",
        ),
        Mistake("no weight", "x / size * weight", "x / size", "The weight is missing."),
        Mistake(
            "rows overlap",
            "tl.load(x_ptr + row * D + d, mask",
            "tl.load(x_ptr + row * BLOCK + d, mask",
            "Row t begins at t times D in memory. Blocks are padded, rows are not.",
        ),
    ),
)

_HALVES = "tl.where(d < D // 2, tl.sum(tl.where(d < D // 2, x * x, 0.0), 0), tl.sum(tl.where(d < D // 2, 0.0, x * x), 0))"
_FORMULA = "y[t, d] = x[t, d] / sqrt(mean over d of x[t, d]^2 + eps) * weight[d]"

RMS_NORM = Coding(
    "rms_norm",
    "RMSNorm",
    minutes=20,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "mean taken off",
            "The row's mean is taken off first, LayerNorm: c = x - mean over d of x, y = c / sqrt(mean of c^2 + eps) * weight.",
            (_FORMULA, "c[t, d] = x[t, d] - mean over d of x[t, d]\n        y[t, d] = c[t, d] / sqrt(mean over d of c[t, d]^2 + eps) * weight[d]"),  # noqa: E501
            (_SIZE, "x = tl.where(inside, x - tl.sum(x, 0) / D, 0.0)\n    " + _SIZE),
            besides=("fp16 sums",),  # dividing by D is fp32 again
            also=(
                Mistake(
                    "padding in the variance",
                    "x = tl.where(inside, x - tl.sum(x, 0) / D, 0.0)",
                    "x = x - tl.sum(x, 0) / D",
                    "The empty columns were 0 and became minus the mean, so their squares count. Set them back to 0.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "two halves",
            "A row has two halves, each normalised by itself: columns below D / 2, and the others. D is even.",
            ("mean over d of x[t, d]^2", "mean of x^2 over the half of row t that d is in"),
            (_SIZE, f"halves = {_HALVES}\n    size = tl.sqrt(halves / (D // 2) + eps)"),
            also=(
                Mistake(
                    "half the sum by the whole width",
                    "halves / (D // 2)",
                    "halves / D",
                    "Each half has D / 2 numbers, so its mean is the sum divided by D / 2.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the largest counts",
            "A row is divided by its largest size in place of its RMS: y = x / (max over d of |x| + eps) * weight.",
            (_FORMULA, "y[t, d] = x[t, d] / (max over d of |x[t, d]| + eps) * weight[d]"),
            (_SIZE, "size = tl.max(tl.abs(x), 0) + eps"),
            cases=lambda seed: cases(seed, sign=-1),
            besides=("fp16 sums", "nothing said of what is hidden"),  # the interpreter's maximum skips NaN
            also=(
                Mistake("signed", "tl.max(tl.abs(x), 0)", "tl.max(x, 0)", "The largest number was taken, not the size."),
            ),
        ),
        twist(
            PRACTICE,
            "weight around one",
            "The weight is stored as its distance from 1: y = x / rms * (1 + weight).",
            ("* weight[d]", "* (1 + weight[d])"),
            ("x / size * weight", "x / size * (1.0 + weight)"),
            besides=("no weight",),
        ),
    ),
)  # fmt: skip
