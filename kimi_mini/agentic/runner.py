"""One run: user, agent and world in turn, until somebody ends it or it goes wrong. Whatever an agent writes, nothing raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from ..chat import compact
from ..tools import Unreliable, make
from .agents import AgentSpec
from .players import Player, Turn
from .task import AgentTask
from .users import Persona, User

End = Literal["finished", "endless", "unreadable", "silent", "turns", "impatient"]


class Limits(NamedTuple):
    """What one run may take: messages of the agent, characters of one of them, messages with calls that cannot be read."""

    turns: int = 20
    characters: int = 4000
    faults: int = 3


class Made(NamedTuple):
    """A call that reached the world: `outcome` is what became of it (tools.OUTCOMES, or "refused"), `message` the place of
    its answer in the dialogue. A call that the world did carries ok, however torn its answer was."""

    tool: str
    arguments: dict[str, Any]
    ok: bool
    outcome: str
    message: int


class Trajectory(NamedTuple):
    """A run as it went. `end` is "finished" where the agent had the last word and the user left content, "impatient" where
    they left for being asked too much; the others are failures of the agent's. `malformed` counts calls that nobody could
    read; `state` is the world's at the end, `breaches` the rules that were broken."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    calls: tuple[Made, ...]
    end: End
    malformed: int
    state: dict[str, Any]
    breaches: tuple[str, ...]


def play(
    task: AgentTask,
    spec: AgentSpec,
    player: Player,
    user: User,
    persona: Persona,
    *,
    seed: int,
    rates: Mapping[str, float] | None = None,
    forced: Mapping[int, str] | None = None,
    limits: Limits | None = None,
) -> Trajectory:
    """Run one episode. `rates` and `forced` are those of `tools.Unreliable`: how often, or at which call, an answer fails.
    The same arguments give the same run where agent and user are programs. Raises EndpointError where a server gives up."""
    world = Unreliable(make(task.world, task.seed), seed, rates, forced)
    episode = _Episode(world, spec, limits or Limits())
    say, answer = player.start(task, seed), user.start(task, persona, seed)
    while episode.end is None:
        words = answer(episode.messages)
        if words is None:
            episode.end = "impatient" if "?" in episode.messages[-1]["content"] else "finished"
            break
        episode.messages.append({"role": "user", "content": words})
        while episode.end is None and episode.take(say(episode.messages, episode.tools)):
            pass
    return Trajectory(
        episode.messages, episode.tools, tuple(episode.calls), episode.end, episode.malformed, world.state(),
        tuple(world.breaches()),
    )  # fmt: skip


class _Episode:
    """The dialogue so far, and what has been counted."""

    def __init__(self, world: Unreliable, spec: AgentSpec, limits: Limits) -> None:
        self.world, self.limits = world, limits
        self.tools = spec.declared(world)
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": spec.system}]
        self.calls: list[Made] = []
        self.end: End | None = None
        self.turns = self.faulty = self.malformed = 0

    def take(self, turn: Turn) -> bool:
        """Put the agent's message into the dialogue and answer its calls; whether it is the agent's turn again."""
        self.turns += 1
        if turn.cut or len(turn.raw) > self.limits.characters:
            self.messages.append({"role": "assistant", "content": turn.raw[: self.limits.characters]})
            self.end = "endless"
            return False
        parsed = turn.parsed
        if not (parsed.content or parsed.calls or parsed.malformed):
            self.end = "silent"
            return False
        made = [{"id": call.id, "arguments": call.arguments} for call in parsed.calls]
        content = turn.raw if parsed.malformed else parsed.content  # what cannot be read stays as it was written
        self.messages.append({"role": "assistant", "content": content, **({"tool_calls": made} if made else {})})
        for call in parsed.calls:
            self.answer(call)
        for fault in parsed.malformed:
            told = f"the call could not be read: {fault.why}"
            self.messages.append({"role": "tool", "tool_call_id": fault.id, "content": compact({"error": told})})
        self.malformed += len(parsed.malformed)
        self.faulty += bool(parsed.malformed)
        if self.faulty > self.limits.faults:
            self.end = "unreadable"
        elif self.turns >= self.limits.turns:
            self.end = "turns"
        return self.end is None and bool(parsed.calls or parsed.malformed)

    def answer(self, call: Any) -> None:
        """A call of a tool that was not declared is refused like one that does not exist."""
        if call.name in [tool["name"] for tool in self.tools]:
            result = self.world.call(call.name, call.arguments)
            outcome = self.world.outcomes[-1]
        else:
            result, outcome = self.world.world.call("", {}), "refused"
        if not result.ok and outcome != "error":
            outcome = "refused"
        value = result.value if result.ok else {"error": result.value}
        content = value if outcome == "malformed" and isinstance(value, str) else compact(value)
        self.calls.append(Made(call.name, call.arguments, result.ok, outcome, len(self.messages)))
        self.messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


def valid(run: Trajectory) -> bool:
    """Whether a run is well formed: every call could be read, and it came to an end by itself."""
    return run.malformed == 0 and run.end in ("finished", "impatient")
