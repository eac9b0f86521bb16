"""The runaway heads: a small MLA model trained at every tau x learning rate x optimizer x seed, each head's largest logit kept.

The learning rate is high on purpose and does not fall, and there is no weight decay, so that in minutes something happens
that took Moonshot's runs thousands of updates. Twelve points more train unclipped Muon with K2's decay of 0.1, which holds the
heads. One file a point in book/data/muonclip; a second call skips the points that are there.

examples:
  python -m runs.muonclip --list             the points, and which of them are done
  python -m runs.muonclip                    what is missing, one after the other (about 30 s each on one core)
  python -m runs.muonclip --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import kimi_mini as km
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import Muon, OptimConfig, build_optimizer, wsd_factor
from kimi_mini.train import StepConfig
from kimi_mini.viz.series import pack
from runs.output import made_here
from runs.points import run_points
from runs.training import small_config, stream, updates

FOLDER = Path("book/data/muonclip")
STEPS, EVERY, WARMUP = 300, 2, 20
LENGTH, SIZE = 128, 8  # tokens of a sequence, sequences of an update
LEARNING_RATES, TAUS, SEEDS = (0.003, 0.01, 0.03, 0.1), (math.inf, 100.0, 30.0), (0, 1, 2)
K2_DECAY = 0.1


@dataclass(frozen=True)
class Point:
    """One run: `tau` = inf never clips; AdamW takes every weight, Muon the matrices as in the rest of the package."""

    optimizer: str
    lr: float
    tau: float
    seed: int
    decay: float = 0.0

    @property
    def name(self) -> str:
        decayed = f"-decay{self.decay:g}" if self.decay else ""
        return f"{self.optimizer}-lr{self.lr:g}-tau{self.tau:g}-seed{self.seed}{decayed}"


def points() -> list[Point]:
    """All points, those of the first seed first: a run that is cut off leaves whole pictures."""
    order = itertools.product(SEEDS, ("muon", "adamw"), LEARNING_RATES, TAUS)
    decayed = [Point("muon", lr, math.inf, seed, K2_DECAY) for seed, lr in itertools.product(SEEDS, LEARNING_RATES)]
    return [Point(optimizer, lr, tau, seed) for seed, optimizer, lr, tau in order] + decayed


def record(point: Point, text: Corpus, steps: int = STEPS) -> dict[str, Any]:
    """Train one point; returns its series, every second update, and what fixes it.

    The run ends early where loss or gradient is no longer finite; `broke_at` then is that update (1-based), else None.
    """
    torch.manual_seed(point.seed)
    config, step_config, began = small_config(text), StepConfig(tau=point.tau), time.perf_counter()
    model = km.KimiMini(config, torch.float32)
    optimizer = _optimizer(model, point)
    batches = stream(text, STEPS, length=LENGTH, size=SIZE, seed=point.seed)
    loss, maxima, log_gamma, broke_at = [], [], [], None
    scaled_LH = torch.zeros(config.num_hidden_layers, config.num_attention_heads)
    rates = [point.lr * wsd_factor(step, warmup=WARMUP, total=STEPS, decay=0) for step in range(steps)]
    step = 0
    try:
        for step, report in enumerate(updates(model, optimizer, batches, rates, step_config, point.name), 1):
            scaled_LH += report.gamma_LH.log()
            if step % EVERY == 0:
                loss.append(report.loss)
                maxima.append(report.stats.max_logits_LH.numpy().copy())
                log_gamma.append(scaled_LH.numpy().copy())
    except (FloatingPointError, ValueError) as broken:  # ValueError: qk_clip_ refuses a maximum that is infinite
        broke_at = step + 1
        tqdm.write(f"{point.name}, update {broke_at}: {broken}")
    return {
        "made_by": "python -m runs.muonclip",
        "point": {"optimizer": point.optimizer, "lr": point.lr, "tau": _tau(point.tau), "seed": point.seed},
        "steps": steps, "every": EVERY, "warmup": WARMUP, "tokens_per_update": LENGTH * SIZE, "weight_decay": point.decay,
        "broke_at": broke_at,
        "shape": [len(loss), config.num_hidden_layers, config.num_attention_heads],
        "loss": pack(loss), "max_logits_asinh": pack(np.arcsinh(maxima)), "log_gamma": pack(log_gamma),
        "step_config": {**asdict(step_config), "tau": _tau(point.tau)},
        "model": config.to_hf(), "text": text.provenance["files"]["tokenizer.json"],
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _tau(tau: float) -> float | str:
    return "inf" if tau == math.inf else tau


def _optimizer(model: km.KimiMini, point: Point) -> torch.optim.Optimizer:
    settings = OptimConfig(lr=point.lr, weight_decay=point.decay)
    if point.optimizer == "muon":
        return build_optimizer(model, settings)
    everything = {"params": list(model.parameters()), "algorithm": "adamw"}
    return Muon([everything], lr=point.lr, weight_decay=point.decay)


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=30)


if __name__ == "__main__":
    main()
