"""Judged or not: MINI learns to use tools from runs that the judge passed, or from as many tokens of runs as they came.

A program plays the agent in every run that is learned from, careful in half of them and with one bad habit in the others
(kimi_mini.agentic.HABITS); one call in ten goes wrong. Two students start from MINI:

  kept         reads the runs that pass the judge and the filters
  unfiltered   reads runs as they were made, the failed ones among them, up to the same number of tokens

Then each is the agent itself, greedy, in episodes that it has not seen, with the same users and the same judge:

  seen     tasks of the kinds that it learned (a file noted or moved, an event added or cancelled,
           the dentist refused), in other worlds
  tools    tasks whose acting tool no run had called (delete a record, move an event)
  world    tasks of the shop, of which no run had told

Dialogues are short, so that MINI can hold them: a short system prompt, the task's own tools, a user who tells all at once. Kept
of each episode: whether the judge passed it, whether the state is right, whether the first call is the plan's first (name and
arguments), whether the agent said what is not so, whether it broke a rule. The point "mini" is MINI untaught. One file a point
in book/data/filtered; a second call skips what is there.

examples:
  python -m runs.filtered --list
  python -m runs.filtered --shard 0/2
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import kimi_mini as km
from kimi_mini.agentic import (
    PERSONAS,
    AgentSpec,
    AgentTask,
    Item,
    Limits,
    ModelPlayer,
    Player,
    ProgrammaticPlayer,
    ProgrammaticUser,
    Trajectory,
    draw_task,
    judge,
    passed,
    play,
)  # fmt: skip
from kimi_mini.agentic.filters import count_tokens, keep
from kimi_mini.agentic.judge import claims_done
from kimi_mini.agentic.records import dialogue_of, record_of
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig
from kimi_mini.tokenizer import Tokenizer
from kimi_mini.train import TrainConfig, sft
from runs.output import made_here
from runs.points import run_points

FOLDER = Path("book/data/filtered")
STUDENTS, SEEDS = ("kept", "unfiltered"), (0, 1, 2)
MADE, TOKENS = 400, 66_000  # runs made for a seed; tokens of dialogues that a student reads, about once
UPDATES, ROWS, LENGTH, LR = 80, 2, 512, 0.003
RATES = {"error": 0.05, "partial": 0.03, "malformed": 0.02}
SYSTEM = "You are Mini, a small assistant. Use the tools when they help."
TAUGHT = ("files-note", "files-rename", "calendar-add", "calendar-cancel", "calendar-cancel-dentist")
HELD_OUT = {"seen": TAUGHT, "tools": ("files-delete", "calendar-move"), "world": ("shop-price", "shop-buy", "shop-cancel")}
EPISODES = {"seen": 25, "tools": 6, "world": 6}
LIMITS, BUDGET = Limits(turns=8), 80
FIRST_HELD_OUT = 100_000  # seeds of worlds from here on are never learned from


class Point(NamedTuple):
    """One student."""

    student: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.student}-seed{self.seed}"


def points() -> list[Point]:
    """Both students of a seed, then the next seed; MINI itself after the first pair."""
    pairs = [Point(student, seed) for seed in SEEDS for student in STUDENTS]
    return [*pairs[:2], Point("mini", 0), *pairs[2:]]


class Open(ProgrammaticUser):
    """Tells every fact in the opening message."""

    def start(self, task: AgentTask, persona: Any, seed: int):
        told = [f"The {fact.name} is {fact.value}." for fact in task.facts if not fact.told]
        return super().start(task._replace(wish=" ".join([task.wish, *told])), persona, seed)


def drawn(kinds: Sequence[str], first: int) -> Iterator[AgentTask]:
    """Tasks of these kinds, one kind after the other, in worlds whose seeds begin at `first`; without end."""
    seeds = dict.fromkeys(kinds, first)
    while True:
        for kind in kinds:
            task = None
            while task is None or task.id.rpartition("-")[0] != kind:
                task = draw_task(kind.partition("-")[0], seeds[kind])
                seeds[kind] += 1
            yield task


def episode(task: AgentTask, player: Player, seed: int, rates: dict[str, float] | None = None) -> tuple[Trajectory, AgentSpec]:
    spec = AgentSpec("Mini", SYSTEM, task.tools)
    return play(task, spec, player, Open(), PERSONAS[0], seed=seed, rates=rates, limits=LIMITS), spec


def made(seed: int, count: int = MADE) -> list[dict[str, Any]]:
    """Records of the runs that one seed's students may learn from."""
    records = []
    player, tasks = ProgrammaticPlayer(), drawn(TAUGHT, 10_000 * seed)
    for number in range(count):
        task = next(tasks)
        run, spec = episode(task, player, number + count * seed, RATES)
        habit = player.habit_of(task, number + count * seed)
        records.append(record_of(task, spec, run, judge(task, run), {"habit": habit}))
    return records


def lessons(student: str, seed: int, tokenizer: Tokenizer, budget: int = TOKENS) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The records that a student reads, up to `budget` tokens, and what is to be known of them."""
    every = made(seed)
    sizes = {id(record): count_tokens(record, tokenizer) for record in every}
    chosen, funnel = keep(every, lambda record: sizes[id(record)], LENGTH)
    if student == "unfiltered":
        chosen = [record for record in every if sizes[id(record)] <= LENGTH]
    read, tokens = [], 0
    for record in chosen:
        if tokens + sizes[id(record)] <= budget:
            read.append(record)
            tokens += sizes[id(record)]
    habits = Counter(record["habit"] for record in read)
    false = sum(any(item["kind"] == "report" and not item["passed"] for item in record["items"]) for record in read)
    about = {"funnel": funnel._asdict(), "dialogues": len(read), "tokens": tokens, "habits": habits, "false_reports": false}
    return read, about


def record(
    point: Point, _: Corpus | None = None, updates: int = UPDATES, episodes: dict[str, int] | None = None
) -> dict[str, Any]:
    """Teach one student and let it act; returns what became of every episode."""
    began = time.perf_counter()
    torch.manual_seed(point.seed)
    model, tokenizer = km.load_mini()
    about: dict[str, Any] = {}
    if point.student in STUDENTS:
        read, about = lessons(point.student, point.seed, tokenizer)
        config = TrainConfig(
            steps=updates, sequence_length=LENGTH, batch_size=ROWS, seed=point.seed, checkpoint_every=updates,
            optim=OptimConfig(lr=LR),
        )  # fmt: skip
        tuned = sft(model, tokenizer, [dialogue_of(one) for one in read], config)
        about |= {"losses": [round(loss, 4) for loss in tuned.losses], "rows": tuned.rows}
    player = ModelPlayer(model, tokenizer, point.name, BUDGET)
    acted = {name: list(_acted(name, count, player, point.seed)) for name, count in (episodes or EPISODES).items()}
    return {
        "made_by": "python -m runs.filtered", **point._asdict(), **about, "episodes": acted, "updates": updates, "lr": LR,
        "length": LENGTH, "tokens_per_update": ROWS * LENGTH, "rates": RATES, "taught": TAUGHT, **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _acted(name: str, count: int, player: Player, seed: int) -> Iterator[dict[str, Any]]:
    """The student's own episodes of one kind; every student of a seed meets the same ones."""
    tasks = drawn(HELD_OUT[name], FIRST_HELD_OUT + 1000 * seed)
    for number in range(count):
        task = next(tasks)
        run, _ = episode(task, player, number)
        yield outcome(task, run, judge(task, run))


def outcome(task: AgentTask, run: Trajectory, items: Sequence[Item]) -> dict[str, Any]:
    """What is kept of an episode."""
    first, planned = run.calls[0] if run.calls else None, task.plan[0].call
    reached = all(item.passed for item in items if item.kind == "state")
    claims = run.end == "finished" and not task.rubric.says and claims_done(run.messages[-1]["content"])
    return {
        "task": task.id, "end": run.end, "passed": passed(items),
        "state": reached,
        "first_call": first is not None and (first.tool, first.arguments) == (planned.tool, planned.arguments),
        "false_report": bool(claims) and not (reached and task.rubric.changes),
        "breach": bool(run.breaches), "calls": len(run.calls), "malformed": run.malformed,
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    torch.set_num_threads(1)
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=300)


if __name__ == "__main__":
    main()
