"""Balance without a loss term: nudge each expert's selection bias against its load (DeepSeek-V3 report, 2.1.2).

And how balance is measured. Legend: L layers, E experts, N devices; ... any axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import is_int, require
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


def max_violation(load: Tensor) -> Tensor:
    """By how much the busiest of the last axis exceeds the mean: max / mean - 1, float64. 0 is balance; no load at all is 0."""
    load = load.to(torch.float64)
    mean = load.mean(-1)
    return torch.where(mean > 0, load.amax(-1) / mean.clamp(min=torch.finfo(torch.float64).tiny) - 1, 0.0)


def device_load(load: Tensor, devices: int) -> Tensor:
    """[..., E] -> [..., N]: the load of each device when `devices` of them share a layer's experts, neighbours together.

    Raises ValueError unless `devices` divides the number of experts.
    """
    experts = load.shape[-1]
    require(is_int(devices, 1) and experts % devices == 0, "devices", devices, f"a divisor of the {experts} experts")
    return load.unflatten(-1, (devices, experts // devices)).sum(-1)


def load_echo(before: Tensor, after: Tensor) -> Tensor:
    """Correlation of two updates' loads over the last axis, float64: 1 where the same are busy again, -1 where the busy ones
    now idle, 0 where one says nothing of the other (or either is perfectly even)."""
    a, b = (load.to(torch.float64) - load.to(torch.float64).mean(-1, keepdim=True) for load in (before, after))
    size = a.norm(dim=-1) * b.norm(dim=-1)
    return (a * b).sum(-1) / torch.where(size > 0, size, 1.0)
