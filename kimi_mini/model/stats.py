"""ForwardStats: what the training step must know that no gradient says."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor


class ForwardStats(NamedTuple):
    """Two quantities that steer weights without a gradient; one row per layer, returned and never stored.

    max_logits_LH   largest attention logit of each head: scaled, causal, before the softmax (-inf: no token seen)
    expert_load_LE  assignments to each expert (zeros for dense layers)
    balance_loss    where it was asked for, V3's sequence-wise balance loss summed over layers, for one backward pass:
                    it carries a gradient, and what is merged or reduced leaves it out
    """

    max_logits_LH: Tensor
    expert_load_LE: Tensor
    balance_loss: Tensor | None = None

    def merge(self, other: ForwardStats | None) -> ForwardStats:
        """Of two micro-batches: a maximum for logits, a sum for load."""
        if other is None:
            return self._replace(balance_loss=None)
        return ForwardStats(torch.maximum(self.max_logits_LH, other.max_logits_LH), self.expert_load_LE + other.expert_load_LE)

    def all_reduce(self) -> ForwardStats:
        """Over all data-parallel ranks; unchanged where there is only one."""
        if not (dist.is_available() and dist.is_initialized()):
            return self
        max_logits_LH, expert_load_LE = self.max_logits_LH.clone(), self.expert_load_LE.clone()
        dist.all_reduce(max_logits_LH, dist.ReduceOp.MAX)
        dist.all_reduce(expert_load_LE, dist.ReduceOp.SUM)
        return ForwardStats(max_logits_LH, expert_load_LE)
