"""G5: routed experts beside torch's and transformers' grouped products, the expert loop and Liger's fused kernels.

Legend: T tokens, D width, E experts, K experts per token, F expert width.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor

from kimi_mini import kernels
from kimi_mini.kernels.work import Work, grouped_mlp_backward, grouped_mlp_forward

from ..harness import Case
from ..moe import HF_EAGER, HF_GROUPED, Experts, hugging_face
from .common import OURS, Results, Trial, Way, captured, fast_format, make_case, optional

GROUPED, LIGER = "torch grouped_mm pipeline", "Liger fused MoE"


def build(
    device: torch.device, *, tokens: int, experts: int, k: int, width: int, hidden: int, zipf: int = 0, backward: int = 0
) -> Case:
    """Loads about even, or by Zipf's law (the n-th expert 1/n as likely, the last one never chosen)."""
    torch.manual_seed(0)
    options = {"device": device, "dtype": fast_format(device)}
    leaves = [
        torch.randn(tokens, width, **options),
        torch.rand(tokens, k, device=device),
        torch.randn(experts, 2, hidden, width, **options) * width**-0.5,
        torch.randn(experts, width, hidden, **options) * hidden**-0.5,
    ]
    expert_TK, grad_TD = _routes(tokens, experts, k, zipf, device), torch.randn(tokens, width, **options)
    trial = Trial(leaves, ("out",), ("dx", "dgate", "dW gate_up", "dW down"), (grad_TD,), "both" if backward else "forward")
    ways: dict[str, Experts] = {
        OURS: kernels.grouped_mlp,
        GROUPED: lambda *args: kernels.grouped_mlp(*args, impl="torch"),
        HF_GROUPED: hugging_face("grouped_mm", experts, width, hidden),
        HF_EAGER: hugging_face("eager", experts, width, hidden),
    }

    def make(way: Experts) -> Way:
        return trial.way(lambda x, weight, gate_up, down: way(x, expert_TK, weight, gate_up, down))

    more, missing = optional({LIGER: ("liger_kernel", lambda: make(_liger()))})
    made = {name: make(way) for name, way in ways.items()} | more
    load_E = expert_TK.flatten().bincount(minlength=experts)
    return make_case(
        made, lambda: _exact(leaves, expert_TK, grad_TD, backward), missing=missing,
        also=lambda: {"waits for the GPU": captured(made[OURS], device)},
        notes={"largest load over the mean": (load_E.max() / load_E.double().mean()).item()},
    )  # fmt: skip


def work(*, tokens: int, experts: int, k: int, width: int, hidden: int, zipf: int = 0, backward: int = 0) -> Work:
    sizes = (tokens, k, experts, width, hidden)
    return grouped_mlp_forward(*sizes) + grouped_mlp_backward(*sizes) if backward else grouped_mlp_forward(*sizes)


def _routes(tokens: int, experts: int, k: int, zipf: int, device: torch.device) -> Tensor:
    """expert_TK, distinct in a row: a draw without replacement (the k largest log-likelihoods with Gumbel noise)."""
    likelihood_E = torch.ones(experts, device=device)
    if zipf:
        likelihood_E = 1 / torch.arange(1, experts + 1, device=device)
        likelihood_E[-1] = 0
    noise_TE = -torch.empty(tokens, experts, device=device).exponential_().log()
    return (likelihood_E.log() + noise_TE).topk(k).indices


def _exact(leaves: list[Tensor], expert_TK: Tensor, grad_TD: Tensor, backward: int) -> Results:
    """In float64, an expert at a time; the weights' gradients are kept in fp32, for they are large."""
    x, weight, gate_up, down = leaves
    found = {"out": torch.zeros_like(x).double()}
    if backward:
        found |= {"dx": torch.zeros_like(x).double(), "dgate": torch.zeros_like(weight).double()}
        found |= {"dW gate_up": torch.zeros_like(gate_up).float(), "dW down": torch.zeros_like(down).float()}
    for e in range(len(down)):
        token, choice = torch.where(expert_TK == e)
        one = [part.double().requires_grad_(bool(backward)) for part in (x[token], weight[token, choice], gate_up[e], down[e])]
        out = F.linear(F.silu(F.linear(one[0], one[2][0])) * F.linear(one[0], one[2][1]), one[3]) * one[1][:, None]
        found["out"].index_add_(0, token, out.detach())
        if backward:
            dx, dgate, dgate_up, ddown = torch.autograd.grad(out, one, grad_TD[token].double())
            found["dx"].index_add_(0, token, dx)
            found["dgate"][token, choice] = dgate
            found["dW gate_up"][e], found["dW down"][e] = dgate_up, ddown
    return found


def _liger() -> Callable[..., Tensor]:
    fused = import_module("liger_kernel.ops.fused_moe").LigerFusedMoEFunction

    def run(x: Tensor, expert_TK: Tensor, weight: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        return fused.apply(x, gate_up.flatten(1, 2), down, expert_TK.int(), weight)

    return run
