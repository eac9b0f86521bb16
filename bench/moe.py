"""C1: routed experts, forward and backward, beside transformers' two ways and our slow twin.

Legend: T tokens, D width, E experts, K experts per token, F expert width.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Experts

from kimi_mini import kernels
from kimi_mini.kernels.work import Work, grouped_mlp_backward, grouped_mlp_forward

from .harness import Case, Errors, relative_error

OURS, TWIN = "ours", "ours, slow twin"
HF_EAGER, HF_GROUPED = "HF eager expert loop", "HF grouped_mm"
_QUANTITIES = ("out", "dx", "dgate", "dW gate_up", "dW down")

Experts = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]  # as kernels.grouped_mlp


def build(*, experts: int, k: int, tokens: int, width: int, hidden: int) -> Case:
    """Random tokens to random experts, so that loads are about even; every gradient is taken."""
    torch.manual_seed(0)
    leaves = [
        torch.randn(tokens, width),
        torch.rand(tokens, k),
        torch.randn(experts, 2, hidden, width) * width**-0.5,
        torch.randn(experts, width, hidden) * hidden**-0.5,
    ]
    expert_TK = torch.rand(tokens, experts).topk(k).indices
    grad_TD = torch.randn(tokens, width)
    ways = _ways(experts, width, hidden)

    def check() -> Errors:
        exact = _results(ways[TWIN], [x.double() for x in leaves], expert_TK, grad_TD.double())
        return {name: _errors(_results(way, leaves, expert_TK, grad_TD), exact) for name, way in ways.items()}

    def contender(way: Experts) -> Callable[[], object]:
        return lambda: _results(way, leaves, expert_TK, grad_TD)

    return Case({name: contender(way) for name, way in ways.items()}, check)


def work(*, experts: int, k: int, tokens: int, width: int, hidden: int) -> Work:
    """Forward and backward."""
    sizes = (tokens, k, experts, width, hidden)
    return grouped_mlp_forward(*sizes) + grouped_mlp_backward(*sizes)


def _ways(experts: int, width: int, hidden: int) -> dict[str, Experts]:
    return {
        OURS: kernels.grouped_mlp,
        HF_EAGER: hugging_face("eager", experts, width, hidden),
        HF_GROUPED: hugging_face("grouped_mm", experts, width, hidden),
        TWIN: lambda *args: kernels.grouped_mlp(*args, impl="ref"),
    }


def hugging_face(implementation: str, experts: int, width: int, hidden: int) -> Experts:
    """transformers' own module with our tensors in place of its parameters."""
    config = SimpleNamespace(
        num_local_experts=experts, hidden_size=width, moe_intermediate_size=hidden, hidden_act="silu",
        _experts_implementation=implementation,
    )  # fmt: skip
    module = DeepseekV3Experts(config)
    del module.gate_up_proj, module.down_proj

    def run(x_TD: Tensor, expert_TK: Tensor, weight_TK: Tensor, gate_up_E2FD: Tensor, down_EDF: Tensor) -> Tensor:
        module.gate_up_proj, module.down_proj = gate_up_E2FD.flatten(1, 2), down_EDF
        return module(x_TD, expert_TK, weight_TK)

    return run


def _results(way: Experts, leaves: list[Tensor], expert_TK: Tensor, grad_TD: Tensor) -> tuple[Tensor, ...]:
    x_TD, weight_TK, gate_up, down = (leaf.detach().requires_grad_() for leaf in leaves)
    out_TD = way(x_TD, expert_TK, weight_TK, gate_up, down)
    out_TD.backward(grad_TD)
    return out_TD.detach(), x_TD.grad, weight_TK.grad, gate_up.grad, down.grad


def _errors(got: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> dict[str, float]:
    return {name: relative_error(g, e) for name, g, e in zip(_QUANTITIES, got, exact, strict=True)}
