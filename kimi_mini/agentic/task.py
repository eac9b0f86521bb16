"""What an agent is asked to do, what the user knows, one good way to do it, and the rubric that a run is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..tools import World, make


class Fact(NamedTuple):
    """Something that the user knows; `told` says whether the opening message has it, else an agent must ask for `name`."""

    name: str
    value: str
    told: bool = False


class Look(NamedTuple):
    """A call that changes nothing."""

    tool: str
    arguments: dict[str, Any]


class Act(NamedTuple):
    """A call that changes something, and the look that shows afterwards whether it did."""

    tool: str
    arguments: dict[str, Any]
    check: Look


class Step(NamedTuple):
    """A call of the plan with what it answers when all goes well; for an act, also what its check then shows."""

    call: Look | Act
    answer: Any
    shown: Any = None


class Rubric(NamedTuple):
    """What a run is judged by. No order of calls is demanded beyond `before`, and looking at more is no fault.

    changes       {path: value}: how the final state differs from the first one; None where something is gone. No other may
    checkpoints   looks that must have succeeded
    before        (look, act): tools of which the first must have succeeded before the second is tried
    says          texts of which the last message must hold each
    """

    changes: dict[str, Any]
    checkpoints: tuple[Look, ...]
    before: tuple[tuple[str, str], ...]
    says: tuple[str, ...]


class AgentTask(NamedTuple):
    """A task in the world `world` with seed `seed`. Levels: 1 one act or none, 2 a check decides, 3 several acts or a refusal
    that only a check can tell. `wish` opens the dialogue. `plan` is what a careful agent does, `breach` the calls of one that
    minds no policy (empty where there is nothing to break). `report` is what a careful agent says at the end."""

    id: str
    world: str
    seed: int
    level: int
    wish: str
    facts: tuple[Fact, ...]
    plan: tuple[Step, ...]
    breach: tuple[Look | Act, ...]
    report: str
    rubric: Rubric

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools that plan, checks and breach use, in the order of the world's list."""
        calls = [step.call for step in self.plan] + list(self.breach)
        used = {call.tool for call in calls} | {call.check.tool for call in calls if isinstance(call, Act)}
        return tuple(tool.name for tool in make(self.world, self.seed).tools if tool.name in used)


def planned(
    world: World,
    kind: str,
    level: int,
    wish: str,
    facts: Sequence[Fact],
    calls: Sequence[Look | Act],
    report: str,
    *,
    breach: Sequence[Look | Act] = (),
    says: Sequence[str] = (),
) -> AgentTask:
    """The task whose rubric is what `calls` do when they are played on `world`, a fresh one. Every look is a checkpoint, and
    must come before the next act. Raises ValueError where a call fails or the plan breaks a policy."""
    start, steps = world.state(), []
    for call in calls:
        answer = _played(world, call)
        steps.append(Step(call, answer, _played(world, call.check) if isinstance(call, Act) else None))
    if world.breaches():
        raise ValueError(f"the plan of {kind} breaks a policy of {world.name}: {'; '.join(world.breaches())}")
    looks = tuple(call for call in calls if isinstance(call, Look))
    rubric = Rubric(difference(start, world.state()), looks, _before(calls), tuple(says))
    return AgentTask(
        f"{world.name}-{kind}-{world.seed}", world.name, world.seed, level, wish, tuple(facts), tuple(steps), tuple(breach),
        report, rubric,
    )  # fmt: skip


def _played(world: World, call: Look | Act) -> Any:
    result = world.call(call.tool, call.arguments)
    if not result.ok:
        raise ValueError(f"{world.name}: the plan's {call.tool} {call.arguments} fails: {result.value}")
    return result.value


def _before(calls: Sequence[Look | Act]) -> tuple[tuple[str, str], ...]:
    """Each look with the act that it prepares, the next one."""
    pairs, looks = [], []
    for call in calls:
        if isinstance(call, Look):
            looks.append(call.tool)
        else:
            pairs += [(look, call.tool) for look in looks]
            looks = []
    return tuple(pairs)


def difference(start: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    """{path: value at the end} of all that differs; None for what is gone. Rows of a table are named by their first column."""
    before, after = _flat(start), _flat(end)
    return {path: after.get(path) for path in sorted(before | after) if before.get(path) != after.get(path)}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{path}/{key}" if path else str(key))
        return found
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        seen: dict[str, int] = {}
        rows = {}
        for row in value:
            name = str(next(iter(row.values()), ""))
            seen[name] = seen.get(name, 0) + 1
            rows[name if seen[name] == 1 else f"{name}#{seen[name]}"] = row
        return _flat(rows, path)
    return {path: value}
