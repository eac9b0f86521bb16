"""Newton-Schulz: the matrix that Muon updates with."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def newton_schulz(m_AB, steps):
    """Bring the singular values of a matrix close to 1 without computing them (Moonlight report, 2.2).

    m_AB    [A, B]: wide, square, tall, or all zeros
    steps   how often to iterate

        X = M / ||M||_F
        X <- a X + b (X X^T) X + c (X X^T)^2 X,   `steps` times,   (a, b, c) = (3.4445, -4.7750, 2.0315)

    Returns X, [A, B]; zeros for a zero matrix.
    Turn a tall matrix (A > B) before you iterate, and back afterwards: X X^T then is [B, B] instead of [A, A].
    No tensor on the way may hold more numbers than m_AB itself.
    """
    tall = m_AB.shape[0] > m_AB.shape[1]
    x = m_AB.T if tall else m_AB
    size = x.norm()
    x = x / size.clamp_min(1e-7)
    for step in range(steps):
        gram = x @ x.T
        a, b, c = 3.4445, -4.7750, 2.0315
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
'''

PACKAGE = """
import kimi_mini as km


def newton_schulz(m_AB, steps):
    return km.kernels.newton_schulz(m_AB, steps=steps)
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Wide, tall, square and zero matrices; A is even, for the twist that cuts it in two."""
    gen = torch.Generator().manual_seed(seed)

    def case(name: str, rows: int, columns: int, steps: int, size: float) -> Case:
        m_AB = size * torch.randn(rows, columns, generator=gen, dtype=torch.float64)
        return Case(name, (m_AB, steps), largest=rows * columns)

    return (
        case("a wide matrix", 4, 7, 5, 3.0),
        case("a wide matrix, two steps", 4, 9, 2, 0.01),
        case("a square matrix, three steps", 6, 6, 3, 2.0),
        case("a tall matrix", 16, 3, 5, 1.0),
        case("a zero matrix", 4, 6, 5, 0.0),
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "no normalisation",
            "x = x / size.clamp_min(1e-7)",
            "x = x + 0 * size",
            "The iteration only works for singular values up to about 1. Divide by the Frobenius norm before the first step.",
        ),
        Mistake(
            "tall matrix not transposed",
            "tall = m_AB.shape[0] > m_AB.shape[1]",
            "tall = False",
            "The values are right, but for a tall matrix X X^T is [A, A]. Turn it first: X X^T then is [B, B].",
        ),
        Mistake(
            "zero matrix gives NaN",
            "size.clamp_min(1e-7)",
            "size",
            "0 / 0 is NaN. A matrix that got no gradient is all zeros: keep the norm away from 0, by 1e-7 say.",
        ),
        Mistake(
            "coefficients swapped",
            "(b * gram + c * gram @ gram)",
            "(c * gram + b * gram @ gram)",
            "Two coefficients are swapped: b = -4.7750 belongs to X X^T, c = 2.0315 to its square.",
        ),
    ),
)

NEWTON_SCHULZ = Coding(
    "newton_schulz",
    "Newton-Schulz",
    minutes=25,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "cubic",
            "The iteration is cubic, X <- 1.5 X - 0.5 (X X^T) X, and makes twice as many steps as `steps` says.",
            (
                "X <- a X + b (X X^T) X + c (X X^T)^2 X,   `steps` times,   (a, b, c) = (3.4445, -4.7750, 2.0315)",
                "X <- 1.5 X - 0.5 (X X^T) X,   2 * `steps` times",
            ),
            ("steps   how often to iterate", "steps   half of how often to iterate"),
            ("range(steps)", "range(2 * steps)"),
            ("        a, b, c = 3.4445, -4.7750, 2.0315\n", ""),
            ("a * x + (b * gram + c * gram @ gram) @ x", "1.5 * x - 0.5 * gram @ x"),
            also=(
                Mistake(
                    "half the steps",
                    "range(2 * steps)",
                    "range(steps)",
                    "The iteration is right, but it makes only half of the steps: twice as many as `steps` says.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "other norm",
            "The matrix is divided by sqrt(||M||_1 * ||M||_inf), the largest column sum of |M| times the largest row sum.",
            ("X = M / ||M||_F\n", "X = M / sqrt(||M||_1 * ||M||_inf): largest column sum of |M|, largest row sum of |M|\n"),
            ("size = x.norm()", "size = (x.abs().sum(0).max() * x.abs().sum(1).max()).sqrt()"),
        ),
        twist(
            PRACTICE,
            "last step",
            "The last step has other coefficients, (15/8, -10/8, 3/8), which do come to rest at exactly 1.",
            (
                "(a, b, c) = (3.4445, -4.7750, 2.0315)\n",
                "(a, b, c) = (3.4445, -4.7750, 2.0315)\n        but in the last step (a, b, c) = (15/8, -10/8, 3/8)\n",
            ),
            (
                "a, b, c = 3.4445, -4.7750, 2.0315\n",
                "last = step == steps - 1\n        a, b, c = (15 / 8, -10 / 8, 3 / 8) if last else (3.4445, -4.7750, 2.0315)\n",
            ),
        ),
        twist(
            PRACTICE,
            "two heads",
            "The upper and the lower half of the rows belong to two heads, and each half is made orthogonal on its own.",
            (
                "m_AB    [A, B]: wide, square, tall, or all zeros",
                "m_AB    [A, B] with an even A: the rows of two heads, one above the other; may be all zeros",
            ),
            ("        X = M / ||M||_F\n", "    For each half of the rows, M [A/2, B]:\n\n        X = M / ||M||_F\n"),
            (
                "Returns X, [A, B]; zeros for a zero matrix.",
                "Returns the two X, one above the other, [A, B]; zeros for a zero half.",
            ),
            ("Turn a tall matrix (A > B)", "Turn a tall half (A/2 > B)"),
            ("[B, B] instead of [A, A]", "[B, B] instead of [A/2, A/2]"),
            (
                "    tall = m_AB",
                "    return torch.cat([_orthogonal(half, steps) for half in m_AB.chunk(2)])\n\n\n"
                "def _orthogonal(m_AB, steps):\n    tall = m_AB",
            ),
        ),
    ),
)
