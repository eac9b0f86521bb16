"""Routed experts by definition: one expert after the other."""

import torch
import torch.nn.functional as F
from torch import Tensor


def grouped_mlp(x_TD: Tensor, expert_TK: Tensor, weight_TK: Tensor, gate_up_E2FD: Tensor, down_EDF: Tensor) -> Tensor:
    out_TD = torch.zeros_like(x_TD)
    for e in range(down_EDF.shape[0]):
        token, choice = torch.where(expert_TK == e)
        gate_DF, up_DF = gate_up_E2FD[e].mT
        hidden = F.silu(x_TD[token] @ gate_DF) * (x_TD[token] @ up_DF)
        weighted = hidden @ down_EDF[e].T * weight_TK[token, choice, None].to(x_TD.dtype)
        out_TD = out_TD.index_add(0, token, weighted)
    return out_TD
