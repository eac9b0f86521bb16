"""Tool tasks: a request to a world, judged by the state in which the world is left.

What the model says of its deeds earns nothing; what it broke of the world's policy costs everything.
"""

from __future__ import annotations

from typing import Any

from ...chat import Parsed, compact, parse_text
from ...chat.template import END, written
from ...checks import is_int, require
from ...corpus.draw import Draw
from ...tools import World
from ..types import Problem, Score
from .marking import marked, readable
from .requests import ASKS, Ask, comes_to

SYSTEM = "You are Mini, a small assistant. Use the tools when they help."  # the words of MINI's own dialogues
MOST_CALLS = 32  # in one dialogue
_LONGEST_RESULT = 600  # characters of a tool's answer that the model is shown


class ToolTask:
    """Requests to worlds of one kind. `turns` is the number of messages that the model may write, `budget` of its tokens."""

    def __init__(self, world: type[World], ask: Ask | None = None, turns: int = 6, budget: int = 192) -> None:
        require(ask is not None or world in ASKS, "world", world, f"one of {', '.join(one.name for one in ASKS)}, or an ask")
        require(is_int(turns, 1), "turns", turns, "an integer >= 1")
        require(is_int(budget, 1), "budget", budget, "an integer >= 1")
        self.kind, self.ask, self.turns, self.budget = world, ask or ASKS[world], turns, budget
        self.name = f"tools-{world.name}"

    def problem(self, seed: int) -> Problem:
        world = self.kind(seed)
        request = self.ask(world, Draw(self.name, seed))
        system = f"{SYSTEM} {world.policy}".strip()
        messages = ({"role": "system", "content": system}, {"role": "user", "content": request.words})
        goal = self.kind(seed)
        for name, arguments in request.calls:
            goal.call(name, arguments)
        data = {"seed": seed, "goal": goal.state(), "states": request.states, "calls": request.calls, "wrong": request.wrong}
        tools = tuple(tool.declared for tool in world.tools)
        return Problem(self.name, f"{self.name}-{seed}", messages, data, tools, self.budget)

    def world(self, problem: Problem) -> World:
        """The problem's world as it is before the first call."""
        return self.kind(problem.data["seed"])

    def judge(self, problem: Problem, world: World, reply: str) -> Score:
        """Mark the world that is left and the last message; parts: the state, the policy, and what the reply had to say."""
        asked, states = problem.messages[-1]["content"], problem.data["states"]
        parts = {"state": world.state() == problem.data["goal"], "policy": not world.breaches()}
        return marked(parts | ({"said": comes_to(reply, asked, states)} if states else {}))

    def score(self, problem: Problem, text: str) -> Score:
        """Play the calls of a written dialogue, the assistant's messages one after the other, on a world of its own."""
        world, reply = self.world(problem), ""
        messages = text.removesuffix(END).split(END) if readable(text) else []
        made = 0
        for message in messages:
            parsed = parse_text(message)
            for call in parsed.calls[: MOST_CALLS - made]:
                world.call(call.name, call.arguments)
            made += len(parsed.calls)
            reply = "" if parsed.calls or parsed.malformed else parsed.content
        return self.judge(problem, world, reply)

    def gold(self, problem: Problem) -> str:
        return self._written(problem.data["calls"], problem.data["states"])

    def wrong(self, problem: Problem) -> str:
        """Calls that lead elsewhere, and the claim that all is done."""
        states = problem.data["states"]
        return self._written(problem.data["wrong"], states and str(int(states) + 1))

    def _written(self, calls: Any, states: str) -> str:
        """One message for each call, then a reply."""
        made = [
            written("", [(f"functions.{name}:{place}", compact(arguments))]) for place, (name, arguments) in enumerate(calls)
        ]
        return "".join(message + END for message in (*made, f"It is {states}." if states else "Done."))


def answer_calls(world: World, parsed: Parsed, left: int) -> list[dict[str, Any]]:
    """What the tools say to an assistant's message: results, refusals, and why something is no call; `left` may be made."""
    replies = []
    for place, call in enumerate(parsed.calls):
        ok, value = world.call(call.name, call.arguments) if place < left else (False, "too many calls")
        replies.append((call.id, compact(value if ok else {"error": value})))
    replies += [(fault.id, compact({"error": fault.why})) for fault in parsed.malformed[:MOST_CALLS]]
    return [
        {"role": "tool", "tool_call_id": name[:80], "content": text[:_LONGEST_RESULT]} for name, text in replies[:MOST_CALLS]
    ]
