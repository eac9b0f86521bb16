"""The first kernel: a program for each block of numbers, and a mask for the block that is not full."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant

from .own import own_kernel as twist

SOLUTION = '''
import torch
import triton
import triton.language as tl


def masked_add(x_N, y_N):
    """The sum of two vectors of any length, by a Triton kernel.

    x_N, y_N    [N], fp32, contiguous

        out[n] = x[n] + y[n]

    One program for each block of 16 numbers; the last block may be partly empty. Nothing outside the vectors is touched.
    Returns out_N, [N].
    """
    N = x_N.shape[0]
    out_N = torch.empty_like(x_N)
    add_kernel[(triton.cdiv(N, 16),)](x_N, y_N, out_N, N, BLOCK=16)
    return out_N


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, N, BLOCK: tl.constexpr):
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < N
    x = tl.load(x_ptr + n, mask=inside)
    y = tl.load(y_ptr + n, mask=inside)
    tl.store(out_ptr + n, x + y, mask=inside)
'''

PACKAGE = """
import torch

import kimi_mini as km


def masked_add(x_N, y_N):
    return km.kernels.add_rms_norm(x_N[None], y_N[None], torch.ones_like(x_N), 1e-6, impl="triton")[1][0]
"""


def cases(seed: int, repeat: int = 1) -> tuple[Case, ...]:
    """Whole blocks, a tail, less than a block, a single number. `repeat` numbers of x for each of y."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, length: int) -> Case:
        x_N = torch.randn(length, generator=gen)
        return Case(name, (x_N, torch.randn(-(-length // repeat), generator=gen)), kernel=True)

    return (
        case("two whole blocks", 32),
        case("a tail of three", 35),
        case("less than one block", 9),
        case("one number", 1),
    )


_MASK = "    inside = n < N\n"

PRACTICE = Variant(
    "plain",
    SOLUTION,
    cases,
    (
        Mistake(
            "tail not masked",
            _MASK,
            "    inside = n >= 0\n",
            "The last block runs past the end and nothing holds it back: what lies behind a vector belongs to somebody else. "
            "Give loads and store a mask.",
        ),
        Mistake(
            "loads not masked",
            "x = tl.load(x_ptr + n, mask=inside)",
            "x = tl.load(x_ptr + n)",
            "The store is masked, and a load is not: it reads what lies behind the vector. The sum is right, until "
            "no memory is there. Mask every load.",
        ),
        Mistake(
            "written into x",
            "out_N = torch.empty_like(x_N)",
            "out_N = x_N",
            "The sum was written over an argument, which the caller still needs. Make a new tensor.",
        ),
        Mistake(
            "tail left out",
            "triton.cdiv(N, 16)",
            "max(N // 16, 1)",
            "The numbers behind the last whole block were never written. How many blocks cover N? Round up.",
        ),
        Mistake(
            "one block for all",
            "n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
            "n = tl.arange(0, BLOCK)",
            "All programs did the first block. Each has its own number, tl.program_id(0).",
        ),
        Mistake(
            "mask off by one",
            _MASK,
            "    inside = n < N - 1\n",
            "The last number was not written. With N numbers the last has place N - 1, and n < N is right.",
        ),
        Mistake(
            "blocks overlap",
            "n = tl.program_id(0) * BLOCK +",
            "n = tl.program_id(0) +",
            "The blocks overlap: program p begins at place p. It begins at p times the block.",
        ),
    ),
)

MASKED_ADD = Coding(
    "masked_add",
    "Masked add",
    minutes=10,
    difficulty=1,
    points=2,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "backwards",
            "y is read from its end: out[n] = x[n] + y[N - 1 - n].",
            ("out[n] = x[n] + y[n]", "out[n] = x[n] + y[N - 1 - n]"),
            ("tl.load(y_ptr + n,", "tl.load(y_ptr + N - 1 - n,"),
            also=(
                Mistake(
                    "backwards from N",
                    "y_ptr + N - 1 - n,",
                    "y_ptr + N - n,",
                    "y is read one place too far behind: the first number of the sum takes y[N - 1].",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "three for one",
            "y is shorter: each of its numbers serves three neighbours of x, out[n] = x[n] + y[n // 3].",
            ("The sum of two vectors of any length", "The sum of two vectors, the second a third as long"),
            ("x_N, y_N    [N], fp32, contiguous", "x_N    [N]; y_N    [N / 3, rounded up]; fp32, contiguous"),
            ("out[n] = x[n] + y[n]", "out[n] = x[n] + y[n // 3]"),
            ("tl.load(y_ptr + n,", "tl.load(y_ptr + n // 3,"),
            cases=lambda seed: cases(seed, repeat=3),
        ),
        twist(
            PRACTICE,
            "the one before",
            "y is moved by one place: out[n] = x[n] + y[n - 1], and out[0] = x[0].",
            ("out[n] = x[n] + y[n]", "out[n] = x[n] + y[n - 1],   out[0] = x[0]"),
            ("tl.load(y_ptr + n, mask=inside)", "tl.load(y_ptr + n - 1, mask=inside & (n > 0), other=0.0)"),
            also=(
                Mistake(
                    "before the beginning",
                    "mask=inside & (n > 0), other=0.0)",
                    "mask=inside, other=0.0)",
                    "For n = 0 the kernel reads what lies before y. That place needs a mask too, and `other` is taken there.",
                ),
            ),
        ),
    ),
)
