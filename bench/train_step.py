"""C3: forward and backward of a tiny DeepSeek-V3, ours with its signals, beside transformers and a loop over experts.

Legend: B sequences, T tokens, V vocabulary, E experts, K experts per token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import kimi_mini as km
from kimi_mini.accounting import training_flops
from kimi_mini.kernels.work import Work
from kimi_mini.model import Router
from kimi_mini.train.loss import Batch, next_token_loss

from . import tiny
from .harness import Case, Errors, relative_error

OURS, HF_DEFAULT, HF_EAGER, LOOP = "ours", "HF default (sdpa + grouped_mm)", "HF eager + loop", "ModuleList of experts"
_TIE = 1e-6  # choice scores this close are a tie in fp32: two correct programs may pick different experts
_IGNORE = -100


class Trainee(NamedTuple):
    """One contender: the loss of a batch with its backward pass done, and the gradients under Hugging Face's keys."""

    step: Callable[[], Tensor]
    gradients: Callable[[], dict[str, Tensor]]


def build(*, batch: int, length: int, **shape: int) -> Case:
    """Random tokens; sequences with a token on a router tie are asked nothing, so that gradients can be compared."""
    model = tiny.our_model(tiny.config(**shape))
    exact = km.KimiMini(model.config).double()
    exact.load_state_dict(model.state_dict())
    tokens_BT, targets_BT = torch.randint(shape["vocab"], (2, batch, length))
    tied_B = _sequences_with_ties(exact, tokens_BT)
    targets_BT[tied_B] = _IGNORE
    data = Batch(tokens_BT, targets_BT)
    trainees = {
        OURS: _ours(model, data),
        HF_DEFAULT: _hugging_face(tiny.hf_model(model), data),
        HF_EAGER: _hugging_face(tiny.hf_model(model, attention="eager", experts="eager"), data),
        LOOP: _ours(tiny.with_expert_lists(model), data),
    }

    def check() -> Errors:
        truth = _ours(exact, data)
        loss = truth.step()
        return {name: _errors(trainee, loss, truth.gradients()) for name, trainee in trainees.items()}

    notes = {"tokens per step": batch * length, "sequences without targets (router ties)": int(tied_B.sum())}
    return Case({name: trainee.step for name, trainee in trainees.items()}, check, notes)


def work(*, batch: int, length: int, **shape: int) -> Work:
    return Work(batch * length * training_flops(tiny.config(**shape), length).total, 0)


def _ours(model: km.KimiMini, data: Batch) -> Trainee:
    def step() -> Tensor:
        model.zero_grad()
        loss_sum, count = next_token_loss(model(data.tokens_BT).logits_BTV, data)
        loss = loss_sum / count
        loss.backward()
        return loss.detach()

    return Trainee(step, lambda: tiny.gradients(model))


def _hugging_face(model: nn.Module, data: Batch) -> Trainee:
    def step() -> Tensor:
        model.zero_grad()
        logits_BTV = model(data.tokens_BT, use_cache=False).logits
        loss = F.cross_entropy(logits_BTV.flatten(0, 1), data.targets_BT.flatten(), ignore_index=_IGNORE)
        loss.backward()
        return loss.detach()

    return Trainee(step, lambda: {name: p.grad for name, p in model.named_parameters()})


def _errors(trainee: Trainee, exact_loss: Tensor, exact: dict[str, Tensor]) -> dict[str, float]:
    """Of the loss, and of the worst of all gradient tensors, against float64."""
    loss = trainee.step()
    worst = max(relative_error(grad, exact[name]) for name, grad in trainee.gradients().items())
    return {"loss": relative_error(loss, exact_loss), "worst gradient": worst}


@torch.no_grad()
def _sequences_with_ties(model: km.KimiMini, tokens_BT: Tensor) -> Tensor:
    """tied_B: sequences in which, in some layer, the last chosen expert leads the first one left out by less than _TIE."""
    gaps_BT: list[Tensor] = []

    def note_gap(router: Router, _: tuple, routing: km.model.Routing) -> None:
        best_TK = (routing.score_TE + router.selection_bias).topk(router.k + 1).values
        gaps_BT.append((best_TK[:, -2] - best_TK[:, -1]).view(tokens_BT.shape))

    hooks = [m.register_forward_hook(note_gap) for m in model.modules() if isinstance(m, Router)]
    model(tokens_BT)
    for hook in hooks:
        hook.remove()
    return (torch.stack(gaps_BT) < _TIE).any(0).any(-1)
