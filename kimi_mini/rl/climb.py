"""The climb: MINI after a light SFT on gold answers learns from a verifier alone, beside a control that goes on with SFT.

Everybody sees the same problems: SFT their gold answers, RL only the marks of its own answers. Held-out problems are others.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import torch

from ..checks import require
from ..corpus import load_tokenizer
from ..hub import from_pretrained, load_mini, save_pretrained
from ..model import KimiMini
from ..optim import OptimConfig
from ..tokenizer import Tokenizer
from ..train import Dialogue, TrainConfig, sft
from ..whole import write_whole
from .config import RLConfig
from .curriculum import held_out_problems, training_problems
from .tasks.rising import Rising
from .types import Problem, Task

CLIMB = RLConfig(
    steps=32, problems=16, group=8, updates=1, micro_batch=128, tau=0.1, pool=1280, held_out=256, evaluate_every=8,
    optim=OptimConfig(lr=1e-3, weight_decay=0.0),
)  # fmt: skip
LIGHT = TrainConfig(steps=40, sequence_length=256, batch_size=4, final_lr=0.1, optim=OptimConfig(lr=6e-3, weight_decay=0.0))


def climb_task() -> Task:
    return Rising()


def gold_dialogues(task: Task, problems: Sequence[Problem]) -> list[Dialogue]:
    """Every problem with its gold answer."""
    return [
        Dialogue((*problem.messages, {"role": "assistant", "content": task.gold(problem)}), problem.tools)
        for problem in problems
    ]


class Start(NamedTuple):
    """A policy to begin with, and what the light SFT cost: updates, seconds by the clock and of the processor."""

    model: KimiMini
    tokenizer: Tokenizer
    updates: int
    seconds: float
    processor: float


def light_sft(task: Task, config: RLConfig) -> Start:
    """MINI after a light SFT on the gold answers of the problems that RL will draw from, in an order by the seed."""
    model, tokenizer = load_mini()
    clock, processor = perf_counter(), process_time()
    sft(model, tokenizer, _gold_of_pool(task, config), dataclasses.replace(LIGHT, seed=config.seed), progress=False)
    return Start(model, tokenizer, LIGHT.steps, perf_counter() - clock, process_time() - processor)


def start_in(folder: Path, task: Task, config: RLConfig) -> Start:
    """The light SFT, kept as `folder`/start: the second call reads it. It is there whole or not at all."""
    home, told = folder / "start", folder / "start.json"
    if not (told.exists() and home.exists()):
        made = light_sft(task, config)
        save_pretrained(made.model, home)
        cost = {"updates": made.updates, "seconds": made.seconds, "processor": made.processor}
        write_whole(told, json.dumps({"task": task.name, "seed": config.seed, "cost": cost}).encode())
    about = json.loads(told.read_text(encoding="utf-8"))
    fits = (about["task"], about["seed"]) == (task.name, config.seed)
    require(fits, f"task and seed of {home}", (about["task"], about["seed"]), f"{(task.name, config.seed)}, or another folder")
    return Start(from_pretrained(home, dtype=torch.float32), load_tokenizer(), **about["cost"])


def more_sft(start: Start, task: Task, config: RLConfig, times: float) -> int:
    """Go on with SFT on the same gold answers, `times` as long as the light one was; returns the updates."""
    updates = max(1, round(start.updates * times))
    chosen = dataclasses.replace(LIGHT, steps=updates, seed=config.seed + 1)
    sft(start.model, start.tokenizer, _gold_of_pool(task, config), chosen, progress=False)
    return updates


def _gold_of_pool(task: Task, config: RLConfig) -> list[Dialogue]:
    held_out = held_out_problems(task, config.held_out)
    return gold_dialogues(task, training_problems(task, held_out, config.pool, config.seed))
