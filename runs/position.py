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

import argparse
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.config import ModelConfig, YarnScaling
from kimi_mini.corpus.draw import Draw
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig, build_optimizer, wsd_factor
from kimi_mini.train import StepConfig, TokenStream, next_token_loss, train_step
from kimi_mini.viz.position_layout import read_half_split_
from runs.muonclip import _shard
from runs.output import write_json

FOLDER = Path("book/data/position")
SHORT, LONGER, LONG = 64, 512, 2048  # positions: trained, trained a little more, read; as 4k, 32k and 128k stand to each other
STEPS, WARMUP, DECAY = 600, 20, 150
LONGER_STEPS, LONGER_DECAY, LONGER_RATE = 200, 100, 0.5  # the second phase starts at half the first one's rate
TOKENS = 1024  # of an update, whatever the length
LR = 0.01
WINDOWS, SEEDS, TEXT_SEED = 12, (0, 1, 2), 0


def model_config(text: Corpus) -> ModelConfig:
    """NANO with eight heads a layer, eight clocks, and the book's tokenizer. Of the clocks, three finish a lap within SHORT."""
    return km.NANO.replace(
        vocab_size=text.tokenizer.vocab_size, num_attention_heads=8, qk_rope_head_dim=16, max_position_embeddings=LONG
    )


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
    rates = [wsd_factor(step, warmup=WARMUP, total=STEPS, decay=DECAY) for step in range(steps)]
    longer = [LONGER_RATE * wsd_factor(i, warmup=0, total=LONGER_STEPS, decay=LONGER_DECAY) for i in range(longer_steps)]
    first, second = np.split(tokens_N, [STEPS * TOKENS + 1])
    train_loss = _train(model, optimizer, _batches(first, SHORT, seed, config), rates, f"seed {seed}")
    losses = {"short": _read_all(model, "short", text)}
    _train(model, optimizer, _batches(second, LONGER, seed, config), longer, f"seed {seed}, longer")
    losses["longer"] = _read_all(model, "longer", text)
    return {
        "made_by": "python -m runs.position", "seed": seed, "steps": steps, "longer_steps": longer_steps,
        "short": SHORT, "longer": LONGER, "long": LONG, "windows": WINDOWS, "lr": LR, "tokens_per_update": TOKENS,
        "train_loss": [round(loss, 4) for loss in train_loss], "losses": losses,
        "model": config.to_hf(), "text": text.provenance["files"]["tokenizer.json"],
        "versions": {"kimi_mini": km.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads()},
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _batches(tokens_N: np.ndarray, length: int, seed: int, config: ModelConfig) -> TokenStream:
    return TokenStream(tokens_N, sequence_length=length, batch_size=TOKENS // length, seed=seed, vocab_size=config.vocab_size)


def _train(model, optimizer, batches: TokenStream, factors: list[float], what: str) -> list[float]:
    losses = []
    for factor in tqdm(factors, desc=what, leave=False):
        for group in optimizer.param_groups:
            group["lr"] = LR * factor
        losses.append(train_step(model, optimizer, [next(batches)], next_token_loss, StepConfig()).loss)
    return losses


# ---- reading -----------------------------------------------------------------------------------------------------------


def held_out(text: Corpus) -> Tensor:
    """WINDOWS windows of LONG + 1 held-out tokens, documents of all domains shuffled: the text that every point reads."""
    documents = [ids for domain in text.tokens for ids in text.documents(domain, "held_out")]
    stream = np.concatenate(Draw("long windows", 0).shuffled(documents))[: WINDOWS * LONG + 1].astype(np.int64)
    return torch.from_numpy(stream).unfold(0, LONG + 1, LONG)


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


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    args = _arguments(argv)
    mine = list(SEEDS[args.shard[0] :: args.shard[1]])
    missing = [seed for seed in mine if not _file(args.out, seed).exists()]
    if args.list:
        print("\n".join(f"{'missing' if seed in missing else 'done':8}seed{seed}" for seed in mine))
        return
    text = corpus.load()
    for seed in tqdm(missing, desc="points"):
        write_json(_file(args.out, seed), record(seed, text))


def _file(folder: Path, seed: int) -> Path:
    return folder / f"seed{seed}.json"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the points and stop")
    parser.add_argument("--shard", type=_shard, default=(0, 1), metavar="I/N", help="only every N-th point, from the I-th")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="default: %(default)s")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
