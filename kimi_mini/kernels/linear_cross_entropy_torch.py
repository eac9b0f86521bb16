"""The head and its loss in one, in stock torch: a few tokens at a time, so that only their logits ever exist.

A chunk's softmax is made in place and its gradients are taken on the spot, in the forward pass: no second product for the
logits (three products in all), at the price of both gradients being held until the backward pass asks for them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..device import at_least_fp32
from .rows import IGNORE

CHUNK = 256  # tokens; on CPUs the chunk's logits then stay near the core while they are used


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_TD: Tensor, weight_VD: Tensor, target_T: Tensor) -> Tensor:
        wide = at_least_fp32(x_TD.dtype)
        dx_TD = torch.empty_like(x_TD) if ctx.needs_input_grad[0] else None
        dweight_VD = torch.zeros_like(weight_VD, dtype=wide) if ctx.needs_input_grad[1] else None
        loss = torch.zeros((), dtype=wide, device=x_TD.device)
        for x_CD, target_C, at in _chunks(x_TD, target_T):
            prob_CV, nats_C = _softmax_(x_CD.mm(weight_VD.t()).to(wide), target_C)
            loss += nats_C.sum()
            dlogits_CV = _minus_target_(prob_CV, target_C)
            if dx_TD is not None:
                torch.mm(dlogits_CV.to(x_TD.dtype), weight_VD, out=dx_TD[at])
            if dweight_VD is not None:
                dweight_VD.addmm_(dlogits_CV.t(), x_CD.to(wide))
        ctx.save_for_backward(dx_TD, dweight_VD)
        ctx.formats = x_TD.dtype, weight_VD.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, dloss: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        scaled = (None if g is None else (g * dloss).to(dtype) for g, dtype in zip(ctx.saved_tensors, ctx.formats, strict=True))
        return *scaled, None


def _chunks(x_TD: Tensor, target_T: Tensor):
    for start in range(0, len(x_TD), CHUNK):
        at = slice(start, start + CHUNK)
        yield x_TD[at], target_T[at], at


def _softmax_(logits_CV: Tensor, target_C: Tensor) -> tuple[Tensor, Tensor]:
    """The probabilities, in the memory of the logits, and each token's loss (0 where ignored)."""
    counted_C = target_C != IGNORE
    logits_CV -= logits_CV.amax(-1, keepdim=True)
    hit_C = logits_CV.gather(1, target_C.where(counted_C, 0).unsqueeze(1)).squeeze(1)
    total_C = logits_CV.exp_().sum(-1)
    return logits_CV.div_(total_C.unsqueeze(1)), (total_C.log() - hit_C).where(counted_C, 0)


def _minus_target_(prob_CV: Tensor, target_C: Tensor) -> Tensor:
    """The logits' gradient, in the memory of the probabilities: minus 1 at the target, 0 all along where ignored."""
    ignored_C1 = (target_C == IGNORE).unsqueeze(1)
    index_C1 = target_C.unsqueeze(1).masked_fill(ignored_C1, 0)
    prob_CV.scatter_add_(1, index_C1, torch.full_like(index_C1, -1, dtype=prob_CV.dtype))
    return prob_CV.masked_fill_(ignored_C1, 0)


def linear_cross_entropy(x_TD: Tensor, weight_VD: Tensor, target_T: Tensor) -> Tensor:
    return _LinearCrossEntropy.apply(x_TD, weight_VD, target_T)
