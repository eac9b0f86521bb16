"""Routed experts, fast: sort the assignments by expert once, then one grouped matrix product per projection.

The routing weight is applied to the hidden activation (width F, not D), and `index_add_` combines. Why not a loop over
experts: the backward of `weight[e]` adds a full-size zero gradient per expert, traffic that grows with E^2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .router_ref import sort_by_expert


def grouped_mlp(x_TD: Tensor, expert_TK: Tensor, weight_TK: Tensor, gate_up_E2FD: Tensor, down_EDF: Tensor) -> Tensor:
    n_experts = down_EDF.shape[0]
    order, ends_E = sort_by_expert(expert_TK, n_experts)
    token = order // expert_TK.shape[1]
    if x_TD.device.type == "cpu" and 0 < order.numel() < n_experts and not torch.is_grad_enabled():
        matmul = _hit_mm  # decoding: most experts have no token
    else:
        matmul = _grouped_mm if _has_grouped_mm(x_TD, down_EDF.shape[2]) else _split_mm

    gate, up = matmul(x_TD.index_select(0, token), gate_up_E2FD.flatten(1, 2), ends_E).chunk(2, dim=-1)
    weight = weight_TK.reshape(-1).index_select(0, order).to(x_TD.dtype)
    hidden = F.silu(gate) * up * weight.unsqueeze(1)
    return torch.zeros_like(x_TD).index_add_(0, token, matmul(hidden, down_EDF, ends_E))


def _has_grouped_mm(x_TD: Tensor, expert_width: int) -> bool:
    # F.grouped_mm knows no float64, no row that is not a multiple of 16 bytes, and below sm_80 no GPU.
    odd = any(width * x_TD.element_size() % 16 for width in (x_TD.shape[1], expert_width))
    if x_TD.dtype == torch.float64 or x_TD.shape[0] == 0 or odd:
        return False
    return x_TD.device.type == "cpu" or torch.cuda.get_device_capability(x_TD.device) >= (8, 0)


def _grouped_mm(x: Tensor, w_EOI: Tensor, ends_E: Tensor) -> Tensor:
    return F.grouped_mm(x, w_EOI.transpose(1, 2), offs=ends_E)


def _split_mm(x: Tensor, w_EOI: Tensor, ends_E: Tensor) -> Tensor:
    sizes = torch.diff(ends_E, prepend=ends_E.new_zeros(1)).tolist()
    return torch.cat([F.linear(part, w_OI) for part, w_OI in zip(x.split(sizes), w_EOI.unbind(0), strict=True)])


def _hit_mm(x: Tensor, w_EOI: Tensor, ends_E: Tensor) -> Tensor:
    # Only the experts that have a token. Not for training: the backward of w[e] is a full-size gradient per expert.
    parts, start = [], 0
    for expert, end in enumerate(ends_E.tolist()):
        if end > start:
            parts.append(F.linear(x[start:end], w_EOI[expert]))
            start = end
    return torch.cat(parts)
