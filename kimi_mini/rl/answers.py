"""Answers drawn and marked: one turn for most tasks, a dialogue in a world for those with tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..model import KimiMini
from ..tokenizer import Tokenizer
from .dialogue import play
from .sampler import draw_rollouts, text_of
from .tasks.dialogues import ToolTask
from .types import Problem, Rollout, Score, Task


class Answers(NamedTuple):
    """For each problem a group of rollouts, and what the verifier says of each."""

    rollouts_PG: list[list[Rollout]]
    scores_PG: list[list[Score]]


def draw_marked(
    model: KimiMini,
    tokenizer: Tokenizer,
    task: Task,
    problems_P: Sequence[Problem],
    group: int,
    *,
    temperature: float,
    seed: int,
    version: int = 0,
    budget: int | None = None,
) -> Answers:
    """`group` answers to each problem, within its own budget or `budget`; the same seed gives the same answers."""
    how = {"temperature": temperature, "seed": seed, "version": version, "budget": budget}
    if isinstance(task, ToolTask):
        played_PG = play(model, tokenizer, task, problems_P, group, **how)
        return Answers(*([[part[place] for part in played_G] for played_G in played_PG] for place in (0, 1)))
    rollouts_PG = draw_rollouts(model, tokenizer, problems_P, group, **how)
    pairs = zip(problems_P, rollouts_PG, strict=True)
    scores_PG = [[task.score(problem, text_of(rollout, tokenizer)) for rollout in rollouts_G] for problem, rollouts_G in pairs]
    return Answers(rollouts_PG, scores_PG)
