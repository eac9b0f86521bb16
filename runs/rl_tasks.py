"""Reinforcement learning on one more task: MINI as it ships learns to say what its calculator told it.

MINI's own text has dialogues with a calculator, so it calls the tool from the start; what it often gets wrong is copying the
question into the call, or the result into the reply. Two messages of its own, the tool's between them; only its own tokens
learn. One point a seed, in book/data/rl_tasks; a second call skips the points that are there.

examples:
  python -m runs.rl_tasks --list
  python -m runs.rl_tasks
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import kimi_mini as km
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig
from kimi_mini.rl import RLConfig, reinforce
from kimi_mini.rl.tasks.dialogues import ToolTask
from kimi_mini.tools.desk import Calculator
from runs.output import made_here
from runs.points import run_points

FOLDER = Path("book/data/rl_tasks")
SEEDS = (0, 1)
CONFIG = RLConfig(
    steps=20, problems=8, group=8, updates=2, micro_batch=32, tau=0.1, penalty=0.5, pool=256, held_out=96, warmup=2,
    evaluate_every=10, checkpoint_every=5, optim=OptimConfig(lr=3e-4, weight_decay=0.0),
)  # fmt: skip
_KEPT = (
    "step",
    "reward",
    "solved",
    "half_solved",
    "length",
    "truncated",
    "divergence",
    "held_out",
    "held_out_at_start",
    "parts",
)


@dataclass(frozen=True)
class Point:
    """One run of one seed."""

    seed: int

    @property
    def name(self) -> str:
        return f"calculator-seed{self.seed}"


def points() -> list[Point]:
    return [Point(seed) for seed in SEEDS]


def record(point: Point, text: Corpus, config: RLConfig = CONFIG) -> dict[str, Any]:
    """Learn for `config.steps` iterations; returns its curves and what fixes them."""
    began = time.perf_counter()
    torch.manual_seed(point.seed)
    model, tokenizer = km.load_mini()
    config, task = replace(config, seed=point.seed), ToolTask(Calculator, turns=3, budget=96)
    with tempfile.TemporaryDirectory() as folder:
        reinforce(model, tokenizer, task, config, folder)
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "made_by": "python -m runs.rl_tasks", "task": task.name, "turns": task.turns, "budget": task.budget,
        "curve": [{name: line[name] for name in _KEPT if name in line} for line in lines],
        "config": config.to_dict(), **made_here(), "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=150)


if __name__ == "__main__":
    main()
