"""Trained short, read long: a small MLA model learns from windows of 64 tokens and is then read at up to 2,048 positions.

Each point trains one seed and reads held-out text in several ways without further training: plain RoPE, YaRN at four factors,
without its temperature and with DeepSeek-V3's ramp, all clocks slowed alike, the wrong layout of the pairs. Then the model
learns for some more updates at 512 positions and is read again. Every loss is kept beside that of the same tokens read in
pieces of 64. One file a point in book/data/position; a second call skips the points that are there.

examples:
  python -m runs.position --list             the points, and which of them are done
  python -m runs.position                    what is missing, one after the other (about two minutes each on a free core)
  python -m runs.position --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.config import ModelConfig, YarnScaling
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig, build_optimizer, wsd_factor
from kimi_mini.train import TokenStream
from kimi_mini.viz.position_layout import read_half_split_
from runs.output import made_here
from runs.points import run_points
from runs.reading import shuffled_windows
from runs.training import small_config, updates

FOLDER = Path("book/data/position")
SHORT, LONGER, LONG = 64, 512, 2048  # positions: trained, trained a little more, read; as 4k, 32k and 128k stand to each other
STEPS, WARMUP, DECAY = 600, 20, 150
LONGER_STEPS, LONGER_DECAY, LONGER_RATE = 200, 100, 0.5  # the second phase starts at half the first one's rate
TOKENS = 1024  # of an update, whatever the length
LR = 0.01
WINDOWS, SEEDS, TEXT_SEED = 12, (0, 1, 2), 0


def model_config(text: Corpus) -> ModelConfig:
    """The runs' small model with eight clocks, of which three finish a lap within SHORT."""
    return small_config(text, qk_rope_head_dim=16, max_position_embeddings=LONG)


def yarn(factor: float, original: int = SHORT, mscale: float = 1.0, beta_fast: float = 1.0) -> YarnScaling:
    """K2's settings but for the lengths. An `mscale` next to nothing leaves the clocks slowed and the logits unscaled."""
    return YarnScaling(factor, original, beta_fast=beta_fast, beta_slow=1.0, mscale=mscale, mscale_all_dim=mscale)


def readings(stage: str) -> dict[str, dict[str, Any]]:
    """How a trained model is read, by name: its scaling, what its positions are multiplied by, whether pairs are half-split."""
    full = LONG / SHORT
    if stage == "longer":
        return {"plain": {}, "yarn": {"scaling": yarn(full)}, "yarn from 512": {"scaling": yarn(LONG / LONGER, LONGER)}}
    return {
        "plain": {},
        "yarn": {"scaling": yarn(full)},
        **{f"yarn by {factor}": {"scaling": yarn(factor)} for factor in (4, 8, 16)},
        "yarn without temperature": {"scaling": yarn(full, mscale=1e-9)},
        "yarn with V3's ramp": {"scaling": yarn(full, beta_fast=32.0)},
        "all slowed": {"slow": full},
        "half-split": {"half_split": True},
    }


def record(seed: int, text: Corpus, steps: int = STEPS, longer_steps: int = LONGER_STEPS) -> dict[str, Any]:
    """Train one seed in both phases; returns its losses and what fixes them.

    `losses[stage][reading]` has the mean loss of each stretch of 64 positions, LONG / SHORT of them; `pieces` is a reading too.
    """
    began = time.perf_counter()
    torch.manual_seed(seed)
    config = model_config(text)
    model = km.KimiMini(config, torch.float32)
    optimizer = build_optimizer(model, OptimConfig(lr=LR))
    tokens_N = corpus.mix(text, (STEPS + LONGER_STEPS) * TOKENS + 1, seed=TEXT_SEED)
    rates = [LR * wsd_factor(step, warmup=WARMUP, total=STEPS, decay=DECAY) for step in range(steps)]
    longer = [LR * LONGER_RATE * wsd_factor(i, warmup=0, total=LONGER_STEPS, decay=LONGER_DECAY) for i in range(longer_steps)]
    first, second = np.split(tokens_N, [STEPS * TOKENS + 1])
    short_batches, long_batches = _batches(first, SHORT, seed, config), _batches(second, LONGER, seed, config)
    train_loss = [report.loss for report in updates(model, optimizer, short_batches, rates, what=f"seed {seed}")]
    losses = {"short": _read_all(model, "short", text)}
    for _ in updates(model, optimizer, long_batches, longer, what=f"seed {seed}, longer"):
        pass
    losses["longer"] = _read_all(model, "longer", text)
    return {
        "made_by": "python -m runs.position", "seed": seed, "steps": steps, "longer_steps": longer_steps,
        "short": SHORT, "longer": LONGER, "long": LONG, "windows": WINDOWS, "lr": LR, "tokens_per_update": TOKENS,
        "train_loss": [round(loss, 4) for loss in train_loss], "losses": losses,
        "model": config.to_hf(), "text": text.provenance["files"]["tokenizer.json"],
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _batches(tokens_N: np.ndarray, length: int, seed: int, config: ModelConfig) -> TokenStream:
    return TokenStream(tokens_N, sequence_length=length, batch_size=TOKENS // length, seed=seed, vocab_size=config.vocab_size)


# ---- reading -----------------------------------------------------------------------------------------------------------


def held_out(text: Corpus) -> Tensor:
    """The text that every point reads."""
    return shuffled_windows(text, "long windows", WINDOWS, LONG)


@torch.inference_mode()
def read(model: km.KimiMini, text_WT: Tensor, scaling=None, slow: float = 1.0, half_split: bool = False) -> Tensor:
    """loss_WT of every token of the windows, foretold from all before it in its window."""
    reader = km.KimiMini(model.config.replace(rope_scaling=scaling), torch.float32)
    reader.load_state_dict(model.state_dict())
    if half_split:
        read_half_split_(reader)
    positions_1T = torch.arange(text_WT.shape[1] - 1)[None] / slow
    rows = []
    for row_1T in text_WT.split(1):  # one at a time: eight heads at 2,048 positions are memory enough
        logits_1TV = reader(row_1T[:, :-1], positions=positions_1T).logits_BTV
        rows.append(F.cross_entropy(logits_1TV[0], row_1T[0, 1:], reduction="none"))
    return torch.stack(rows)


@torch.inference_mode()
def read_in_pieces(model: km.KimiMini, text_WT: Tensor) -> Tensor:
    """The same losses when nothing beyond a piece of SHORT tokens is seen: what anybody could do without any trick."""
    inputs, targets = text_WT[:, :-1].reshape(-1, SHORT), text_WT[:, 1:].reshape(-1)
    logits = model(inputs).logits_BTV.flatten(0, 1)
    return F.cross_entropy(logits, targets, reduction="none").view(len(text_WT), -1)


def _read_all(model: km.KimiMini, stage: str, text: Corpus) -> dict[str, list[float]]:
    text_WT = held_out(text)
    losses = {"pieces": read_in_pieces(model, text_WT)}
    for name, how in tqdm(readings(stage).items(), desc="readings", leave=False):
        losses[name] = read(model, text_WT, **how)
    stretches = {name: loss_WT.unflatten(1, (-1, SHORT)).mean((0, 2)) for name, loss_WT in losses.items()}
    return {name: [round(value, 4) for value in stretch.tolist()] for name, stretch in stretches.items()}


# ---- the command -------------------------------------------------------------------------------------------------------


class Seed(NamedTuple):
    """One point: a model of its own, read in every way."""

    seed: int

    @property
    def name(self) -> str:
        return f"seed{self.seed}"


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    points = map(Seed, SEEDS)
    run_points(argv, doc=__doc__, points=points, record=lambda at, text: record(at.seed, text), folder=FOLDER, seconds=120)


if __name__ == "__main__":
    main()
