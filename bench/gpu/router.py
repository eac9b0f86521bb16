"""G6: who answers for each token, and the assignments in the order of their experts.

Legend: T tokens, E experts, K experts per token, A = T * K assignments.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kimi_mini import kernels
from kimi_mini.kernels import router_ref
from kimi_mini.kernels.work import Work, route, sort_by_expert

from ..harness import Case
from .common import OURS, Results, Way, captured, compiled, make_case

CHAIN, COMPILED = "torch op chain", "torch.compile"
_TIE = 1e-6  # choice scores this close are a tie in fp32: two correct programs may pick different experts
_SCALE = 2.5


def build(device: torch.device, *, tokens: int, experts: int, k: int, sort: int = 0) -> Case:
    """The choice with its weights, from logits; or, with `sort`, the metadata of the grouped products, from the choice."""
    torch.manual_seed(0)
    logits_TE, bias_E = torch.randn(tokens, experts, device=device), 0.05 * torch.randn(experts, device=device)
    if sort:
        return _sort_case(router_ref.route(logits_TE, bias_E, **_how(k))[0], experts, device)
    return _route_case(logits_TE, bias_E, k, device)


def work(*, tokens: int, experts: int, k: int, sort: int = 0) -> Work:
    return (sort_by_expert if sort else route)(tokens, experts, k)


def _how(k: int) -> dict[str, float]:
    return {"k": k, "n_group": 1, "topk_group": 1, "normalise": True, "scale": _SCALE}


def _route_case(logits_TE: Tensor, bias_E: Tensor, k: int, device: torch.device) -> Case:
    chain = lambda logits, bias: router_ref.route(logits, bias, **_how(k))  # noqa: E731
    together = compiled(chain, device)

    def make(way) -> Way:
        return lambda: _by_expert(*way(logits_TE, bias_E)[:2])

    ours = lambda logits, bias: kernels.route(logits, bias, **_how(k))  # noqa: E731
    timed = {OURS: ours, CHAIN: chain, COMPILED: together}
    clear = _Untied(logits_TE, bias_E, k)
    return make_case(
        {name: make(way) for name, way in timed.items()},
        lambda: _by_expert(*chain(logits_TE.double(), bias_E.double())[:2]),
        metrics={"experts": clear.share_off, "weights": clear.largest},
        also=lambda: {"waits for the GPU": captured(lambda: ours(logits_TE, bias_E), device)},
        timed={
            name: lambda way=way: way(logits_TE, bias_E) for name, way in timed.items()
        },  # without what makes them comparable
    )


def _by_expert(expert_TK: Tensor, weight_TK: Tensor) -> Results:
    expert_TK, order_TK = expert_TK.long().sort(-1)
    return {"experts": expert_TK, "weights": weight_TK.gather(1, order_TK)}


class _Untied:
    """Compares tokens whose k-th and next choice are further apart than rounding."""

    def __init__(self, logits_TE: Tensor, bias_E: Tensor, k: int) -> None:
        best_TK = (torch.sigmoid(logits_TE.double()) + bias_E.double()).topk(k + 1).values
        self.clear_T = best_TK[:, -2] - best_TK[:, -1] > _TIE

    def share_off(self, got_TK: Tensor, exact_TK: Tensor) -> float:
        return (got_TK != exact_TK).any(-1)[self.clear_T].double().mean().item()

    def largest(self, got_TK: Tensor, exact_TK: Tensor) -> float:
        return ((got_TK.double() - exact_TK).abs() / exact_TK)[self.clear_T].max().item()


def _sort_case(expert_TK: Tensor, experts: int, device: torch.device) -> Case:
    chain = lambda expert_TK: router_ref.sort_by_expert(expert_TK, experts)  # noqa: E731
    together = compiled(chain, device)

    def make(way) -> Way:
        def run() -> Results:
            order_A, ends_E = way(expert_TK)
            return {"order": order_A, "ends": ends_E}

        return run

    ours = lambda expert_TK: kernels.sort_by_expert(expert_TK, experts)  # noqa: E731
    return make_case(
        {OURS: make(ours), CHAIN: make(chain), COMPILED: make(together)},
        lambda: make(chain)(),
        also=lambda: {"waits for the GPU": captured(lambda: ours(expert_TK), device)},
    )
