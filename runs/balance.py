"""Keeping experts busy: a small model with 32 experts a layer, 4 for each token, trained by each rule of balance.

The rules: the bias rule at four speeds (0 leaves the router alone), the centred rule at one of them, and the sequence-wise
balance loss at three weights with the biases left alone; three seeds each. Kept are each expert's load (every fourth update),
violation and echo (every update), biases, loss, and the loss on held-out text. One more point counts the load of trained MINI
on held-out text, window by window. One file a point in book/data/balance; a second call skips the points that are there.

examples:
  python -m runs.balance --list             the points, and which of them are done
  python -m runs.balance                    what is missing, one after the other (25 points, about 30 s each on one core)
  python -m runs.balance --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.corpus.files import Corpus
from kimi_mini.hub.mini import weights_sha256
from kimi_mini.optim import OptimConfig, build_optimizer, load_echo, max_violation, wsd_factor
from kimi_mini.train import StepConfig
from kimi_mini.viz.series import pack
from runs.output import made_here
from runs.points import run_points
from runs.reading import shuffled_windows, window_loss
from runs.routes import DOMAINS, windows
from runs.routes import LENGTH as WINDOW
from runs.training import small_config, stream, updates

FOLDER = Path("book/data/balance")
STEPS, WARMUP, DECAY, LR = 320, 20, 80, 0.01
LENGTH, SIZE = 64, 16  # tokens of a sequence, sequences of an update
EVERY, BIAS_EVERY = 4, 8  # updates between two records of loads and of biases
SEEDS, HELD_OUT = (0, 1, 2), 480  # held-out sequences of LENGTH tokens
MINI_WINDOWS = 24  # of each domain


@dataclass(frozen=True)
class Point:
    """One run: how far a bias moves an update, whether the moves are centred, and the weight of the balance loss."""

    rate: float
    alpha: float
    centred: bool
    seed: int

    @property
    def name(self) -> str:
        rule = f"alpha{self.alpha:g}" if self.alpha else f"rate{self.rate:g}{'-centred' if self.centred else ''}"
        return f"{rule}-seed{self.seed}"


@dataclass(frozen=True)
class Mini:
    """The point that trains nothing: MINI's load on held-out text."""

    name: str = "mini"


RULES = (
    (0.0, 0.0, False), (0.01, 0.0, False), (0.1, 0.0, False), (0.001, 0.0, False),
    (0.0, 1.0, False), (0.01, 0.0, True), (0.0, 0.1, False), (0.0, 0.01, False),
)  # fmt: skip


def points() -> list[Point | Mini]:
    """All points, those of the first seed first: a run that is cut off leaves whole pictures."""
    return [Mini(), *(Point(*rule, seed) for seed in SEEDS for rule in RULES)]


def model_config(text: Corpus) -> km.ModelConfig:
    """The runs' small model with 32 narrow experts a layer; its first layer is dense, so two layers route."""
    experts = {"n_routed_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 16}
    return small_config(text, num_attention_heads=4, routed_scaling_factor=1.996, **experts)


def start(point: Point, text: Corpus, steps: int = STEPS):
    """The model of a point, fresh, and an iterator over the reports of its first `steps` updates."""
    torch.manual_seed(point.seed)
    config = model_config(text)
    model = km.KimiMini(config, torch.float32)
    batches = stream(text, STEPS, length=LENGTH, size=SIZE, seed=point.seed)
    rates = [LR * wsd_factor(step, warmup=WARMUP, total=STEPS, decay=DECAY) for step in range(steps)]
    optimizer = build_optimizer(model, OptimConfig(lr=LR))
    return model, updates(model, optimizer, batches, rates, step_config(point), point.name)


def step_config(point: Point) -> StepConfig:
    """What a step of this point does besides learning."""
    return StepConfig(bias_rate=point.rate, centred_bias=point.centred, aux_loss_alpha=point.alpha)


def record(point: Point | Mini, text: Corpus, steps: int = STEPS) -> dict[str, Any]:
    """Train one point; returns its series and what fixes it. MoE layers only: `layers` says which."""
    if isinstance(point, Mini):
        return record_mini(text)
    began = time.perf_counter()
    model, reports = start(point, text, steps)
    layers = [layer for layer in range(model.config.num_hidden_layers) if model.config.is_moe(layer)]
    loss, violation, echo, loads, biases, means, before_LE = [], [], [], [], [], [], None
    for step, report in enumerate(reports, 1):
        load_LE = report.stats.expert_load_LE[layers]
        loss.append(report.loss)
        violation.append(max_violation(load_LE).numpy())
        echo.append(load_echo(load_LE if before_LE is None else before_LE, load_LE).numpy())
        before_LE = load_LE
        if step % EVERY == 0:
            loads.append(load_LE.numpy())
        if step % BIAS_EVERY == 0:
            bias_LE = torch.stack([model.blocks[layer].mlp.router.selection_bias for layer in layers])
            biases.append(bias_LE.numpy().copy())
            means.append([float(f"{mean:.3g}") for mean in bias_LE.double().mean(1)])
    unseen = window_loss(model, shuffled_windows(text, "balance", HELD_OUT, LENGTH), rows=60)
    return {
        "made_by": "python -m runs.balance", "point": asdict(point),
        "steps": steps, "every": EVERY, "bias_every": BIAS_EVERY, "lr": LR, "tokens_per_update": LENGTH * SIZE,
        "layers": layers, "experts": model.config.n_routed_experts, "chosen": model.config.num_experts_per_tok,
        "loss": pack(loss), "violation": pack(violation), "echo": pack(echo),
        "load": pack(loads), "bias": pack(biases), "bias_mean": means,
        "held_out_loss": round(unseen, 5), "held_out_tokens": HELD_OUT * LENGTH,
        "step_config": asdict(step_config(point)),
        "model": model.config.to_hf(), "text": text.provenance["files"]["tokenizer.json"],
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


@torch.inference_mode()
def record_mini(text: Corpus) -> dict[str, Any]:
    """Load of every expert of MINI in each of MINI_WINDOWS held-out windows of each domain; nothing is trained."""
    began = time.perf_counter()
    model, _ = km.load_mini()
    layers = [layer for layer in range(model.config.num_hidden_layers) if model.config.is_moe(layer)]
    loads = []
    for domain in DOMAINS:
        for tokens_T in torch.from_numpy(windows(text, domain, MINI_WINDOWS)):
            loads.append(model(tokens_T[None]).stats.expert_load_LE[layers].numpy())
    return {
        "made_by": "python -m runs.balance", "domains": list(DOMAINS), "windows": MINI_WINDOWS, "length": WINDOW,
        "layers": layers, "experts": model.config.n_routed_experts, "chosen": model.config.num_experts_per_tok,
        "load": pack(loads), "weights": weights_sha256(corpus.files.data_folder()),
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=30)


if __name__ == "__main__":
    main()
