"""The parts every block is built of: Linear, RMSNorm, SwiGLU.

Weights keep the format they are stored in (fp32 in training); each layer casts them to the format of its input.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import kernels


class Linear(nn.Linear):
    """x W^T without bias, computed in the format of x."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return kernels.rms_norm(x, self.weight, self.eps)

    def of_sum(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """(the norm of x + residual, x + residual): the residual stream's step and the norm after it, in one."""
        return kernels.add_rms_norm(x, residual, self.weight, self.eps)


class SwiGLU(nn.Module):
    """The dense MLP: down(silu(gate(x)) * up(x))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = Linear(width, hidden)
        self.up = Linear(width, hidden)
        self.down = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(kernels.swiglu(self.gate(x), self.up(x)))
