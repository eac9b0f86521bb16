"""A ledger of attention's weights: by what each part was multiplied outside of the optimizer, and whether that was due."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import kimi_mini as km
from kimi_mini.optim import clip_factors

PARTS = ("content query", "content key", "rotary query", "shared key", "values", "down")
SERIES = ("maxima_asinh", "logged_asinh", "told", "factors", "values", "due", "below", "needless", "drift", "missed")
_TOUCHED = 1e-4  # a log-factor beyond what float32 norms explain


class Ledger:
    """Log-factors [part, L, H] of an update: what happened to the rows of each part beside `optimizer.step`.

    Row norms are taken on both sides of the step, so a clip that runs before it is seen as well as one that runs after it.
    The shared rotary key and the down-projections are one for all heads of a layer and stand in each head's place.
    """

    def __init__(self, model: km.KimiMini, optimizer: torch.optim.Optimizer) -> None:
        self.model = model
        self.norms_PLH = self._norms()
        self.factors_PLH = torch.zeros_like(self.norms_PLH)
        optimizer.register_step_pre_hook(lambda *_: self._book())
        optimizer.register_step_post_hook(lambda *_: self._forget())

    @torch.no_grad()
    def _norms(self) -> Tensor:
        layers = []
        for block in self.model.blocks:
            attn = block.attn
            latent, shared = attn.kv_down.weight.tensor_split([attn.latent_dim])
            down = torch.cat((attn.q_down.weight.flatten(), latent.flatten()))
            query, key, rotary, values = (
                w.flatten(1).norm(dim=1) for w in (attn.q_up_nope, attn.k_up, attn.q_up_rope, attn.v_up)
            )
            layers.append(torch.stack((query, key, rotary, shared.norm().expand_as(key), values, down.norm().expand_as(key))))
        return torch.stack(layers, dim=1).double().log()

    def _book(self) -> None:
        now_PLH = self._norms()
        self.factors_PLH += now_PLH - self.norms_PLH
        self.norms_PLH = now_PLH

    def _forget(self) -> None:
        self.norms_PLH = self._norms()

    def close(self) -> Tensor:
        """End of an update: its log-factors."""
        self._book()
        factors_PLH, self.factors_PLH = self.factors_PLH, torch.zeros_like(self.factors_PLH)
        return factors_PLH


class Window:
    """A few updates in one row: maxima and value norms as the last one left them, everything else summed.

    told: log gamma as the step reported it. due: log gamma by the rule, from the true maxima. factors: the ledger's, mean over
    heads. Of heads at or below tau: how many there were (below), how many had a term of their logits changed (needless) and by
    how much in sum (drift). missed: by how much the terms of heads above tau were off, in sum.
    """

    def __init__(self, ledger: Ledger, tau: float) -> None:
        self.ledger, self.tau = ledger, tau
        self._open()

    def _open(self) -> None:
        parts, layers, heads = self.ledger.norms_PLH.shape
        self.told_LH = torch.zeros(layers, heads)
        self.factors_PL = torch.zeros(parts, layers, dtype=torch.float64)
        self.due_L, self.below_L, self.needless_L, self.drift_L, self.missed_L = torch.zeros(5, layers, dtype=torch.float64)

    def add(self, true_LH: Tensor, gamma_LH: Tensor) -> None:
        """Book one update: each head's true largest logit, and the factors that the step reported."""
        due_LH, factors_PLH = clip_factors(true_LH, self.tau).log(), self.ledger.close()
        terms_2LH = torch.stack((factors_PLH[0] + factors_PLH[1], factors_PLH[2] + factors_PLH[3]))
        off_LH, below_LH = (terms_2LH - due_LH).abs().amax(0), true_LH <= self.tau
        self.told_LH += gamma_LH.log()
        self.factors_PL += factors_PLH.mean(-1)
        self.due_L += due_LH.mean(-1)
        self.below_L += below_LH.sum(-1)
        self.needless_L += ((off_LH > _TOUCHED) & below_LH).sum(-1)
        self.drift_L += (off_LH * below_LH).sum(-1)
        self.missed_L += (off_LH * ~below_LH).sum(-1)

    def close(self, true_LH: Tensor, logged_LH: Tensor) -> dict[str, Any]:
        """The row, by the names of SERIES; a new window begins."""
        row = {
            "maxima_asinh": true_LH.asinh(), "logged_asinh": logged_LH.asinh(), "told": self.told_LH,
            "factors": self.factors_PL, "values": self.ledger.norms_PLH[PARTS.index("values")].mean(-1), "due": self.due_L,
            "below": self.below_L, "needless": self.needless_L, "drift": self.drift_L, "missed": self.missed_L,
        }  # fmt: skip
        self._open()
        return {name: value.numpy() for name, value in row.items()}
