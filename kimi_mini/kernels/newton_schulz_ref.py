"""Newton-Schulz orthogonalisation by definition, and the published coefficient sets."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import is_int, require
from ..device import at_least_fp32

# Each row: one (a, b, c) per step of X <- aX + b(XX^T)X + c(XX^T)^2 X; the last one repeats when there are more steps.
COEFFICIENTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    # Keller Jordan's Muon; used by Moonlight (arXiv 2502.16982, 2.1).
    "muon": ((3.4445, -4.7750, 2.0315),),
    # Polar Express, five steps, safety 1.02 (arXiv 2505.16932).
    "polar_express": (
        (8.1566, -22.4833, 15.8788),
        (4.0429, -2.8089, 0.5000),
        (3.8917, -2.7725, 0.5061),
        (3.2858, -2.3681, 0.4645),
        (2.3465, -1.7098, 0.4232),
    ),
}


def step_coefficients(name: str, steps: int) -> list[tuple[float, float, float]]:
    """The (a, b, c) of each of `steps` steps. Raises ValueError for an unknown name or a negative count."""
    require(name in COEFFICIENTS, "coefficients", name, " or ".join(map(repr, COEFFICIENTS)))
    require(is_int(steps, 0), "steps", steps, "an integer >= 0")
    row = COEFFICIENTS[name]
    return [row[min(i, len(row) - 1)] for i in range(steps)]


def frobenius_norm(x_nAB: Tensor, eps: float) -> Tensor:
    """The norm of each matrix, [n, 1, 1], in at least fp32 and at least eps: x over it has singular values of at most 1."""
    return torch.linalg.vector_norm(x_nAB, dim=(-2, -1), keepdim=True, dtype=at_least_fp32(x_nAB.dtype)).clamp_min(eps)


def normalised(x_nAB: Tensor, dtype: torch.dtype, eps: float) -> Tensor:
    """x over its norm, in `dtype`: rounded before the division, as torch.optim.Muon does it in bf16.

    Except for fp16, which is rounded to last: a small gradient would vanish in it, and the norm of a large one overflow.
    """
    if dtype == torch.float16:
        return (x_nAB / frobenius_norm(x_nAB, eps)).to(dtype)
    x_nAB = x_nAB.to(dtype)
    return x_nAB / torch.linalg.vector_norm(x_nAB, dim=(-2, -1), keepdim=True).clamp_min(eps)


def newton_schulz(x_AB: Tensor, *, steps: int, coefficients: str, dtype: torch.dtype | None, eps: float) -> Tensor:
    if x_AB.ndim > 2:
        return torch.stack([newton_schulz(x, steps=steps, coefficients=coefficients, dtype=dtype, eps=eps) for x in x_AB])
    x = normalised(x_AB, dtype or x_AB.dtype, eps)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x  # the Gram matrix of the short side is the small one
    for a, b, c in step_coefficients(coefficients, steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(x_AB.dtype)
