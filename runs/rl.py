"""One thing changed at a time in RL: tau, the objective, the budget, PTX, the temperature.

Every point starts from MINI after the light SFT of the climb (runs.climb) and learns `rising` for a short while, 64 answers
an iteration, gone through twice so that tau has something to pull at: in the first pass the policy is still the old one.

  tau0.02, tau0.1, tau0.5   the pull to the old policy; tau0.1 is the base of all others
  grpo                      GRPO's clipped surrogate in place of the squared residual
  ptx                       every update also reads rows of THE text
  hot, cooled               temperature 1.5 throughout, or from 1.5 down to 0.7
  long, capped              answers earn the share of the numbers that stand in them, so that longer ones earn more; without a
                            cap, and with one of twelve tokens (four numbers and the end) whose breach costs half a point

A row has `log` (lists with one number an iteration, as in runs.climb), `held` and `drift` at the start and the end, and
`text_loss`, nats a token on held-out text before and after. One file a point in book/data/rl; a second call skips it.

examples:
  python -m runs.rl --list             the points, and which of them are done
  python -m runs.rl                    what is missing, one after the other
  python -m runs.rl --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import copy
import dataclasses
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch

from kimi_mini.corpus.files import Corpus
from kimi_mini.rl import RLConfig
from kimi_mini.rl.climb import CLIMB, Start, climb_task, light_sft
from kimi_mini.rl.loop import Learning
from kimi_mini.rl.tasks.rising import Rising
from runs.climb import COLUMNS
from runs.output import made_here
from runs.points import run_points
from runs.reading import shuffled_windows, window_loss
from runs.training import stream

FOLDER = Path("book/data/rl")
SEEDS, WINDOWS, LENGTH, ROWS = (0, 1, 2), 32, 128, 4  # windows of held-out text, their tokens, rows that PTX reads
BASE = dataclasses.replace(CLIMB, steps=16, problems=8, passes=2, evaluate_every=16)
CHANGES: dict[str, dict[str, Any]] = {
    "tau0.1": {},
    "tau0.5": {"tau": 0.5},
    "tau0.02": {"tau": 0.02},
    "long": {"penalty": None},
    "capped": {"budget": 12},
    "ptx": {"ptx_weight": 0.1, "ptx_rows": ROWS},
    "hot": {"temperature": 1.5, "final_temperature": 1.5},
    "cooled": {"temperature": 1.5, "final_temperature": 0.7},
    "grpo": {"loss": "grpo"},
}
PAID_BY_LENGTH = ("long", "capped")


class Point(NamedTuple):
    """One change at one seed."""

    change: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.change}-seed{self.seed}"

    @property
    def config(self) -> RLConfig:
        return dataclasses.replace(BASE, seed=self.seed, **CHANGES[self.change])


def points() -> list[Point]:
    """Seed by seed."""
    return [Point(change, seed) for seed in SEEDS for change in CHANGES]


def record(point: Point, text: Corpus, steps: int = BASE.steps) -> dict[str, Any]:
    """One row."""
    torch.set_num_threads(1)
    began, config = perf_counter(), dataclasses.replace(point.config, steps=steps)
    held_WT = shuffled_windows(text, "rl", WINDOWS, LENGTH)
    read_NS = next(stream(text, 1, length=LENGTH, size=64, seed=point.seed)).tokens_BT
    start = _start(point.seed)
    task = Rising(paid_by_length=True) if point.change in PAID_BY_LENGTH else climb_task()
    learning = Learning.start(copy.deepcopy(start.model), start.tokenizer, task, config, FOLDER, read_NS)
    text_loss = [window_loss(learning.model, held_WT)]
    lines = [learning.advance() for _ in range(config.steps)]
    text_loss.append(window_loss(learning.model, held_WT))
    held = {0: lines[0]["held_out_at_start"], config.steps: lines[-1]["held_out"]}
    return {
        "made_by": "python -m runs.rl", **point._asdict(), "problems": len(learning.held_out),
        "held": [[step, found["right"]] for step, found in held.items()],
        "drift": [[step, round(found["drift"], 4)] for step, found in held.items()],
        "text_loss": [round(loss, 5) for loss in text_loss],
        "log": {name: [round(line[name], 5) for line in lines] for name in COLUMNS},
        "config": config.to_dict(), **made_here(), "seconds": round(perf_counter() - began, 1),
    }  # fmt: skip


@lru_cache(maxsize=1)
def _start(seed: int) -> Start:
    """Made once for all points of a seed; the pool decides what SFT reads, and it is the same in all of them."""
    torch.manual_seed(seed)
    return light_sft(climb_task(), dataclasses.replace(BASE, seed=seed))


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=40)


if __name__ == "__main__":
    main()
