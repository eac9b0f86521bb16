"""Newton-Schulz, fast: many same-shaped matrices at once, in chunks small enough for the processor's cache, in two forms.

For N = the short side, M = the long one and r = M / N, five steps cost in multiply-adds

- direct, as defined: G = X X^T, P = a I + b G + c G G, X <- P X: (10 r + 5) N^3;
- Gram form (Dao-AILab's Gram Newton-Schulz): (4 r + 14) N^3. P_k is a polynomial of G_k, so X_k+1 = P_k X_k gives
  G_k+1 = P_k G_k P_k: all of them are polynomials of G_0, commute, and are symmetric. Iterate on N x N matrices alone,
  Q <- P Q and G <- (P G) P, and let X in at the ends: G_0 = X X^T, X <- Q X. Rounding can leave G_k a small negative
  eigenvalue, which each step multiplies by a^2 (11.9 for "muon") where X X^T would bring it back to zero: so after two
  steps, and then after every three, Q X is multiplied out and G_0 computed anew. Errors are up to three times those of the
  direct form; bf16 is too coarse for it (0.14 where fp16 has 0.017: LOG.md), and in fp32 the direct form stays here: a
  whole Muon step would gain a tenth, and be three times as far from float64 as torch.optim.Muon's (bench row C5.fp32).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .newton_schulz_ref import normalised, step_coefficients

Triples = list[tuple[float, float, float]]

GRAM_ASPECT = 2.0  # the least r of the Gram form
_SEGMENTS = (2, 3)  # steps of the Gram form before its first restart, and between later ones
_CHUNK_BYTES = 2**20  # of matrices per batched product on a CPU: all at once would stream past its L2 cache


def newton_schulz(x_AB: Tensor, *, steps: int, coefficients: str, dtype: torch.dtype | None, eps: float) -> Tensor:
    triples = step_coefficients(coefficients, steps)
    batch = x_AB.reshape(-1, *x_AB.shape[-2:])
    dtype = dtype or x_AB.dtype
    chunk = max(len(batch), 1)
    if x_AB.device.type == "cpu":
        chunk = max(_CHUNK_BYTES // max(batch[:1].numel() * dtype.itemsize, 1), 1)
    out = torch.empty_like(batch)
    for part, into in zip(batch.split(chunk), out.split(chunk), strict=True):
        into.copy_(_iterate(normalised(part, dtype, eps), triples))
    return out.view(x_AB.shape)


def _iterate(x_nAB: Tensor, triples: Triples) -> Tensor:
    if x_nAB.dtype != torch.float32 and takes_gram_form(x_nAB.shape, x_nAB.dtype, GRAM_ASPECT):
        return gram_form(x_nAB, triples, _product, _polynomial)
    for a, b, c in triples:
        gram = _product(short_rows(x_nAB), short_rows(x_nAB))
        poly = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x_nAB = torch.baddbmm(x_nAB, *from_short_side(poly, x_nAB), beta=a)
    return x_nAB


def takes_gram_form(shape: torch.Size, dtype: torch.dtype, aspect: float) -> bool:
    """Whether matrices of this shape are at least `aspect` times as long as they are wide, in a format fine enough."""
    return dtype != torch.bfloat16 and max(shape[-2:]) >= aspect * min(shape[-2:])


def gram_form(
    x_nAB: Tensor,
    triples: Triples,
    product: Callable[[Tensor, Tensor], Tensor],
    polynomial: Callable[[Tensor, float, float, float], Tensor],
) -> Tensor:
    """The iteration on Gram matrices; `product(y, z)` is y z^T (symmetric), `polynomial(G, a, b, c)` a I + b G + c G G."""
    first, later = _SEGMENTS
    starts = range(first, len(triples), later)
    for segment in (triples[:first], *(triples[start : start + later] for start in starts)):
        gram, q = product(short_rows(x_nAB), short_rows(x_nAB)), None
        for i, triple in enumerate(segment):
            poly = polynomial(gram, *triple)
            q = poly if q is None else product(poly, q)
            if i < len(segment) - 1:  # the last G of a segment is not asked for
                gram = product(product(poly, gram), poly)
        x_nAB = torch.bmm(*from_short_side(q, x_nAB)) if segment else x_nAB
    return x_nAB


def short_rows(x_nAB: Tensor) -> Tensor:
    """x, or its transpose if it is tall: a view with as many rows as the short side has."""
    return x_nAB.mT if x_nAB.shape[-2] > x_nAB.shape[-1] else x_nAB


def from_short_side(q_nNN: Tensor, x_nAB: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of q x, or of x q for a tall x: turning that round would cost two strided copies."""
    return (x_nAB, q_nNN) if x_nAB.shape[-2] > x_nAB.shape[-1] else (q_nNN, x_nAB)


def _product(y_nNK: Tensor, z_nNK: Tensor) -> Tensor:
    return torch.bmm(y_nNK, z_nNK.mT)


def _polynomial(gram_nNN: Tensor, a: float, b: float, c: float) -> Tensor:
    poly_nNN = torch.baddbmm(gram_nNN, gram_nNN, gram_nNN, beta=b, alpha=c)
    poly_nNN.diagonal(dim1=-2, dim2=-1).add_(a)
    return poly_nNN
