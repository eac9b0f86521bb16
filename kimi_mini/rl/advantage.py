"""What an answer is worth beside the others to the same problem. Rewards stay as they are.

Legend: P problems, G answers to each.
"""

from __future__ import annotations

from torch import Tensor


def centred(rewards_PG: Tensor) -> Tensor:
    """advantages_PG = rewards minus their mean over the group (K2 report, section 3.2.3). All alike: all zero.

    >>> centred(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    tensor([[ 0.7500, -0.2500, -0.2500, -0.2500]])
    """
    return rewards_PG - rewards_PG.mean(1, keepdim=True)


def standardised(rewards_PG: Tensor, eps: float = 1e-4) -> Tensor:
    """Centred and divided by the group's standard deviation plus `eps`, as GRPO has it (arXiv 2402.03300)."""
    return centred(rewards_PG) / (rewards_PG.std(1, keepdim=True, correction=0) + eps)
