"""The nouns of reinforcement learning here. Nothing is overwritten: reward, advantage and loss weight are three names."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Problem(NamedTuple):
    """One prompt of a task. `messages` (and `tools`) are what the policy is told; `data` is for the verifier alone."""

    task: str
    id: str
    messages: tuple[dict[str, Any], ...]
    data: dict[str, Any]
    tools: tuple[dict[str, Any], ...] = ()
    budget: int = 64  # tokens that an answer may have, by type of task


class Rollout(NamedTuple):
    """One answer as it was drawn.

    tokens        what follows the prompt: the model's own and, in a dialogue with tools, what the world said
    logprobs      natural logarithm of the policy's probability of each of them, at temperature 1
    mask          True for the model's own tokens, the ones that learn
    version       number of updates of the policy that drew it
    finished      ended by itself, within its budget
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    mask: tuple[bool, ...]
    version: int
    finished: bool


class Score(NamedTuple):
    """What a verifier says: the reward, and the named parts that it was made of."""

    reward: float
    parts: dict[str, float]


class Task(Protocol):
    """A kind of problem whose answers can be checked by a program. `score` never raises, whatever the text."""

    name: str

    def problem(self, seed: int) -> Problem:
        """The same seed gives the same problem."""

    def score(self, problem: Problem, text: str) -> Score:
        """Mark one answer, given as the text of the assistant's message."""

    def gold(self, problem: Problem) -> str:
        """An answer that scores 1."""

    def wrong(self, problem: Problem) -> str:
        """A plausible answer that scores 0."""
