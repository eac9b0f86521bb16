"""Muon against AdamW: one small model trained by both at the same rates and decays, and what updates and weights look like.

The sweep trains seed 0 for 300 updates at five rates with K2's decay, and at each optimizer's best rate without decay too;
AdamW, which is more sensitive, gets two more rates beside its best. The best setting of each is then trained for 150, 300 and
600 updates with three seeds, Muon with and without decay for 800, and one model of MINI's shape by Muon for the spectra of its
momenta. In every run AdamW learns embedding, head and norm gains at the same rate. Numbers stay, no weights: one file a point
in book/data/muon; a second call skips the points that are there.

examples:
  python -m runs.muon --list             the points, which of them are done, and what is missing (about 25 minutes of one core)
  python -m runs.muon                    what is missing, one after the other (10 to 80 s each)
  python -m runs.muon --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import kimi_mini as km
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import Muon, OptimConfig, build_optimizer, learned_by_muon, wsd_factor
from kimi_mini.optim.spectrum import rms, singular_values, svd_entropy
from kimi_mini.train import StepConfig
from kimi_mini.viz.series import pack
from runs.output import made_here
from runs.points import run_points
from runs.reading import shuffled_windows, window_loss
from runs.training import small_config, stream, updates

FOLDER = Path("book/data/muon")
LENGTH, SIZE = 128, 8  # tokens of a sequence, sequences of an update
LEARNING_RATES, K2_DECAY, SEEDS = (0.002, 0.004, 0.008, 0.016, 0.032), 0.1, (0, 1, 2)
BETWEEN = (0.003, 0.006)  # for AdamW, whose loss changes more from one rate to the next
SWEEP_STEPS, LENGTHS, TEXT_STEPS = 300, (150, 300, 600), 1000  # updates; the text is cut for the last of these numbers
BEST = {"muon": 0.016, "adamw": 0.004}  # rates that the sweep found best; tests/runs/test_muon_claims.py asserts it
DECAY_RATE, DECAY_STEPS = 0.016, 800  # rate x decay x updates is 1.3: long enough for a decay of 0.1 to bite
MINI_RATE = 0.003  # of runs.mini
WARMUP, EVERY, WINDOWS = 20, 50, 128
LOOKS = (1, 10, 30, 100, 200, 300)  # updates whose size, and with MINI's shape whose momentum, is looked at


@dataclass(frozen=True)
class Point:
    """One run. `matrices` says what learns the matrices; "mini" has MINI's shape and keeps spectra, all others are small."""

    matrices: str
    lr: float
    decay: float = K2_DECAY
    seed: int = 0
    steps: int = SWEEP_STEPS
    model: str = "small"

    @property
    def name(self) -> str:
        shape = "mini-" if self.model == "mini" else ""
        return f"{shape}{self.matrices}-lr{self.lr:g}-decay{self.decay:g}-steps{self.steps}-seed{self.seed}"


def points() -> list[Point]:
    """The sweep, MINI's shape, then the best settings and the decay study seed by seed; a run cut off leaves whole pictures."""
    sweep = [Point(how, lr) for how, lr in itertools.product(BEST, LEARNING_RATES)]
    sweep += [Point("adamw", lr) for lr in BETWEEN]
    found = [Point(how, lr, decay=0.0) for how, lr in BEST.items()]
    mini = Point("muon", MINI_RATE, model="mini")
    study = []
    for seed in SEEDS:
        study += [Point(how, BEST[how], seed=seed, steps=steps) for steps, how in itertools.product(LENGTHS, BEST)]
        study += [Point("muon", DECAY_RATE, decay, seed, DECAY_STEPS) for decay in (K2_DECAY, 0.0)]
    return list(dict.fromkeys([*sweep, *found, mini, *study]))


def record(point: Point, text: Corpus, steps: int | None = None) -> dict[str, Any]:
    """Train one point (its first `steps` updates, all if None); returns its series and what fixes it."""
    torch.manual_seed(point.seed)
    began, steps, step_config = time.perf_counter(), point.steps if steps is None else steps, StepConfig(tau=math.inf)
    config = km.MINI.replace(vocab_size=text.tokenizer.vocab_size) if point.model == "mini" else small_config(text)
    model = km.KimiMini(config, torch.float32)
    settings = OptimConfig(lr=point.lr, weight_decay=point.decay, matrices=point.matrices)
    optimizer = build_optimizer(model, settings)
    batches = stream(text, TEXT_STEPS, length=LENGTH, size=SIZE, seed=point.seed)
    unseen_WT, start = shuffled_windows(text, "muon held out", WINDOWS, LENGTH), snapshot(model)
    loss, unseen_loss, weights, sizes, spectra = [], [], [weight_rms(start)], [], []
    rates = [point.lr * wsd_factor(step, warmup=WARMUP, total=point.steps, decay=point.steps // 3) for step in range(steps)]
    before = start
    for step, report in enumerate(updates(model, optimizer, batches, rates, step_config, point.name), 1):
        loss.append(report.loss)
        if step in LOOKS:
            sizes.append(update_rms(before, snapshot(model), rates[step - 1], point.decay))
            spectra.append(momentum_spectra(model, optimizer) if point.model == "mini" else {})
        if step + 1 in LOOKS:
            before = snapshot(model)
        if step % EVERY == 0 or step == steps:
            unseen_loss.append(window_loss(model, unseen_WT))
            weights.append(weight_rms(snapshot(model)))
    return {
        "made_by": "python -m runs.muon", "point": asdict(point), "ran": steps, "every": EVERY, "warmup": WARMUP,
        "tokens_per_update": LENGTH * SIZE, "held_out_tokens": unseen_WT[:, 1:].numel(),
        "looks": [at for at in LOOKS if at <= steps],
        "loss": pack(loss), "held_out_loss": [round(value, 5) for value in unseen_loss],
        "weight_rms": [round(value, 6) for value in weights],
        "matrices": {name: list(matrix.shape) for name, matrix in start.items()}, "update_rms": pack(sizes),
        "entropy_start": pack(_entropies(start)), "entropy": pack(_entropies(snapshot(model))),
        "spectra": {name: pack([look[name] for look in spectra]) for name in spectra[0]},
        "optimizer": asdict(settings), "model": config.to_hf(), "text": text.provenance["files"]["tokenizer.json"],
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


# ---- what is looked at -------------------------------------------------------------------------------------------------


def per_matrix(name: str, slab: Tensor) -> Iterator[tuple[str, Tensor]]:
    """(name, matrix) of each matrix in a parameter; a slab of experts [E, 2, I, h] or [E, h, I] gives one for each part."""
    if slab.ndim == 2:
        yield name.removesuffix(".weight"), slab
        return
    base, part = name.rsplit(".", 1)
    for expert, parts in enumerate(slab):
        which = ("gate", "up") if part == "gate_up" else (part,)
        for kind, matrix in zip(which, parts.reshape(-1, *parts.shape[-2:]), strict=True):
            yield f"{base}.{expert}.{kind}", matrix


def learned(model: km.KimiMini) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The parameters whose matrices the run is about."""
    return ((name, p) for name, p in model.named_parameters() if learned_by_muon(name, p.shape))


def snapshot(model: km.KimiMini) -> dict[str, Tensor]:
    """A copy of every matrix, by name."""
    return {name: matrix for whole, p in learned(model) for name, matrix in per_matrix(whole, p.detach().clone())}


def update_rms(before: dict[str, Tensor], after: dict[str, Tensor], rate: float, decay: float) -> list[float]:
    """RMS of what the optimizer took off each matrix, per unit of rate and without its decay: measured on the weights."""
    return [float(rms(before[name].double() * (1 - rate * decay) - after[name].double())) / rate for name in after]


def weight_rms(weights: dict[str, Tensor]) -> float:
    """RMS over the entries of all matrices."""
    return float(torch.cat([matrix.flatten() for matrix in weights.values()]).square().mean().sqrt())


def momentum_spectra(model: km.KimiMini, optimizer: Muon) -> dict[str, np.ndarray]:
    """Singular values over the Frobenius norm of what Muon made orthogonal last, mu M + G; of the experts only the first."""
    spectra = {}
    for whole, p in learned(model):
        ahead = torch.add(p.grad, optimizer.state[p]["momentum"], alpha=optimizer.param_groups[0]["momentum"])
        for name, matrix in per_matrix(whole, ahead):
            if ".experts." not in name or ".experts.0." in name:
                sigma = singular_values(matrix)
                spectra[name] = (sigma / sigma.norm()).numpy()
    return spectra


def _entropies(weights: dict[str, Tensor]) -> list[float]:
    return [float(svd_entropy(matrix)) for matrix in weights.values()]


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=35)


if __name__ == "__main__":
    main()
