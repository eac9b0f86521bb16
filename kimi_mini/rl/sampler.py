"""Rollouts: a group of answers to each problem, with the log-probabilities of the policy that drew them."""

from __future__ import annotations

from collections.abc import Sequence

from ..chat import prompt
from ..chat.template import END
from ..generation import Answer, draw_answers
from ..model import KimiMini
from ..tokenizer import Tokenizer
from .types import Problem, Rollout


def draw_rollouts(
    model: KimiMini,
    tokenizer: Tokenizer,
    problems: Sequence[Problem],
    group: int,
    *,
    temperature: float,
    seed: int,
    version: int = 0,
    budget: int | None = None,
) -> list[list[Rollout]]:
    """rollouts_PG: for each problem `group` single-turn answers within its own budget (or `budget`, the same for all).

    An answer ends with <|im_end|>, which is the last of its tokens. The same seed and problems give the same rollouts.
    """
    prompts = [prompt(problem.messages, problem.tools, tokenizer) for problem in problems]
    budgets = [budget or problem.budget for problem in problems]
    answers = draw_answers(
        model, prompts, budgets=budgets, ends=(tokenizer.id(END),), group=group, temperature=temperature, seed=seed
    )
    return [[_rollout(answer, version) for answer in answers[at : at + group]] for at in range(0, len(answers), group)]


def _rollout(answer: Answer, version: int) -> Rollout:
    own = (True,) * len(answer.tokens)
    return Rollout(tuple(answer.tokens), tuple(answer.logprobs), own, version, answer.finished)


def text_of(rollout: Rollout, tokenizer: Tokenizer) -> str:
    """What a verifier reads of a single-turn answer; its closing <|im_end|> is left out."""
    return tokenizer.decode(rollout.tokens[: len(rollout.tokens) - rollout.finished])
