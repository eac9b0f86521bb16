"""The closed loop of self-critique: the actor learns from the critic's ranking, the critic from what a program could check.

K2 report, section 3.2.2: on-policy rollouts from verifiable prompts keep updating the critic. Nothing else may: not its own
verdicts, not the hidden truth of a subjective prompt, not answers of an older policy.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch.optim import Optimizer

from ..chat import encode
from ..checks import require
from ..corpus.draw import Draw
from ..model import KimiMini
from ..tokenizer import Tokenizer
from ..train import StepConfig, next_token_loss, train_step
from ..train.dialogues import Dialogue, batch_of
from .config import RLConfig
from .critic import Comparison, Critic, ModelCritic, Ranking, Rubric, rank
from .sampler import draw_rollouts, text_of
from .step import RLReport, learn
from .types import Problem, Rollout, Score, Task


@dataclass(frozen=True)
class Judges:
    """Who scores what: problems of a task in `verifiers` are scored by it, all others by the critic under `rubrics`."""

    verifiers: Mapping[str, Task]
    critic: Critic
    rubrics: tuple[Rubric, ...]

    def scores(
        self, problems_P: Sequence[Problem], texts_PG: Sequence[Sequence[str]]
    ) -> tuple[list[list[Score]], list[Ranking]]:
        """scores_PG, and the rankings of the subjective problems in order. A ranking's score is 0.5 on average in a group."""
        subjective = [p for p, problem in enumerate(problems_P) if problem.task not in self.verifiers]
        rankings = rank(self.critic, [problems_P[p] for p in subjective], [texts_PG[p] for p in subjective], self.rubrics)
        ranked = dict(zip(subjective, rankings, strict=True))
        scores_PG = [
            [Score(score, {"won": score}) for score in ranked[p].scores]
            if p in ranked
            else [self.verifiers[problem.task].score(problem, text) for text in texts_PG[p]]
            for p, problem in enumerate(problems_P)
        ]
        return scores_PG, rankings


def lessons(
    problems_P: Sequence[Problem],
    rollouts_PG: Sequence[Sequence[Rollout]],
    texts_PG: Sequence[Sequence[str]],
    verifiers: Mapping[str, Task],
    rubrics: Sequence[Rubric],
    *,
    version: int,
    most: int,
    draw: Draw,
) -> list[Dialogue]:
    """What this policy's answers to verifiable problems teach a critic: what passes is better than what does not.

    Every pair comes in both orders, under one of `rubrics` that speak of quality; at most `most` pairs. The scores are made
    here, by the verifiers alone. Raises ValueError for rollouts of another version of the policy.
    """
    pairs = []
    for problem, rollouts_G, texts_G in zip(problems_P, rollouts_PG, texts_PG, strict=True):
        if problem.task not in verifiers:
            continue
        stale = {rollout.version for rollout in rollouts_G} - {version}
        require(not stale, "versions of the rollouts", sorted(stale), f"{version}: the critic learns on-policy")
        rewards = [verifiers[problem.task].score(problem, text).reward for text in texts_G]
        better = {(a, b) for (a, x), (b, y) in itertools.permutations(zip(texts_G, rewards, strict=True), 2) if x > y}
        pairs += [(problem, *pair) for pair in sorted(better)]
    chosen = draw.some(pairs, min(most, len(pairs)))
    better_first = [Comparison(*pair, draw.one(rubrics)) for pair in chosen]
    return [lesson(one, first) for good in better_first for one, first in ((good, True), (good.mirrored(), False))]


def lesson(comparison: Comparison, first: bool) -> Dialogue:
    """A comparison as a critic is taught it, with its answer. Raises ValueError where there is nothing to compare."""
    require(comparison.first != comparison.second, "replies", comparison.first, "two that differ")
    return Dialogue([*comparison.messages()[1:], {"role": "assistant", "content": "A" if first else "B"}])


def teach(critic: ModelCritic, optimizer: Optimizer, dialogues: Sequence[Dialogue], config: StepConfig) -> float | None:
    """One update of the critic from `dialogues`; its loss in nats a target, None where there was nothing to learn."""
    if not dialogues:
        return None
    encoded = [encode(one.messages, one.tools, critic.tokenizer) for one in dialogues]
    length = max(len(one.tokens) for one in encoded) - 1
    batch = batch_of([[one] for one in encoded], length, critic.tokenizer.pad or 0)
    return train_step(critic.model, optimizer, [batch], next_token_loss, config).loss


def critic_step(
    actor: KimiMini,
    optimizer: Optimizer,
    tokenizer: Tokenizer,
    problems_P: Sequence[Problem],
    judges: Judges,
    config: RLConfig,
    step: int,
) -> tuple[RLReport, list[Ranking], list[list[str]]]:
    """Iteration `step` (0-based) of the actor: draw, score each problem by who may, learn. Also rankings and texts_PG."""
    seed = config.seed * 1_000_003 + step
    rollouts_PG = draw_rollouts(
        actor, tokenizer, problems_P, config.group, temperature=config.temperature_at(step), seed=seed, version=step
    )
    texts_PG = [[text_of(rollout, tokenizer) for rollout in rollouts_G] for rollouts_G in rollouts_PG]
    scores_PG, rankings = judges.scores(problems_P, texts_PG)
    return learn(actor, optimizer, tokenizer, problems_P, rollouts_PG, scores_PG, config, seed), rankings, texts_PG
