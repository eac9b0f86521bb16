"""C2: causal attention that also returns the exact largest logit of each head, forward and backward.

Legend: B batch, T query tokens, S key tokens, H heads, N query/key width, M value width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from kimi_mini import kernels

from .harness import Case, Errors, relative_error

OURS, EXPLICIT, SDPA = "ours", "explicit scores + softmax", "SDPA as is (no maximum)"

Attention = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


def build(*, length: int, batch: int, heads: int, qk_width: int, v_width: int) -> Case:
    """Random queries, keys and values; logits are scaled by 1/sqrt(N) as in the model."""
    torch.manual_seed(0)
    leaves = [torch.randn(batch, length, heads, width) for width in (qk_width, qk_width, v_width)]
    grad_BTHM = torch.randn(batch, length, heads, v_width)
    scale = qk_width**-0.5
    ways: dict[str, Attention] = {
        OURS: lambda q, k, v: kernels.attention(q, k, v, scale=scale),
        EXPLICIT: lambda q, k, v: _explicit(q, k, v, scale),
        SDPA: lambda q, k, v: (_sdpa(q, k, v, scale), None),
    }

    def check() -> Errors:
        exact = _results(ways[EXPLICIT], [x.double() for x in leaves], grad_BTHM.double())
        return {name: _errors(_results(way, leaves, grad_BTHM), exact) for name, way in ways.items()}

    def contender(way: Attention) -> Callable[[], object]:
        return lambda: _results(way, leaves, grad_BTHM)

    return Case({name: contender(way) for name, way in ways.items()}, check)


def _explicit(q_BTHN: Tensor, k_BTHN: Tensor, v_BTHM: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """As textbooks and small repositories write it, with the maximum that QK-Clip needs."""
    q, k, v = (x.transpose(1, 2) for x in (q_BTHN, k_BTHN, v_BTHM))
    logits_BHTS = q @ k.transpose(-2, -1) * scale
    later_TS = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
    logits_BHTS = logits_BHTS.masked_fill(later_TS, float("-inf"))
    return (logits_BHTS.softmax(-1) @ v).transpose(1, 2), logits_BHTS.detach().amax((0, 2, 3))


def _sdpa(q_BTHN: Tensor, k_BTHN: Tensor, v_BTHM: Tensor, scale: float) -> Tensor:
    q, k, v = (x.transpose(1, 2) for x in (q_BTHN, k_BTHN, v_BTHM))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale).transpose(1, 2)


def _results(way: Attention, leaves: list[Tensor], grad_BTHM: Tensor) -> tuple[Tensor | None, ...]:
    q, k, v = (leaf.detach().requires_grad_() for leaf in leaves)
    out_BTHM, max_logits_H = way(q, k, v)
    out_BTHM.backward(grad_BTHM)
    return out_BTHM.detach(), q.grad, k.grad, v.grad, max_logits_H


def _errors(got: tuple[Tensor | None, ...], exact: tuple[Tensor, ...]) -> dict[str, float]:
    """The maximum is compared head by head: one wrong head must not hide among the others."""
    errors = {name: relative_error(g, e) for name, g, e in zip(("out", "dq", "dk", "dv"), got[:4], exact[:4], strict=True)}
    if got[4] is not None:
        errors["maximum"] = ((got[4].double() - exact[4]).abs() / exact[4].abs()).max().item()
    return errors
