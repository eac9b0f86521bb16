"""Simulated users: they say what they want, hold back facts until asked, and leave when they have heard enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from ..corpus.draw import Draw
from ..synth import Endpoint
from .task import AgentTask, Fact

Reply = Callable[[Sequence[dict[str, Any]]], str | None]  # the dialogue so far to the user's next words; None: the user leaves
GOODBYE = "###STOP###"


class Persona(NamedTuple):
    """How a user talks: before and after the wish, facts in one answer, questions heard before they lose patience."""

    name: str
    before: str
    after: str
    facts: int
    patience: int
    manner: str


PERSONAS = (
    Persona("plain", "", "", 9, 5, "You are polite and to the point."),
    Persona("terse", "", "", 1, 5, "You answer in a few words and tell one thing at a time."),
    Persona("chatty", "Hello! Lovely day, is it not? ", " Thank you!", 9, 6, "You like to talk, and come to the point late."),
    Persona("hurried", "Quick please. ", "", 2, 2, "You are in a hurry and leave when you are asked more than twice."),
    Persona("forgetful", "", " I hope that is all you need.", 1, 8, "You forget things and answer one question at a time."),
)  # fmt: skip


class User(Protocol):
    """Plays the users of tasks. `name` stands in every record; `programmatic` says that no model plays."""

    name: str
    programmatic: bool

    def start(self, task: AgentTask, persona: Persona, seed: int) -> Reply: ...


class ProgrammaticUser:
    """Opens with the wish, answers a question by the facts that it names, and leaves when nothing is asked."""

    name, programmatic = "programmatic", True

    def start(self, task: AgentTask, persona: Persona, seed: int) -> Reply:
        draw, asked = Draw("user", task.id, persona.name, seed), 0

        def reply(messages: Sequence[dict[str, Any]]) -> str | None:
            nonlocal asked
            heard = _last_words(messages)
            if heard is None:
                return f"{persona.before}{task.wish}{persona.after}"
            asked += 1
            if "?" not in heard or asked > persona.patience:
                return None
            named = [fact for fact in task.facts if fact.name in heard.lower()][: persona.facts]
            return " ".join(_told(fact, draw) for fact in named) or "I do not know."

        return reply


def _told(fact: Fact, draw: Draw) -> str:
    return draw.one(("My {} is {}.", "The {} is {}.", "It is {1}, the {0}.")).format(fact.name, fact.value)


class EndpointUser:
    """A model plays the persona; it knows the wish and the facts, and ends with GOODBYE."""

    programmatic = False

    def __init__(self, endpoint: Endpoint, max_tokens: int = 200) -> None:
        self.endpoint, self.name, self.max_tokens = endpoint, endpoint.name, max_tokens

    def start(self, task: AgentTask, persona: Persona, seed: int) -> Reply:
        facts = "\n".join(f"- your {fact.name}: {fact.value}" for fact in task.facts)
        system = (
            f"You play a customer who writes to an assistant. {persona.manner} Your wish: {task.wish}\nYou know:\n{facts}\n"
            "Tell a fact only when you are asked for it. Never make anything up. Write one message at a time, the customer's "
            f"words alone. When the assistant has done it or says that it cannot, write {GOODBYE}."
        )

        def reply(messages: Sequence[dict[str, Any]]) -> str | None:
            swapped = [{"role": "system", "content": system}]
            for message in messages:
                role = {"user": "assistant", "assistant": "user"}.get(message["role"])
                if role and message["content"].strip():
                    swapped.append({"role": role, "content": message["content"]})
            if swapped[-1]["role"] != "user":
                swapped.append({"role": "user", "content": "Hello, what can I do for you?"})
            said = self.endpoint.complete(swapped, seed=seed + len(messages), max_tokens=self.max_tokens, temperature=0.7)
            words = said.text.partition(GOODBYE)
            return None if words[1] and len(swapped) > 2 else words[0].strip() or task.wish

        return reply


def _last_words(messages: Sequence[dict[str, Any]]) -> str | None:
    """What the assistant said last; None where it has not spoken yet."""
    return next((message["content"] for message in reversed(messages) if message["role"] == "assistant"), None)
