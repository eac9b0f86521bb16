"""A lab of one coding exercise, one guess and one written part, for tests of the tools."""

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Guess, LabSpec, Mistake, Variant, Written


def _cases(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return (
        Case("four rows", (draw, 2.0)),
        Case("one row of ones", (torch.ones(1, 3), 1.0)),
        Case("a negative factor", (draw, -3.0)),
    )


def _solution(name, line):
    return f'''import torch
from torch import Tensor


def {name}(x_TD: Tensor, factor: float) -> Tensor:
    """Scale the rows.

    x_TD: numbers [T, D].
    """
    total_T = x_TD.sum(1)
    return {line}'''


def _twist(name, change, line):
    forget = Mistake("forgets the factor", "factor *", "1 *", "The factor is missing.")
    return Variant(name, _solution("my_scale_rows", line), _cases, (forget,), change)


SCALE = Coding(
    name="scale_rows",
    title="Scale rows",
    minutes=5,
    difficulty=1,
    points=4,
    practice=Variant(
        "practice",
        _solution("scale_rows", "factor * x_TD + 0 * total_T[:, None]"),
        _cases,
        (
            Mistake("forgets the factor", "factor *", "1 *", "The factor is missing."),
            Mistake("divides", "factor *", "1 / factor *", "That divides by the factor."),
        ),
    ),
    package="import torch\n\n\ndef scale_rows(x_TD, factor):\n    return torch.mul(x_TD, factor)",
    twists=(
        _twist("sums", "Return the sum of each row, scaled.", "factor * total_T"),
        _twist("plus", "Add each row's sum to its numbers.", "factor * x_TD + total_T[:, None]"),
        _twist("minus", "Subtract each row's sum from its numbers.", "factor * x_TD - total_T[:, None]"),
    ),
)

TINY = LabSpec(
    "tiny",
    "A tiny lab",
    "glance",
    (SCALE, Guess("share", "A share", 2, 1, 0.0, 100.0), Written("gap", "The gap", 3, 2, "Names both numbers.")),
)
