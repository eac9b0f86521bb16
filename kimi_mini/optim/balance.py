"""Balance without a loss term: nudge each expert's selection bias against its load (DeepSeek-V3 report, 2.1.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import require
from ..model import KimiMini, MoE


@torch.no_grad()
def balance_experts_(model: KimiMini, expert_load_LE: Tensor, *, rate: float, centred: bool = False) -> None:
    """bias_E += rate * sign(mean load - load_E), once per step, with the load of the whole batch.

    `centred` subtracts the mean sign, which keeps biases small and cannot change who is chosen (Moonlight, appendix C).
    K2's own rate and rule are not published. Raises ValueError for a negative rate or a load of the wrong shape.
    """
    require(rate >= 0, "rate", rate, "a number >= 0")
    shape = (model.config.num_hidden_layers, model.config.n_routed_experts)
    if expert_load_LE.shape != shape:
        raise ValueError(f"expert_load_LE has shape {list(expert_load_LE.shape)}; expected [layers, experts] = {list(shape)}")
    for block, load_E in zip(model.blocks, expert_load_LE, strict=True):
        if isinstance(block.mlp, MoE):
            load_E = load_E.to(torch.float64)
            push_E = torch.sign(load_E.mean() - load_E)
            if centred:
                push_E = push_E - push_E.mean()
            bias_E = block.mlp.router.selection_bias
            bias_E += (rate * push_E).to(bias_E.dtype)
