"""Mixture of experts: a sigmoid router with a selection bias, many small experts, one shared expert.

Legend: T tokens (batch and time flattened), D width, E experts, K chosen per token, F expert width, G groups.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import kernels
from ..checks import require
from ..config import ModelConfig
from ..device import at_least_fp32
from .layers import SwiGLU


class Routing(NamedTuple):
    """Who answers for each token: the chosen experts, their output weights, and every expert's unbiased score."""

    expert_TK: Tensor
    weight_TK: Tensor
    score_TE: Tensor


class Router(nn.Module):
    """Scores in at least fp32; the bias steers who is chosen and never how loud (DeepSeek-V3 report, equations 12-16)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c = config
        self.k, self.n_group, self.topk_group = c.num_experts_per_tok, c.n_group, c.topk_group
        self.normalise, self.scale = c.norm_topk_prob, c.routed_scaling_factor
        self.weight = nn.Parameter(torch.empty(c.n_routed_experts, c.hidden_size))
        self.register_buffer("selection_bias", torch.zeros(c.n_routed_experts))

    def forward(self, x_TD: Tensor) -> Routing:
        wide = at_least_fp32(x_TD.dtype)
        logits_TE = F.linear(x_TD.to(wide), self.weight.to(wide))
        routed = kernels.route(
            logits_TE, self.selection_bias, k=self.k, n_group=self.n_group, topk_group=self.topk_group,
            normalise=self.normalise, scale=self.scale,
        )  # fmt: skip
        return Routing(*routed)

    def _apply(self, fn, recurse: bool = True):
        # .half() and .bfloat16() must not round the bias: its steps of 0.001 would vanish.
        before = self.selection_bias
        super()._apply(fn, recurse)
        if self.selection_bias.dtype in (torch.float16, torch.bfloat16):
            self.selection_bias = before.to(self.selection_bias.device, torch.float32)
        return self


def gate_scale(n_routed_experts: int, num_experts_per_tok: int, *, tokens: int = 20_000, seed: int = 0) -> float:
    """The factor that keeps a sum of independent experts of RMS 1 at RMS 1, when scores are sigmoids of normal numbers.

    The mean over random tokens of 1 / sqrt(sum of squared weights), the weights normalised over the chosen (Moonlight report,
    appendix C); at most the root of num_experts_per_tok. Raises ValueError where more are chosen than there are.
    """
    chosen, wanted = num_experts_per_tok, f"1 to n_routed_experts = {n_routed_experts}"
    require(1 <= chosen <= n_routed_experts, "num_experts_per_tok", chosen, wanted)
    normal_TE = torch.randn(tokens, n_routed_experts, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    score_TK = torch.sigmoid(normal_TE).topk(chosen, dim=-1).values
    weight_TK = score_TK / score_TK.sum(-1, keepdim=True)
    return float((1 / weight_TK.square().sum(-1).sqrt()).mean())


def sequence_balance_loss(routing: Routing, shape: tuple[int, int], real_BT: Tensor | None = None) -> Tensor:
    """Sum over experts of f_i P_i, averaged over the sequences of [B, T] = `shape` (DeepSeek-V3 report, equations 17-20).

    f_i is the share of a sequence's choices that expert i got, times the number of experts; P_i its mean share of a token's
    scores, through which alone a gradient flows. Perfect balance gives 1. Choices are the router's own, its bias included.
    Padding stays out, and a sequence weighs by its real tokens.
    """
    (B, T), E, K = shape, routing.score_TE.shape[1], routing.expert_TK.shape[1]
    share_TE = routing.score_TE / routing.score_TE.sum(-1, keepdim=True)
    real_BT1 = share_TE.new_ones(B, T, 1) if real_BT is None else real_BT[..., None].to(share_TE.dtype)
    count_B1 = real_BT1.sum(1).clamp(min=1)
    choices_BX = real_BT1.expand(B, T, K).flatten(1)
    f_BE = share_TE.new_zeros(B, E).scatter_add_(1, routing.expert_TK.view(B, T * K), choices_BX) * E / (K * count_B1)
    p_BE = (share_TE.view(B, T, E) * real_BT1).sum(1) / count_B1
    weight_B = real_BT1.sum((1, 2)) / real_BT1.sum().clamp(min=1)
    return ((f_BE * p_BE).sum(-1) * weight_B).sum()


class Experts(nn.Module):
    """All routed experts of a layer as two slabs; the last two axes of each are one matrix (Muon's unit)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n, width, hidden = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up = nn.Parameter(torch.empty(n, 2, hidden, width))
        self.down = nn.Parameter(torch.empty(n, width, hidden))

    def forward(self, x_TD: Tensor, routing: Routing) -> Tensor:
        gate_up, down = self.gate_up.to(x_TD.dtype), self.down.to(x_TD.dtype)
        return kernels.grouped_mlp(x_TD, routing.expert_TK, routing.weight_TK, gate_up, down)


class MoE(nn.Module):
    """Routed experts plus the always-on, unweighted shared expert (several are stored as one wider MLP)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.router = Router(config)
        self.experts = Experts(config)
        self.shared = SwiGLU(config.hidden_size, config.n_shared_experts * config.moe_intermediate_size)

    def forward(
        self, x_BTD: Tensor, real_BT: Tensor | None = None, balance_loss: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Returns (y_BTD, expert_load_E, balance loss or None); the load counts assignments of real (not padding) tokens."""
        x_TD = x_BTD.flatten(0, 1)
        routing = self.router(x_TD)
        y_TD = self.experts(x_TD, routing) + self.shared(x_TD)
        counted_TK = torch.ones_like(routing.expert_TK)
        if real_BT is not None:
            counted_TK = counted_TK * real_BT.reshape(-1, 1)
        load_E = counted_TK.new_zeros(len(self.router.selection_bias))  # not bincount, which makes a GPU wait
        expert_load_E = load_E.scatter_add_(0, routing.expert_TK.flatten(), counted_TK.flatten())
        loss = sequence_balance_loss(routing, x_BTD.shape[:2], real_BT) if balance_loss else None
        return y_TD.view_as(x_BTD), expert_load_E, loss
