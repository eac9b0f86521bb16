"""The language-model loss, as a sum and a count: only the step knows what to divide by."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from .. import kernels
from ..kernels.rows import IGNORE


class Batch(NamedTuple):
    """One micro-batch. targets_BT holds the token that should follow each position, or -100 where nothing is asked.

    mask_BT and positions are those of `KimiMini.forward`: padding or packed documents, and positions that restart.
    """

    tokens_BT: Tensor
    targets_BT: Tensor
    mask_BT: Tensor | None = None
    positions: Tensor | None = None


def next_token_loss(logits_BTV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum of cross-entropies in nats, number of targets) of one micro-batch."""
    loss_sum = kernels.cross_entropy(logits_BTV.flatten(0, 1), batch.targets_BT.flatten())
    return loss_sum, (batch.targets_BT != IGNORE).sum()
