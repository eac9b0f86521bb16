"""What-if trees: episodes in which the outcome of each tool call was flipped, and the run really went on from there.

A program plays the agent, with one habit a tree (kimi_mini.agentic.HABITS); so every run is the same again. For each run with
fewer than FLIPS flips, each of its calls after the last flip is flipped to each outcome of tools.OUTCOMES in turn and the
episode is played anew from the start. One file a tree in book/data/trajectories, SERVER-HABIT.json:

  server, habit, persona, system, tools (names), level, wish, plan (tools in order), limit (flips at most)
  rubric     {changes, checkpoints, before, says} of the task, as in kimi_mini.agentic.Rubric
  frames     every different picture of the strip, once:
             {"who": "user" | "agent" | "tool", "text": ..., "call": {"tool", "arguments"} for an agent's frame with a call,
              "outcome": "success" | "partial" | "error" | "malformed" | "refused" for a tool's frame}
  items      every different item of a verdict, once: {"kind", "item", "passed", "why"}
  states     every different end of the database, once: {path: value} of what differs from the start, None for what is gone
  runs       {flips: {"frames": [places in frames], "calls": [place in the strip of each call's answer],
              "items": [places in items], "passed": bool, "state": place in states, "end": ...}}

`flips` is "" for the run in which all went well, else such as "2:error" or "0:partial,2:error", ordered by number of the call
(from 0, as in "calls"). Flipping call k of run R to outcome O leads to the run named by R's flips before k, and k:O ("success"
only drops what stood there).

funnel.json tells of a larger batch, made by kimi_mini.agentic.collect as `python -m kimi_mini trajectories` makes it:
{"funnel": {made, valid, passed, long, twice, kept}, "habits": {habit: {made, valid, passed, false}}}, false counting the runs
whose last message says what the database does not, and "items": {kind of item: runs that it failed}.

examples:
  python -m runs.trajectories            what is missing
  python -m runs.trajectories --list
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_mini.agentic import (
    PERSONAS,
    AgentTask,
    ProgrammaticPlayer,
    ProgrammaticUser,
    Settings,
    Trajectory,
    collect,
    difference,
    draw_agent,
    draw_task,
    judge,
    passed,
    play,
)  # fmt: skip
from kimi_mini.corpus.files import Corpus
from kimi_mini.tools import OUTCOMES, make
from runs.output import made_here
from runs.points import run_points

FOLDER = Path("book/data/trajectories")
FLIPS, BATCH = 3, 400
# For each server the task's seed: one with an act that only a check allows.
EPISODES = {"shop": 28, "airline": 1, "files": 10, "calendar": 1}
TREES = ("careful", "believes failures", "repeats acts")


@dataclass(frozen=True)
class Point:
    """One tree."""

    server: str
    habit: str

    @property
    def name(self) -> str:
        return f"{self.server}-{self.habit.replace(' ', '-')}"


@dataclass(frozen=True)
class Batch:
    """The funnel: a batch of runs without a tree."""

    count: int
    name: str = "funnel"


def points() -> list[Point | Batch]:
    return [Batch(BATCH), *(Point(server, habit) for habit in TREES for server in EPISODES)]


def record(point: Point | Batch, _: Corpus | None = None) -> dict[str, Any]:
    """What a point's file holds."""
    return funnel(point.count) if isinstance(point, Batch) else tree(point)


def funnel(count: int) -> dict[str, Any]:
    """Make, judge and filter `count` runs."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        summary = collect(ProgrammaticPlayer(), ProgrammaticUser(), log, Path(folder) / "out.jsonl", Settings(count, at_once=1))
        made = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    failed = {one["job"]: {item["kind"] for item in one["items"] if not item["passed"]} for one in made}
    habits: dict[str, Counter[str]] = {}
    for one in made:
        habit = habits.setdefault(one["played_by"].removeprefix("programmatic (").removesuffix(")"), Counter())
        counts = {"made": 1, "valid": one["valid"], "passed": one["passed"], "false": "report" in failed[one["job"]]}
        habit.update({name: int(value) for name, value in counts.items()})
    return {
        "made_by": "python -m runs.trajectories", "funnel": summary.funnel._asdict(), "habits": habits,
        "items": Counter(kind for kinds in failed.values() for kind in kinds),
        **made_here(), "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def tree(point: Point, limit: int = FLIPS) -> dict[str, Any]:
    """Play one tree."""
    began = time.perf_counter()
    seed = EPISODES[point.server]
    task, persona = draw_task(point.server, seed), PERSONAS[0]
    spec = draw_agent(task, seed)
    strip, runs = _Shared(), {}
    start = make(task.world, task.seed).state()
    for flips, run in _tree(task, point.habit, limit):
        items = judge(task, run)
        runs[_name(flips)] = {
            "frames": [strip.place("frames", frame) for frame in _frames(run)],
            "calls": [call.message - 1 for call in run.calls],
            "items": [strip.place("items", item._asdict()) for item in items],
            "passed": passed(items),
            "state": strip.place("states", difference(start, run.state)),
            "end": run.end,
        }
    rubric = {**task.rubric._asdict(), "checkpoints": [look._asdict() for look in task.rubric.checkpoints]}
    return {
        "made_by": "python -m runs.trajectories", **dataclasses.asdict(point), "persona": persona.name, "system": spec.system,
        "tools": spec.tools, "task": task.id, "level": task.level, "wish": task.wish,
        "plan": [step.call.tool for step in task.plan], "limit": limit, "rubric": rubric, **strip.lists, "runs": runs,
        **made_here(), "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _tree(task: AgentTask, habit: str, limit: int) -> Iterator[tuple[dict[int, str], Trajectory]]:
    """Every run with at most `limit` flips, the plain one first."""
    todo: list[dict[int, str]] = [{}]
    while todo:
        flips = todo.pop(0)
        spec = draw_agent(task, task.seed)
        run = play(task, spec, ProgrammaticPlayer(habit), ProgrammaticUser(), PERSONAS[0], seed=task.seed, forced=flips)
        yield flips, run
        if len(flips) < limit:
            later = range(max(flips, default=-1) + 1, len(run.calls))
            todo += [{**flips, number: outcome} for number in later for outcome in OUTCOMES[1:]]


def _name(flips: dict[int, str]) -> str:
    return ",".join(f"{number}:{outcome}" for number, outcome in sorted(flips.items()))


def _frames(run: Trajectory) -> Iterator[dict[str, Any]]:
    """The dialogue after the system prompt, a frame for each message."""
    outcomes = {call.message: call.outcome for call in run.calls}
    for place, message in enumerate(run.messages[1:], start=1):
        frame = {"who": {"assistant": "agent"}.get(message["role"], message["role"]), "text": message["content"]}
        for call in message.get("tool_calls", ()):
            frame["call"] = {"tool": call["id"].split(".")[1].split(":")[0], "arguments": call["arguments"]}
        if place in outcomes:
            frame["outcome"] = outcomes[place]
        yield frame


class _Shared:
    """Lists in which each different value stands once."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {"frames": [], "items": [], "states": []}
        self._places: dict[tuple[str, str], int] = {}

    def place(self, name: str, value: Any) -> int:
        key = name, json.dumps(value, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.lists[name])
            self.lists[name].append(value)
        return self._places[key]


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=10)


if __name__ == "__main__":
    main()
