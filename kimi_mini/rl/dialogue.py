"""Rollouts in turns: the model writes, its calls are made in a world, results follow, and it goes on, all as one token row.

The model's own tokens are masked True, the world's False. Nothing that a model writes raises: a malformed call is answered with
what is wrong with it, and whoever goes on too long, in turns or in tokens, is cut off and not finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..chat import Parsed, encode, parse, prompt
from ..chat.template import ANSWER, END
from ..checks import is_int, require
from ..generation import Answer, draw_answers
from ..model import KimiMini
from ..tokenizer import Tokenizer
from ..tools import World
from .tasks.dialogues import MOST_CALLS, ToolTask, answer_calls
from .types import Problem, Rollout, Score


class Played(NamedTuple):
    """One dialogue: its rollout, its mark, how often the model wrote, and how many of its calls were none or failed."""

    rollout: Rollout
    score: Score
    turns: int
    calls: int
    malformed: int


def play(
    model: KimiMini,
    tokenizer: Tokenizer,
    task: ToolTask,
    problems: Sequence[Problem],
    group: int,
    *,
    temperature: float,
    seed: int,
    version: int = 0,
    budget: int | None = None,
) -> list[list[Played]]:
    """played_PG: `group` dialogues on each problem, every one in a world of its own.

    A dialogue ends with the first message without a call. The model's tokens of all its messages together stay within the
    problem's budget (or `budget`, the same for all); world and model together within the model's positions. The same seed
    gives the same dialogues.
    """
    require(is_int(group, 1), "group", group, "an integer >= 1")
    talks = [_Talk(task, problem, tokenizer, budget or problem.budget) for problem in problems for _ in range(group)]
    for turn in range(task.turns):
        room = model.config.max_position_embeddings - max((len(talk.read) for talk in talks if talk.going), default=0)
        going = [talk for talk in talks if talk.going]
        if not going or room < 1:
            break
        alike = group if turn == 0 else 1  # at first a group reads the same
        answers = draw_answers(
            model, [talk.read for talk in going[::alike]], budgets=[min(talk.left, room) for talk in going[::alike]],
            ends=(tokenizer.id(END),), group=alike, temperature=temperature, seed=seed * task.turns + turn,
        )  # fmt: skip
        for talk, answer in zip(going, answers, strict=True):
            talk.hear(answer)
    played = [talk.played(version) for talk in talks]
    return [played[at : at + group] for at in range(0, len(played), group)]


class _Talk:
    """A dialogue under way; `read` is what the model reads next."""

    def __init__(self, task: ToolTask, problem: Problem, tokenizer: Tokenizer, budget: int) -> None:
        self.task, self.problem, self.tokenizer, self.left = task, problem, tokenizer, budget
        self.world: World = task.world(problem)
        self.read = prompt(problem.messages, problem.tools, tokenizer)
        self.start = len(self.read)
        self.logprobs: list[float] = []
        self.mask: list[bool] = []
        self.going, self.finished, self.reply = True, False, ""
        self.turns = self.calls = self.malformed = 0

    def hear(self, answer: Answer) -> None:
        """Take what the model wrote, and answer its calls."""
        self._append(answer.tokens, answer.logprobs, own=True)
        self.left -= len(answer.tokens)
        self.turns += 1
        if not answer.finished:
            self.going = False
            return
        parsed = parse(answer.tokens, self.tokenizer)
        if not (parsed.calls or parsed.malformed):
            self.going, self.finished, self.reply = False, True, parsed.content
            return
        self._answer(parsed)
        self.going = self.left > 0 and self.turns < self.task.turns

    def _answer(self, parsed: Parsed) -> None:
        replies = answer_calls(self.world, parsed, MOST_CALLS - self.calls)
        self.calls += len(parsed.calls)
        self.malformed += len(parsed.malformed)
        told = [*encode(replies, (), self.tokenizer).tokens[1:], *self.tokenizer.encode(ANSWER, special=True)]
        self._append(told, [0.0] * len(told), own=False)

    def _append(self, tokens: Sequence[int], logprobs: Sequence[float], own: bool) -> None:
        self.read = [*self.read, *tokens]
        self.logprobs += logprobs
        self.mask += [own] * len(tokens)

    def played(self, version: int) -> Played:
        tokens = self.read[self.start :]
        rollout = Rollout(tuple(tokens), tuple(self.logprobs), tuple(self.mask), version, self.finished)
        score = self.task.judge(self.problem, self.world, self.reply)
        return Played(rollout, score, self.turns, self.calls, self.malformed)
