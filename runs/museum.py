"""The bug museum: the same small model trained with the right clip and with eleven wrong versions of MuonClip.

All frames share seed, batches, learning rate and tau with a point of `runs.muonclip` (Muon, rate 0.1, tau 30, seed 0); only
a line or two of the package differ. Beside the loss and each head's largest logit, a ledger keeps by what the weights were
multiplied outside of the optimizer. The right version is trained for three more seeds (how far apart are healthy runs?) and
once from weights that differ by a millionth (how far does rounding lead?), one factor for all heads for two more seeds. The
longer points, with K2's decay of 0.1 and a rate that comes down, ask whether the clip retires. One file a point in
book/data/museum; a second call skips the points that are there.

examples:
  python -m runs.museum --list               the points, and which of them are done
  python -m runs.museum                      what is missing, one after the other (about 40 s each on one core)
  python -m runs.museum --shard 0/2          every second point, for two processes side by side
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import kimi_mini as km
from kimi_mini.conformance import Piece, piece
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig, build_optimizer, wsd_factor
from kimi_mini.train import Batch, StepConfig, TokenStream
from kimi_mini.viz.series import pack
from runs.ledger import PARTS, SERIES, Ledger, Window
from runs.output import made_here
from runs.points import run_points
from runs.training import small_config, stream, updates

FOLDER = Path("book/data/museum")
EVERY, WARMUP = 4, 20
LENGTH, SIZE = 128, 8  # tokens of a sequence, sequences of an update: as in runs.muonclip
LR, TAU = 0.1, 30.0
STEPS, LONG_STEPS, LONG_FALLING = 300, 500, 250  # of the long one, the rate falls over the last half
LONG_DECAY, NUDGE = 0.1, 1e-6
SEEDS, HEALTHY_SEEDS = (0, 1, 2), (0, 1, 2, 3)
# Chosen before any of them was trained, at least one of each suspect.
FRAMES = (
    "before-mask", "absolute", "one-for-all", "clamped-ratio", "no-minimum", "shared-key", "rope-root", "values-too", "copy",
    "half-averaged", "entrywise-sign",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One run. `version` is a piece of the museum, or "right", "nudged" (right, other roundings), "retire" (right, longer)."""

    version: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.version}-seed{self.seed}"

    @property
    def piece(self) -> Piece | None:
        return None if self.version in ("right", "nudged", "retire") else piece(self.version)

    @property
    def steps(self) -> int:
        return LONG_STEPS if self.version == "retire" else STEPS

    @property
    def decay(self) -> float:
        return LONG_DECAY if self.version == "retire" else 0.0

    @property
    def falling(self) -> int:
        """Updates at the end over which the rate falls to a tenth."""
        return LONG_FALLING if self.version == "retire" else 0

    @property
    def rates(self) -> list[float]:
        return [LR * wsd_factor(step, warmup=WARMUP, total=self.steps, decay=self.falling) for step in range(self.steps)]


def points() -> list[Point]:
    """All points, the frames first."""
    frames = [Point(version, 0) for version in ("right", *FRAMES, "nudged")]
    more = [("right", seed) for seed in HEALTHY_SEEDS[1:]] + [("one-for-all", seed) for seed in SEEDS[1:]]
    return frames + [Point(*point) for point in more] + [Point("retire", seed) for seed in SEEDS]


class Watched:
    """Batches as they come, and each head's largest logit on the last one, measured by the right code before the step."""

    def __init__(self, batches: TokenStream, model: km.KimiMini) -> None:
        self.batches, self.model = batches, model

    def __iter__(self) -> Iterator[Batch]:
        return self

    @torch.no_grad()
    def __next__(self) -> Batch:
        batch = next(self.batches)
        self.max_logits_LH = self.model(batch.tokens_BT).stats.max_logits_LH
        return batch


def record(point: Point, text: Corpus, steps: int | None = None) -> dict[str, Any]:
    """Train one point (or its first `steps` updates); returns its series and what fixes it.

    The loss is kept for every update, the ledger in windows of EVERY. The run ends early where loss or gradient is no longer
    finite; `broke_at` then is that update (1-based), else None.
    """
    began = time.perf_counter()
    torch.manual_seed(point.seed)
    config, step_config = small_config(text), StepConfig(tau=TAU)
    model = km.KimiMini(config, torch.float32)
    if point.version == "nudged":
        for parameter in model.parameters():
            parameter.data.mul_(1 + NUDGE)
    optimizer = build_optimizer(model, OptimConfig(lr=LR, weight_decay=point.decay))
    batches = Watched(stream(text, point.steps, length=LENGTH, size=SIZE, seed=point.seed), model)
    window = Window(Ledger(model, optimizer), TAU)
    inside = point.piece.installed if point.piece else nullcontext
    losses, rows, broke_at = [], [], None
    try:
        for report in updates(model, optimizer, batches, point.rates[:steps], step_config, point.name, inside):
            losses.append(report.loss)
            window.add(batches.max_logits_LH, report.gamma_LH)
            if len(losses) % EVERY == 0:
                rows.append(window.close(batches.max_logits_LH, report.stats.max_logits_LH))
    except (FloatingPointError, ValueError) as broken:  # ValueError: qk_clip_ refuses a maximum that is infinite
        broke_at = len(losses) + 1
        tqdm.write(f"{point.name}, update {broke_at}: {broken}")
    return {
        "made_by": "python -m runs.museum",
        "point": {"version": point.version, "seed": point.seed}, "diff": point.piece.diff if point.piece else (),
        "lr": LR, "tau": TAU, "weight_decay": point.decay,
        "steps": point.steps, "every": EVERY, "warmup": WARMUP, "falling": point.falling, "tokens_per_update": LENGTH * SIZE,
        "broke_at": broke_at,
        "shape": [len(rows), config.num_hidden_layers, config.num_attention_heads], "parts": PARTS,
        "loss": pack(losses), **{name: pack(np.array([row[name] for row in rows])) for name in SERIES},
        "model": config.to_hf(), "text": text.provenance["files"]["tokenizer.json"],
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=40)


if __name__ == "__main__":
    main()
