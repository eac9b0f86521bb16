"""Who plays the agent: a server's model, a KimiMini, or a program (programmatic.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from ..chat import Parsed, compact, parse, parse_text, prompt, template
from ..generation import draw_answers
from ..model import KimiMini
from ..synth import Endpoint
from ..tokenizer import Tokenizer
from .task import AgentTask


class Turn(NamedTuple):
    """One message of the agent: as it was written, as it was read, and whether it was cut off before its end."""

    raw: str
    parsed: Parsed
    cut: bool = False


Play = Callable[[Sequence[dict[str, Any]], Sequence[dict[str, Any]]], Turn]  # (messages, declared tools) to the next message


class Player(Protocol):
    """Plays agents. `start` begins an episode; only a program looks at the task, a model is told what the messages say."""

    name: str
    programmatic: bool

    def start(self, task: AgentTask, seed: int) -> Play: ...

    def named(self, task: AgentTask, seed: int) -> str:
        """Who plays this episode, for its record."""


def written(content: str, calls: Sequence[tuple[str, str]], first: int) -> str:
    """A message in the wire format: content, and calls of (tool, arguments as text), numbered from `first`."""
    return template.written(content, [(f"functions.{tool}:{first + place}", text) for place, (tool, text) in enumerate(calls)])


def turn_of(raw: str, cut: bool = False) -> Turn:
    return Turn(raw, parse_text(raw), cut)


class EndpointPlayer:
    """A server's model, told of the tools by its API; calls that it writes as text are read too."""

    programmatic = False

    def __init__(self, endpoint: Endpoint, max_tokens: int = 500, temperature: float = 0.7) -> None:
        self.endpoint, self.name, self.max_tokens, self.temperature = endpoint, endpoint.name, max_tokens, temperature

    def start(self, task: AgentTask, seed: int) -> Play:
        def play(messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> Turn:
            answer = self.endpoint.complete(
                [_as_api(message) for message in messages], seed=seed + len(messages), max_tokens=self.max_tokens,
                temperature=self.temperature, tools=[{"type": "function", "function": tool} for tool in tools],
            )  # fmt: skip
            first = sum(len(message.get("tool_calls", ())) for message in messages)
            return turn_of(written(answer.text, answer.calls, first), answer.finish in ("length", "content_filter"))

        return play

    def named(self, task: AgentTask, seed: int) -> str:
        return self.name


def _as_api(message: dict[str, Any]) -> dict[str, Any]:
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": _name(call["id"]), "arguments": compact(call["arguments"])}}
        for call in message.get("tool_calls", ())
    ]
    return {**message, "tool_calls": calls} if calls else message


def _name(call_id: str) -> str:
    return call_id.removeprefix("functions.").rpartition(":")[0]


class ModelPlayer:
    """A KimiMini on this machine. A dialogue that outgrows its positions counts as cut off."""

    programmatic = False

    def __init__(self, model: KimiMini, tokenizer: Tokenizer, name: str, budget: int = 96, temperature: float = 0.0) -> None:
        self.model, self.tokenizer, self.name, self.budget, self.temperature = model, tokenizer, name, budget, temperature

    def start(self, task: AgentTask, seed: int) -> Play:
        def play(messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> Turn:
            ids = prompt(messages, tools, self.tokenizer)
            if len(ids) + self.budget > self.model.config.max_position_embeddings:
                return turn_of("", cut=True)
            (answer,) = draw_answers(
                self.model, [ids], budgets=[self.budget], ends=(self.tokenizer.id(template.END),), temperature=self.temperature,
                seed=seed + len(messages),
            )  # fmt: skip
            return Turn(self.tokenizer.decode(answer.tokens), parse(answer.tokens, self.tokenizer), not answer.finished)

        return play

    def named(self, task: AgentTask, seed: int) -> str:
        return self.name
