"""One training step, whole: MuonClip (K2 report, Algorithm 1) and expert balance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from ..checks import is_number, require
from ..model import ForwardStats, KimiMini
from ..optim import balance_experts_, qk_clip_
from .loss import Batch, HeadLoss, LossFn, loss_of


@dataclass(frozen=True)
class StepConfig:
    """What a step does besides learning. tau is K2's 100; the other values are not published for K2.

    tau = inf measures and never clips; max_grad_norm = inf only measures; bias_rate = 0 leaves the biases alone.
    aux_loss_alpha weighs V3's sequence-wise balance loss, which 0 leaves out; a step's reported loss is without it.
    """

    tau: float = 100.0
    alpha: float = 0.5
    bias_rate: float = 1e-3
    centred_bias: bool = False
    max_grad_norm: float = 1.0
    aux_loss_alpha: float = 0.0

    def __post_init__(self) -> None:
        tau, alpha, rate, norm = self.tau, self.alpha, self.bias_rate, self.max_grad_norm
        require(is_number(tau) and tau > 0, "tau", tau, "a number > 0 (inf never clips)")
        require(is_number(alpha) and 0 <= alpha <= 1, "alpha", alpha, "a number from 0 to 1")
        require(is_number(rate) and 0 <= rate < math.inf, "bias_rate", rate, "a number >= 0")
        require(is_number(norm) and norm > 0, "max_grad_norm", norm, "a number > 0 (inf only measures)")
        balance = self.aux_loss_alpha
        require(is_number(balance) and 0 <= balance < math.inf, "aux_loss_alpha", balance, "a number >= 0")


class StepReport(NamedTuple):
    """Mean loss per target in nats, targets counted, gradient norm before clipping, the stats and the clip's factors."""

    loss: float
    count: int
    grad_norm: float
    stats: ForwardStats
    gamma_LH: Tensor


def train_step(
    model: KimiMini, optimizer: Optimizer, micro_batches: Iterable[Batch], loss_fn: LossFn | HeadLoss, config: StepConfig
) -> StepReport:
    """One update from all micro-batches of all ranks, as if they had been one batch.

    `loss_fn(logits_BTV, batch)` returns (sum, count); a HeadLoss does so without the logits. Raises FloatingPointError, with
    the weights untouched, when loss or gradient is not finite, and ValueError when there is nothing to learn from.
    """
    optimizer.zero_grad()
    stats, loss_sum, count = None, 0.0, 0
    for batch in micro_batches:
        batch_sum, batch_count, batch_stats = loss_of(model, batch, loss_fn, balance_loss=config.aux_loss_alpha > 0)
        _with_balance(batch_sum, batch_count, batch_stats, config.aux_loss_alpha).backward()
        stats = batch_stats.merge(stats)  # a maximum for logits, a sum for load
        loss_sum, count = loss_sum + batch_sum.detach(), count + batch_count
    stats = _all_reduce(stats)
    loss, count = _average_gradients_(model, loss_sum, count)
    grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm).item()
    _require_finite(loss, grad_norm, stats)

    optimizer.step()  # lines 2-4: momentum, Newton-Schulz, weight decay
    gamma_LH = qk_clip_(model, stats.max_logits_LH, tau=config.tau, alpha=config.alpha)  # lines 5-6
    balance_experts_(model, stats.expert_load_LE, rate=config.bias_rate, centred=config.centred_bias)
    return StepReport(loss, count, grad_norm, stats, gamma_LH)


def _with_balance(batch_sum: Tensor, batch_count: Tensor, stats: ForwardStats, alpha: float) -> Tensor:
    """The sum plus the balance loss times the targets, by whose number all gradients are divided in the end."""
    return batch_sum if stats.balance_loss is None else batch_sum + alpha * batch_count * stats.balance_loss


def _all_reduce(stats: ForwardStats | None) -> ForwardStats:
    if stats is None:
        raise ValueError("micro_batches is empty; expected at least one Batch")
    return stats.all_reduce()


@torch.no_grad()
def _average_gradients_(model: KimiMini, loss_sum: Tensor, count: Tensor) -> tuple[float, int]:
    """Divide the summed gradients by the number of targets over micro-batches and ranks; return the mean loss and count."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    total = torch.stack((loss_sum.double(), count.double()))
    if dist.is_available() and dist.is_initialized():
        for tensor in (total, *grads):
            dist.all_reduce(tensor)
    loss_sum, count = total.tolist()
    if count == 0:
        raise ValueError(
            "no micro-batch has a target (all are -100 or none is given); expected at least one token to learn from"
        )
    torch._foreach_div_(grads, count)
    return loss_sum / count, int(count)


def _require_finite(loss: float, grad_norm: float, stats: ForwardStats) -> None:
    if not (torch.tensor([loss, grad_norm]).isfinite().all()):
        raise FloatingPointError(
            f"loss = {loss}, gradient norm = {grad_norm}, largest attention logit = {stats.max_logits_LH.max().item()}; "
            "expected finite numbers. The weights were not touched: lower the learning rate or tau, or look at the batch"
        )
