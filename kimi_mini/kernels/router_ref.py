"""Routing by definition: who answers for each token, and the assignments in the order of their experts.

Stock torch is fast enough on a CPU, so these are the torch forms as well.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Sorted(NamedTuple):
    """The T * K assignments, sorted by expert and stable: `order_A` [A] are places in the flattened expert_TK (int64; the
    token is order // K), and expert e owns the places ends_E[e - 1] to ends_E[e] of that order (int32)."""

    order_A: Tensor
    ends_E: Tensor


def route(
    logits_TE: Tensor, selection_bias_E: Tensor, *, k: int, n_group: int, topk_group: int, normalise: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    score_TE = torch.sigmoid(logits_TE)
    choice_TE = score_TE.detach() + selection_bias_E
    if n_group > 1:
        choice_TE = _keep_best_groups(choice_TE, n_group, topk_group)
    expert_TK = choice_TE.topk(k, dim=-1).indices
    weight_TK = score_TE.gather(1, expert_TK)
    if normalise:
        weight_TK = weight_TK / (weight_TK.sum(-1, keepdim=True) + 1e-20)
    return expert_TK, weight_TK * scale, score_TE


def _keep_best_groups(choice_TE: Tensor, n_group: int, topk_group: int) -> Tensor:
    # A group is worth the sum of its two best; closed groups get -inf (0 could still win against negative choices).
    choice_TGe = choice_TE.unflatten(-1, (n_group, -1))
    worth_TG = choice_TGe.topk(2, dim=-1).values.sum(-1)
    open_TG = torch.zeros_like(worth_TG, dtype=torch.bool).scatter_(1, worth_TG.topk(topk_group, -1).indices, True)
    return choice_TGe.masked_fill(~open_TG[..., None], float("-inf")).flatten(-2)


def sort_by_expert(expert_TK: Tensor, n_experts: int) -> Sorted:
    expert_A = expert_TK.reshape(-1)
    order_A = expert_A.argsort(stable=True)
    return Sorted(order_A, torch.bincount(expert_A, minlength=n_experts).cumsum(0).to(torch.int32))
