"""Two bets in miniature: more experts at the same active ones, and more heads, each at four budgets of training tokens.

Every point is one trunk at a constant learning rate, and from it a short decay at each budget, as in the WSD paper: one trunk
serves all budgets. Active experts stay at two and a shared one, so FLOPs per token hardly change with the number of experts
(the router's rows aside, which are counted). MuonClip, the book's text, three seeds; the routers' biases are moved so that
the experts are used. One file a point in book/data/bets; a second call skips the points that are there.

examples:
  python -m runs.bets --list             the points, which of them are done, and what the others cost
  python -m runs.bets                    what is missing, one after the other (about two minutes each on one core)
  python -m runs.bets --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import kimi_mini as km
from kimi_mini.accounting import count_parameters, decode_flops, training_flops
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig, build_optimizer, max_violation
from kimi_mini.train import StepConfig, TokenStream
from runs.ablation import windows
from runs.output import made_here
from runs.points import run_points
from runs.reading import window_loss
from runs.training import small_config, stream, updates

FOLDER = Path("book/data/bets")
LENGTH, SIZE = 128, 8  # tokens of a sequence, sequences of an update
BUDGETS = (80, 160, 320, 640)  # updates of the trunk at which it is branched
DECAY = 4  # a decay is a quarter as long as the trunk before it
LR, WARMUP, FINAL = 0.01, 20, 0.1
BIAS_RATE = 0.01  # hundreds of updates, not K2's hundred thousands: the biases must get somewhere
EXPERTS, HEADS, SEEDS = (4, 8, 16, 32, 64), (4, 16), (0, 1, 2)
USUAL_EXPERTS, USUAL_HEADS = 16, 8
WINDOWS = 16  # held-out windows of every domain


@dataclass(frozen=True)
class Point:
    """One trunk with its decays."""

    experts: int
    heads: int
    seed: int

    @property
    def name(self) -> str:
        return f"experts{self.experts}-heads{self.heads}-seed{self.seed}"


def points() -> list[Point]:
    """Seed by seed: the number of experts at the usual heads, then the number of heads at the usual experts."""
    shapes = [(experts, USUAL_HEADS) for experts in EXPERTS] + [(USUAL_EXPERTS, heads) for heads in HEADS]
    return [Point(experts, heads, seed) for seed in SEEDS for experts, heads in shapes]


def model_config(text: Corpus, point: Point) -> km.ModelConfig:
    """The runs' small model with that many experts and heads."""
    return small_config(text, n_routed_experts=point.experts, num_attention_heads=point.heads)


def record(point: Point, text: Corpus, budgets: tuple[int, ...] = BUDGETS) -> dict[str, Any]:
    """Train one trunk and land it at every budget; returns the losses with their tokens and FLOPs, and what fixes them."""
    began = time.perf_counter()
    torch.manual_seed(point.seed)
    config = model_config(text, point)
    model = km.KimiMini(config, torch.float32)
    optimizer = build_optimizer(model, OptimConfig(lr=LR))
    longest = BUDGETS[-1] + BUDGETS[-1] // DECAY
    batches = stream(text, longest, length=LENGTH, size=SIZE, seed=point.seed)
    held_WT, step = windows(text, WINDOWS, LENGTH), StepConfig(bias_rate=BIAS_RATE)
    done, landed, trunk_loss = 0, [], []
    for budget in budgets:
        rates = [LR * min(1.0, (update + 1) / WARMUP) for update in range(done, budget)]
        trunk_loss += [report.loss for report in updates(model, optimizer, batches, rates, step, point.name)]
        landed.append(_land(model, optimizer, batches, budget, held_WT, step, point.name))
        done = budget
    flops = training_flops(config, LENGTH)
    for row in landed:
        row["tokens"] = row["updates"] * LENGTH * SIZE
        row["flops"] = row["tokens"] * flops.total
    parameters = count_parameters(config)
    return {
        "made_by": "python -m runs.bets", "experts": point.experts, "heads": point.heads, "seed": point.seed,
        "landed": landed, "trunk_loss": [round(loss, 4) for loss in trunk_loss],
        "parameters": parameters.total, "activated": parameters.activated,
        "flops_per_token": {"weights": flops.weights, "attention": flops.attention},
        "decode_flops_at_512": decode_flops(config, 512).total,
        "length": LENGTH, "tokens_per_update": LENGTH * SIZE, "lr": LR, "warmup": WARMUP, "final": FINAL,
        "bias_rate": BIAS_RATE, "windows": len(held_WT), "model": config.to_hf(),
        "text": text.provenance["files"]["tokenizer.json"], **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _land(model, optimizer, batches: TokenStream, budget: int, held_WT: Tensor, step: StepConfig, what: str) -> dict[str, Any]:
    """A decay from here on copies of model, optimizer state and cursor; the trunk goes on as if nothing had been."""
    branch, branched = copy.deepcopy((model, optimizer))  # together: the copy of the optimizer moves the copy of the model
    cursor = batches.state()
    length = budget // DECAY
    rates = [LR * (1 - (1 - FINAL) * (update + 1) / length) for update in range(length)]
    reports = list(updates(branch, branched, batches, rates, step, f"{what}, landing at {budget}"))
    batches.load_state(cursor)
    load_LE = reports[-1].stats.expert_load_LE
    for report in reports[-11:-1]:
        load_LE = load_LE + report.stats.expert_load_LE
    moe_LE = load_LE[load_LE.sum(1) > 0]
    return {
        "branched_at": budget, "updates": budget + length,
        "held_out": round(window_loss(branch, held_WT), 5),
        "before": round(window_loss(model, held_WT), 5),
        "train": round(float(np.mean([report.loss for report in reports[-10:]])), 5),
        "busiest": [round(1 + violation, 3) for violation in max_violation(moe_LE).tolist()],
        "max_logit": round(float(reports[-1].stats.max_logits_LH.max()), 2),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=120)


if __name__ == "__main__":
    main()
