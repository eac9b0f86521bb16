"""The head and its loss in one: slow twin, which holds every logit."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..device import at_least_fp32
from .rows import cross_entropy_ref


def linear_cross_entropy(x_TD: Tensor, weight_VD: Tensor, target_T: Tensor) -> Tensor:
    wide = at_least_fp32(x_TD.dtype)
    return cross_entropy_ref(F.linear(x_TD.to(wide), weight_VD.to(wide)), target_T)
