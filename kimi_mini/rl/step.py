"""One iteration of reinforcement learning: draw, score, centre, learn (K2 report, section 3.2.3).

Legend: P problems, G answers to each, N = P * G answers in a row, T tokens, R rows of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..chat import prompt
from ..kernels.rows import IGNORE
from ..model import KimiMini
from ..tokenizer import Tokenizer
from ..train import StepReport, train_step
from .advantage import centred, standardised
from .answers import draw_marked
from .budget import shaped
from .config import RLConfig
from .loss import PolicyBatch, objective, target_logprobs
from .pack import pack, pack_text
from .types import Problem, Rollout, Score, Task


class RLReport(NamedTuple):
    """Everything of one iteration: scores, rewards and advantages are three things.

    log_ratios_PG is log(new policy / old policy) of each answer after the updates; divergence estimates KL(old || new) of an
    answer, in nats.
    """

    rollouts_PG: list[list[Rollout]]
    scores_PG: list[list[Score]]
    rewards_PG: Tensor
    advantages_PG: Tensor
    log_ratios_PG: Tensor
    divergence: float
    updates: list[StepReport]


def rl_step(
    policy: KimiMini,
    optimizer: Optimizer,
    tokenizer: Tokenizer,
    task: Task,
    problems_P: Sequence[Problem],
    config: RLConfig,
    step: int,
    text_RS: Tensor | None = None,
) -> RLReport:
    """Iteration `step` (0-based). `text_RS` are the rows of text that PTX reads with every update."""
    temperature, seed = config.temperature_at(step), config.seed * 1_000_003 + step
    rollouts_PG, scores_PG = draw_marked(
        policy,
        tokenizer,
        task,
        problems_P,
        config.group,
        temperature=temperature,
        seed=seed,
        version=step,
        budget=config.budget,
    )
    return learn(policy, optimizer, tokenizer, problems_P, rollouts_PG, scores_PG, config, seed, text_RS)


def learn(
    policy: KimiMini,
    optimizer: Optimizer,
    tokenizer: Tokenizer,
    problems_P: Sequence[Problem],
    rollouts_PG: list[list[Rollout]],
    scores_PG: list[list[Score]],
    config: RLConfig,
    seed: int,
    text_RS: Tensor | None = None,
) -> RLReport:
    """The half of an iteration behind the scores, whoever gave them: a verifier here, a critic in `critic_loop`."""
    rewards_PG = torch.tensor([
        [shaped(score, rollout, config.penalty) for score, rollout in zip(scores_G, rollouts_G, strict=True)]
        for scores_G, rollouts_G in zip(scores_PG, rollouts_PG, strict=True)
    ])  # fmt: skip
    advantages_PG = centred(rewards_PG) if config.loss == "k2" else standardised(rewards_PG)

    batch, device = Rows.of(tokenizer, problems_P, rollouts_PG, advantages_PG), policy.embed.weight.device
    updates = [
        train_step(policy, optimizer, batch.micro_batches(part_N, config, text_RS, device), objective(config), config.step)
        for part_N in _order(batch, config, seed)
    ]
    log_ratios_NT = batch.log_ratios(policy, config.micro_batch)
    divergence = (log_ratios_NT.exp() - 1 - log_ratios_NT).sum(1).mean().item()
    log_ratios_PG = log_ratios_NT.sum(1).view_as(rewards_PG)
    return RLReport(rollouts_PG, scores_PG, rewards_PG, advantages_PG, log_ratios_PG, divergence, updates)


class Rows(NamedTuple):
    """The answers one below the other, each with its prompt and advantage."""

    prompts_N: list[list[int]]
    rollouts_N: list[Rollout]
    advantages_N: list[float]

    @classmethod
    def of(cls, tokenizer: Tokenizer, problems_P, rollouts_PG, advantages_PG: Tensor) -> Rows:
        prompts_P = [prompt(problem.messages, problem.tools, tokenizer) for problem in problems_P]
        prompts_N = [one for one, rollouts_G in zip(prompts_P, rollouts_PG, strict=True) for _ in rollouts_G]
        return cls(prompts_N, sum(map(list, rollouts_PG), []), advantages_PG.flatten().tolist())

    def packed(self, rows: Sequence[int]) -> PolicyBatch:
        return pack(*([column[row] for row in rows] for column in self))

    def micro_batches(
        self, part_N: Sequence[int], config: RLConfig, text_RS: Tensor | None, device: torch.device
    ) -> list[PolicyBatch]:
        """What one update reads: its answers and, for PTX, rows of text."""
        text = [] if text_RS is None else [pack_text(text_RS, config.ptx_weight * len(part_N))]
        return [batch.to(device) for batch in [*map(self.packed, _cut(part_N, config.micro_batch)), *text]]

    @torch.inference_mode()
    def log_ratios(self, policy: KimiMini, size: int) -> Tensor:
        """log_ratios_NT of every own token, policy over the one that drew it; 0 elsewhere."""
        rows_T = []
        for rows in _cut(range(len(self.rollouts_N)), size):
            batch = self.packed(rows).to(policy.embed.weight.device)
            logprobs_BT = target_logprobs(policy(batch.tokens_BT).logits_BTV, batch.targets_BT)
            rows_T += (logprobs_BT - batch.old_logprobs_BT).masked_fill(batch.targets_BT == IGNORE, 0)
        return torch.nn.utils.rnn.pad_sequence(rows_T, batch_first=True).cpu()


def _order(batch: Rows, config: RLConfig, seed: int) -> list[Sequence[int]]:
    """The answers of each update: all of them shuffled into `updates` parts, `passes` times."""
    order_N = torch.randperm(len(batch.rollouts_N), generator=torch.Generator().manual_seed(seed)).tolist()
    return _cut(order_N, len(order_N) // config.updates) * config.passes


def _cut(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
