"""Agents to be: a system prompt and a subset of a world's tools, synthesised by seed (K2 report, section 3.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..corpus.draw import Draw
from ..tools import make
from .task import AgentTask

_NAMES = "Mini Juno Otto Vera Milo Nell Pax Rosa".split()
_PLACES = {
    "shop": ("a shop for the house", "a small furniture shop", "the shop on the corner"),
    "airline": ("a small airline", "the airline of eight towns", "a regional carrier"),
    "files": ("an office archive", "a shared folder of texts", "a small office"),
    "calendar": ("a busy household", "a private calendar", "a week's plan"),
}
_MANNERS = (
    "You are brief.", "You are friendly.", "You say what you do.", "You are exact.", "You never guess; you ask.",
    "You keep to the point.",
)  # fmt: skip
_OPENINGS = (
    "You are {name}, the assistant of {place}.",
    "{name} is your name; you work for {place}.",
    "You help the customers of {place}. Your name is {name}.",
)


class AgentSpec(NamedTuple):
    """A system prompt and the names of the tools that are declared."""

    name: str
    system: str
    tools: tuple[str, ...]

    def declared(self, world: Any) -> list[dict[str, Any]]:
        """The tools in the form that the chat template declares."""
        return [tool.declared for tool in world.tools if tool.name in self.tools]


def draw_agent(task: AgentTask, seed: int, spare: int = 2) -> AgentSpec:
    """An agent that can do `task`: the tools it takes and up to `spare` others, in an order of their own. The policy of the
    world is part of every system prompt; the rest of the wording is drawn."""
    world, draw = make(task.world, task.seed), Draw("agent", task.id, seed)
    others = [tool.name for tool in world.tools if tool.name not in task.tools]
    name = draw.one(_NAMES)
    opening = draw.one(_OPENINGS).format(name=name, place=draw.one(_PLACES[task.world]))
    tools = draw.shuffled([*task.tools, *draw.some(others, min(len(others), draw.number(0, spare)))])
    return AgentSpec(f"{name}-{task.world}", f"{opening} {draw.one(_MANNERS)} {world.policy}", tuple(tools))
