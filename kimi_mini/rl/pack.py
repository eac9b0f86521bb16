"""Rollouts and texts as batches for `train_step`. Only the model's own tokens are targets.

Legend: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels.rows import IGNORE
from .loss import PolicyBatch
from .types import Rollout


def pack(prompts: Sequence[Sequence[int]], rollouts: Sequence[Rollout], advantages: Sequence[float]) -> PolicyBatch:
    """One row for each rollout behind its prompt, padded on the right."""
    lengths = [len(prompt) + len(rollout.tokens) for prompt, rollout in zip(prompts, rollouts, strict=True)]
    shape = len(rollouts), max(lengths)
    tokens_BS, own_BS = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.bool)
    logprobs_BS = torch.zeros(shape)
    for row, (prompt, rollout) in enumerate(zip(prompts, rollouts, strict=True)):
        answer = slice(len(prompt), lengths[row])
        tokens_BS[row, : lengths[row]] = torch.tensor([*prompt, *rollout.tokens])
        own_BS[row, answer], logprobs_BS[row, answer] = torch.tensor(rollout.mask), torch.tensor(rollout.logprobs)
    real_BS = torch.arange(shape[1]) < torch.tensor(lengths)[:, None]
    return PolicyBatch(
        tokens_BS[:, :-1],
        tokens_BS[:, 1:].masked_fill(~own_BS[:, 1:], IGNORE),
        mask_BT=None if real_BS.all() else real_BS[:, :-1],
        advantages_B=torch.tensor(advantages),
        old_logprobs_BT=logprobs_BS[:, 1:],
    )


def pack_text(ids_BS: Tensor, weight: float) -> PolicyBatch:
    """Rows of text for the auxiliary loss; their mean next-token loss counts `weight` in the sum."""
    targets_BT = ids_BS[:, 1:]
    return PolicyBatch(ids_BS[:, :-1], targets_BT, weights_BT=torch.full(targets_BT.shape, weight / targets_BT.numel()))
