"""Newton-Schulz, fast: many same-shaped matrices at once, in chunks small enough for the processor's cache."""

from __future__ import annotations

import torch
from torch import Tensor

from .newton_schulz_ref import normalised, step_coefficients

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
        into.copy_(_iterate(part, triples, dtype, eps))
    return out.view(x_AB.shape)


def _iterate(x_nAB: Tensor, triples: list[tuple[float, float, float]], dtype: torch.dtype, eps: float) -> Tensor:
    tall = x_nAB.shape[-2] > x_nAB.shape[-1]
    x = normalised(x_nAB, dtype, eps)
    for a, b, c in triples:
        gram = torch.bmm(x.mT, x) if tall else torch.bmm(x, x.mT)  # of the short side
        poly = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        # A tall matrix is multiplied from the right: turning it round would cost two strided copies.
        x = torch.baddbmm(x, x, poly, beta=a) if tall else torch.baddbmm(x, poly, x, beta=a)
    return x
