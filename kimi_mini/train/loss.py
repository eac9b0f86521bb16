"""The language-model loss, as a sum and a count: only the step knows what to divide by.

next_token_loss          of the logits; what a chapter prints and every other loss is like
linear_next_token_loss   of the hidden states and the head's weight: the logits are never held
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .. import kernels
from ..kernels.rows import IGNORE
from ..model import ForwardStats, KimiMini


class Batch(NamedTuple):
    """One micro-batch. targets_BT holds the token that should follow each position, or -100 where nothing is asked.

    mask_BT and positions are those of `KimiMini.forward`: padding or packed documents, and positions that restart.
    """

    tokens_BT: Tensor
    targets_BT: Tensor
    mask_BT: Tensor | None = None
    positions: Tensor | None = None


LossFn = Callable[[Tensor, Batch], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class HeadLoss:
    """A loss that includes the head: `of(hidden_BTD, head_VD, batch)` is its (sum, count)."""

    of: Callable[[Tensor, Tensor, Batch], tuple[Tensor, Tensor]]


def next_token_loss(logits_BTV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum of cross-entropies in nats, number of targets) of one micro-batch."""
    loss_sum = kernels.cross_entropy(logits_BTV.flatten(0, 1), batch.targets_BT.flatten())
    return loss_sum, (batch.targets_BT != IGNORE).sum()


def _without_logits(hidden_BTD: Tensor, head_VD: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    head_VD = head_VD.to(hidden_BTD.dtype)
    loss_sum = kernels.linear_cross_entropy(hidden_BTD.flatten(0, 1), head_VD, batch.targets_BT.flatten())
    return loss_sum, (batch.targets_BT != IGNORE).sum()


linear_next_token_loss = HeadLoss(_without_logits)


def fitting_next_token_loss(model: KimiMini) -> LossFn | HeadLoss:
    """The next-token loss by which a run trains `model`.

    `linear_next_token_loss` where it is a Triton kernel: on GPUs from sm_80, and inside `kernels.using("triton")`. Elsewhere
    `next_token_loss`, so that runs on CPUs end with the bits they always ended with; the other is there for the asking.
    """
    fused = kernels.chosen("linear_cross_entropy", model.head_VD) == "triton"
    return linear_next_token_loss if fused else next_token_loss


def loss_of(
    model: KimiMini, batch: Batch, loss_fn: LossFn | HeadLoss, balance_loss: bool = False
) -> tuple[Tensor, Tensor, ForwardStats]:
    """One forward pass: the loss's (sum, count) and the stats of this batch."""
    inputs = batch.tokens_BT, batch.mask_BT, batch.positions
    if isinstance(loss_fn, HeadLoss):
        hidden_BTD, stats = model.trunk(*inputs, balance_loss=balance_loss)
        return *loss_fn.of(hidden_BTD, model.head_VD, batch), stats
    out = model(*inputs, balance_loss=balance_loss)
    return *loss_fn(out.logits_BTV, batch), out.stats
