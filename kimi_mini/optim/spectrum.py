"""What a matrix does to directions: its singular values, and how evenly they share its size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import require


def singular_values(matrix_AB: Tensor) -> Tensor:
    """sigma_R of one matrix or of a batch [..., A, B], largest first, in float64; R = min(A, B)."""
    require(matrix_AB.ndim >= 2, "axes", matrix_AB.ndim, "2 or more: the last two are the matrix")
    return torch.linalg.svdvals(matrix_AB.double())


def svd_entropy(matrix_AB: Tensor) -> Tensor:
    """H = -sum p log p / log R with p = sigma^2 / sum sigma^2 (Moonlight, arXiv 2502.16982, 3.4); [...] for [..., A, B].

    1: every direction has an equal share; 0: one has it all. Raises ValueError for fewer than two directions or a zero matrix.
    """
    squares = singular_values(matrix_AB) ** 2
    directions, total = squares.shape[-1], squares.sum(-1, keepdim=True)
    require(directions >= 2, "directions", directions, "at least 2: with one there is nothing to share")
    require(bool((total > 0).all()), "matrix", "all zero", "one with a singular value above zero")
    return torch.special.entr(squares / total).sum(-1) / math.log(directions)


def rms(matrix_AB: Tensor) -> Tensor:
    """Root mean square of the entries of each matrix; [...] for [..., A, B]. Squared, it is sum sigma^2 / (A B)."""
    return matrix_AB.double().square().mean((-2, -1)).sqrt()
