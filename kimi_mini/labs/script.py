"""A training run that is only acted: what a driver loop does to it can be checked without training anything."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..optim.qk_clip import clip_factors


@dataclass
class ScriptedRun:
    """`step()` returns the next row of maxima_SLH, scaled by what earlier clips did; every call is written down.

    Its two methods have the meaning of the real ones: one update, and the clip after it.
    """

    maxima_SLH: Tensor
    done: int = 0
    calls: list = field(default_factory=list)

    def step(self) -> Tensor:
        """One update; returns the largest logits [layers, heads] that its forward pass saw. Raises IndexError at the end."""
        if self.done == len(self.maxima_SLH):
            raise IndexError(f"the run has {self.done} updates; one more was asked for")
        self.calls.append(["step"])
        self.done += 1
        return self.maxima_SLH[self.done - 1].clone()

    def clip(self, max_logits_LH: Tensor, tau: float) -> Tensor:
        """QK-Clip with these maxima; returns the factors [layers, heads], 1 where nothing was done."""
        gamma_LH = clip_factors(torch.as_tensor(max_logits_LH, dtype=self.maxima_SLH.dtype), tau)
        self.calls.append(["clip", self.done, gamma_LH])
        self.maxima_SLH = torch.cat((self.maxima_SLH[: self.done], self.maxima_SLH[self.done :] * gamma_LH))
        return gamma_LH
