"""How far one group of answers takes the policy, for five values of tau: six updates on the same answers.

From the light SFT of `kimi_mini.rl.climb`: one step on 16 problems, eight answers each, with `passes` = 6. From the second
update on the old policy and the new one differ, and tau times their log-ratio pulls. A row (a seed) holds "pulls", for each
tau: divergence (an estimate of KL(old || new) of an answer, in nats), and the mean log-ratio of right and of wrong answers.

examples:
  python -m runs.pull                 what is missing (about two minutes a seed on a quiet core)
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch

from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import build_optimizer
from kimi_mini.rl.climb import CLIMB, climb_task, light_sft
from kimi_mini.rl.curriculum import held_out_problems, training_problems
from kimi_mini.rl.step import rl_step
from runs.output import made_here
from runs.points import run_points

FOLDER = Path("book/data/pull")
SEEDS, TAUS, PASSES = (0, 1, 2), (0.03, 0.1, 0.3, 1.0, 3.0), 6


class Point(NamedTuple):
    """All values of tau, from one start and on the same answers."""

    seed: int

    @property
    def name(self) -> str:
        return f"seed{self.seed}"


def record(point: Point, text: Corpus) -> dict[str, Any]:
    """One row."""
    torch.manual_seed(point.seed)
    began, task = perf_counter(), climb_task()
    config = dataclasses.replace(CLIMB, seed=point.seed, passes=PASSES)
    start = light_sft(task, config)
    pool = training_problems(task, held_out_problems(task, config.held_out), config.pool, config.seed)
    pulls = []
    for tau in TAUS:
        policy = copy.deepcopy(start.model)
        chosen = dataclasses.replace(config, tau=tau)
        optimizer = build_optimizer(policy, chosen.optim)
        report = rl_step(policy, optimizer, start.tokenizer, task, pool[: chosen.problems], chosen, 5)  # past the warm-up
        right_PG = report.rewards_PG > 0.5
        means = [report.log_ratios_PG[chosen_PG].mean().item() for chosen_PG in (right_PG, ~right_PG)]
        pulls.append({"tau": tau, "divergence": report.divergence, "right": means[0], "wrong": means[1]})
    row = {"made_by": "python -m runs.pull", "seed": point.seed, "pulls": pulls, "config": config.to_dict()}
    return row | made_here() | {"busy": True, "seconds": round(perf_counter() - began, 1)}


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    torch.set_num_threads(1)
    run_points(argv, doc=__doc__, points=map(Point, SEEDS), record=record, folder=FOLDER, seconds=120)


if __name__ == "__main__":
    main()
