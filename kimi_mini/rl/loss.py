"""The objectives of reinforcement learning, pure, and as a loss for `train_step`.

Legend: B answers, T positions (the target of position t is token t + 1), V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import at_least_fp32
from ..kernels.rows import IGNORE
from ..train.loss import LossFn
from .config import RLConfig


class PolicyBatch(NamedTuple):
    """A `train.Batch` with what an objective needs besides; fields that are None are for rows without it.

    targets_BT        -100 where nothing is asked: prompts, padding, and what a tool or the world said
    advantages_B      of each answer; None for rows of text (PTX)
    old_logprobs_BT   of the targets, under the policy that drew them
    weights_BT        what a target counts for in the auxiliary next-token loss (PTX)
    """

    tokens_BT: Tensor
    targets_BT: Tensor
    mask_BT: Tensor | None = None
    positions: Tensor | None = None
    advantages_B: Tensor | None = None
    old_logprobs_BT: Tensor | None = None
    weights_BT: Tensor | None = None

    def to(self, device: torch.device) -> PolicyBatch:
        """The same batch there."""
        return PolicyBatch(*(x if x is None else x.to(device) for x in self))


def k2_policy_loss(
    logprobs_BT: Tensor, old_logprobs_BT: Tensor, advantages_B: Tensor, own_BT: Tensor, tau: float
) -> tuple[Tensor, Tensor]:
    """(sum over answers of (r - mean r - tau log(pi / pi_old))^2, number of answers); K2 report, section 3.2.3.

    log pi of an answer is the sum over its own tokens, those that `own_BT` marks: never over prompt or tool output.
    advantages_B holds r - mean r. Nothing flows into `old_logprobs_BT`.

    Two answers of two tokens, tau 0.5. The first was right (advantage +0.5) and has become e^0.2 times as likely:
    0.5 - 0.5 * 0.2 = 0.4, squared 0.16. The second (-0.5) is as likely as it was: 0.25. The sum is 0.41, of 2 answers.
    """
    log_ratio_B = _over_own(logprobs_BT - old_logprobs_BT.detach(), own_BT)
    return (advantages_B - tau * log_ratio_B).square().sum(), own_BT.any(1).sum()


def grpo_loss(
    logprobs_BT: Tensor, old_logprobs_BT: Tensor, advantages_B: Tensor, own_BT: Tensor, clip: float = 0.2
) -> tuple[Tensor, Tensor]:
    """(minus the sum over answers of their tokens' mean clipped surrogate, number of answers); GRPO, arXiv 2402.03300.

    A token's surrogate is min(ratio * advantage, ratio cut to [1 - clip, 1 + clip] * advantage). Without its KL term.

    One answer of two tokens with advantage 1, ratios 1.5 and 0.9, clip 0.2: (1.2 + 0.9) / 2 = 1.05, so the sum is -1.05.
    """
    ratio_BT = _kept(logprobs_BT - old_logprobs_BT.detach(), own_BT).exp()
    advantages_B1 = advantages_B[:, None]
    surrogate_BT = torch.minimum(ratio_BT * advantages_B1, ratio_BT.clamp(1 - clip, 1 + clip) * advantages_B1)
    return -(_over_own(surrogate_BT, own_BT) / own_BT.sum(1).clamp(min=1)).sum(), own_BT.any(1).sum()


def target_logprobs(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """logprobs_BT of the targets at temperature 1, in nats; 0 where there is none."""
    wide_NV = logits_BTV.flatten(0, 1).to(at_least_fp32(logits_BTV.dtype))
    return -F.cross_entropy(wide_NV, targets_BT.flatten(), ignore_index=IGNORE, reduction="none").view_as(targets_BT)


def objective(config: RLConfig) -> LossFn:
    """The configured objective plus the weighted next-token loss, for `train_step`: its (sum, count) counts answers."""

    def loss_fn(logits_BTV: Tensor, batch: PolicyBatch) -> tuple[Tensor, Tensor]:
        logprobs_BT = target_logprobs(logits_BTV, batch.targets_BT)
        if batch.advantages_B is None:
            return -(batch.weights_BT * logprobs_BT).sum(), logprobs_BT.new_zeros((), dtype=torch.long)
        parts = logprobs_BT, batch.old_logprobs_BT, batch.advantages_B, batch.targets_BT != IGNORE
        return k2_policy_loss(*parts, config.tau) if config.loss == "k2" else grpo_loss(*parts, config.clip)

    return loss_fn


def _kept(values_BT: Tensor, own_BT: Tensor) -> Tensor:
    return values_BT.masked_fill(~own_BT, 0)


def _over_own(values_BT: Tensor, own_BT: Tensor) -> Tensor:
    return _kept(values_BT, own_BT).sum(1)
