"""G11: the head and its cross-entropy in one, so that the logits are never held; forward and backward.

Legend: T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor

from kimi_mini import kernels
from kimi_mini.kernels import rows
from kimi_mini.kernels.work import Work, linear_cross_entropy_backward, linear_cross_entropy_forward

from ..harness import Case
from .common import OURS, Results, Trial, extra_gigabytes, fast_format, make_case, optional

PLAIN, CHUNKED, LIGER, CCE, FLA = "plain: linear, then cross-entropy", "torch, chunked", "Liger", "cut-cross-entropy", "fla"
_PIECE = 1024  # tokens of float64 logits at a time


def build(device: torch.device, *, tokens: int, width: int, vocab: int) -> Case:
    """The summed loss and both gradients; hidden states as large as a final norm leaves them."""
    torch.manual_seed(0)
    options = {"device": device, "dtype": fast_format(device)}
    inputs = [torch.randn(tokens, width, **options), torch.randn(vocab, width, **options) * width**-0.5]
    target_T = torch.randint(vocab, (tokens,), device=device)
    trial = Trial(inputs, ("loss",), ("dX", "dW"), (torch.ones((), device=device),), "both")

    def plain(x_TD: Tensor, weight_VD: Tensor) -> Tensor:
        return rows.cross_entropy_torch(F.linear(x_TD, weight_VD), target_T)

    ways = {
        OURS: lambda x, weight: kernels.linear_cross_entropy(x, weight, target_T),
        PLAIN: plain,
        CHUNKED: lambda x, weight: kernels.linear_cross_entropy(x, weight, target_T, impl="torch"),
    }
    more, missing = optional({
        LIGER: ("liger_kernel", lambda: trial.way(_liger(target_T))),
        CCE: ("cut_cross_entropy", lambda: trial.way(_cce(target_T))),
        FLA: ("fla", lambda: trial.way(_fla(target_T))),
    })  # fmt: skip
    made = {name: trial.way(op) for name, op in ways.items()} | more
    return make_case(
        made, lambda: _exact(trial, target_T), missing=missing,
        also=lambda: {"extra GB": extra_gigabytes(made[OURS], device)},
    )  # fmt: skip


def work(*, tokens: int, width: int, vocab: int) -> Work:
    """6 T D V: as if the logits were kept. Forms that compute them again do 8 T D V."""
    return linear_cross_entropy_forward(tokens, width, vocab) + linear_cross_entropy_backward(tokens, width, vocab)


def _exact(trial: Trial, target_T: Tensor) -> Results:
    x_TD, weight_VD = (x.double().requires_grad_() for x in trial.inputs)
    loss, dx, dweight = torch.zeros((), dtype=torch.float64, device=x_TD.device), [], torch.zeros_like(weight_VD)
    for x, target in zip(x_TD.split(_PIECE), target_T.split(_PIECE), strict=True):
        part = F.cross_entropy(F.linear(x, weight_VD), target, reduction="sum")
        one, two = torch.autograd.grad(part, (x, weight_VD))
        loss += part.detach()
        dx.append(one)
        dweight += two
    return {"loss": loss, "dX": torch.cat(dx), "dW": dweight}


# ---- peers -----------------------------------------------------------------------------------------------------------


def _liger(target_T: Tensor):
    run = import_module("liger_kernel.transformers.functional").liger_fused_linear_cross_entropy
    return lambda x, weight: run(x, weight, target_T, reduction="sum")


def _cce(target_T: Tensor):
    run = import_module("cut_cross_entropy").linear_cross_entropy
    return lambda x, weight: run(x, weight, target_T, reduction="sum")


def _fla(target_T: Tensor):
    run = import_module("fla.modules.fused_linear_cross_entropy").fused_linear_cross_entropy_loss
    return lambda x, weight: run(x, target_T, weight, reduction="sum")
