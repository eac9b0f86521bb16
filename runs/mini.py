"""Train MINI on THE text and ship it: one command, and the same command again after it was stopped.

MuonClip (Muon and AdamW, lr 3e-3, warm up, stay, decay), 512 positions for nine tenths of the updates and 2048 for the last,
in fp32 (--dtype: bf16 gained nothing on the two AVX512-BF16 cores it was measured on). What it will cost here is measured
and printed before it starts. At the end the weights are rounded to fp16, saved in Hugging Face's layout, loaded again, and
measured: every figure is of the file that ships.

examples:
  python -m runs.mini --measure              tokens per second here, and what the run would cost
  python -m runs.mini                        about an hour on two cores; runs/out/mini keeps the run
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import kimi_mini as km
from kimi_mini import accounting, corpus
from kimi_mini.config import ModelConfig
from kimi_mini.corpus.files import SHIPPED, WITH_MARKERS, Corpus, sha256
from kimi_mini.hub.mini import FOLDER, PROVENANCE, weights_sha256
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.presets import PRESETS
from kimi_mini.train import TokenStream, TrainConfig, next_token_loss, pretrain, train_step
from kimi_mini.train.evaluation import evaluate
from runs.output import write_json

CUTS = {"mini": (512, 16, 2048), "nano": (64, 8, 256)}  # sequence length, sequences in an update, the long length
STEPS = 1700
PROMPTS = {
    "plays": "HAMLET.\n",
    "code": "def ",
    "maths": "Question: What is 47 * 6?\n",
    "facts": "Corbewick is known for its ",
    "chat": "<|im_user|>user<|im_middle|>What is 12 + 30 + 7?<|im_end|><|im_assistant|>assistant<|im_middle|>",
}


def main(argv: list[str] | None = None) -> None:
    """Train what is left to train, then ship."""
    args = _arguments(argv)
    text = corpus.load()
    config = plan(args.preset, args.steps, args.dtype)
    model_config = PRESETS[args.preset].replace(
        vocab_size=text.tokenizer.vocab_size, bos_token_id=text.tokenizer.bos, eos_token_id=text.tokenizer.eos
    )
    tokens_N = corpus.mix(text, config.tokens + 1, seed=config.seed)
    if args.measure or not (args.out / "model").exists():
        print(estimate(model_config, config, tokens_N), flush=True)
    if not args.measure:
        model = pretrain(model_config, config, tokens_N, args.out, device="cpu")
        about = ship(model, text, args.ship) | run_facts(config, tokens_N, args.out)
        write_json(args.ship / PROVENANCE, about, indent=1)
        print(
            "\n".join(f"{domain:>6}: {loss['bits_per_byte']:.3f} bits per byte" for domain, loss in about["held_out"].items())
        )
        print(f"shipped: {args.ship / FOLDER}")


def plan(preset: str, steps: int, dtype: str) -> TrainConfig:
    """The settings of the run; the last tenth of the updates is long."""
    length, size, long_length = CUTS[preset]
    return TrainConfig(
        steps=steps, sequence_length=length, batch_size=size, long_steps=steps // 10, long_sequence_length=long_length,
        optim=OptimConfig(lr=3e-3), checkpoint_every=50, compute_dtype=dtype,
    )  # fmt: skip


# ---- before ------------------------------------------------------------------------------------------------------------


def estimate(model_config: ModelConfig, config: TrainConfig, tokens_N: np.ndarray) -> str:
    """What the run will cost on this machine, as it is now, in words."""
    lines, seconds = [], 0.0
    phases = Counter(config.cut(step)[0] for step in range(config.steps))
    for length, updates in phases.items():
        each = measure(model_config, config, tokens_N, length)
        seconds += updates * each
        speed = f"{config.tokens / config.steps / each:,.0f} tokens/s in {config.compute_dtype}"
        lines.append(f"{updates:,} updates at {length} positions: {each:.2f} s each, {speed}")
    flops = config.tokens * accounting.training_flops(model_config, config.sequence_length).total
    total = accounting.count_parameters(model_config).total
    cost = f"{total:,} parameters, {config.tokens:,} tokens, {flops:.2e} FLOPs"
    clip = f"tau = {config.step.tau:g}: the clip is on watch; logits of a model this small are not expected to reach it"
    return "\n".join([cost, *lines, clip, f"about {seconds / 60:.0f} minutes on this machine as it is now"])


def measure(model_config: ModelConfig, config: TrainConfig, tokens_N: np.ndarray, length: int) -> float:
    """Seconds of an update at `length` positions, the better of two after one to warm up, on a model that is thrown away."""
    torch.manual_seed(0)
    model = km.KimiMini(model_config, config.dtype(torch.float32))
    optimizer = build_optimizer(model, config.optim)
    size = config.batch_size * config.sequence_length // length
    stream = TokenStream(tokens_N, sequence_length=length, batch_size=size, seed=0, vocab_size=model_config.vocab_size)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        train_step(model, optimizer, [next(stream)], next_token_loss, config.step)
        times.append(time.perf_counter() - began)
    return min(times[1:])


# ---- after -------------------------------------------------------------------------------------------------------------


def ship(model: km.KimiMini, text: Corpus, folder: Path) -> dict[str, Any]:
    """Round to fp16 and save; returns what the saved file does on the held-out documents, and samples of it."""
    with torch.no_grad():
        for parameter in model.parameters():  # selection biases are buffers and stay fp32
            parameter.data = parameter.data.half()
    km.save_pretrained(model, folder / FOLDER)
    shipped = km.from_pretrained(folder / FOLDER, dtype=torch.float32)
    return {
        "sha256": weights_sha256(folder),
        "tokenizer_sha256": text.provenance["files"]["tokenizer.json"],
        "parameters": accounting.count_parameters(shipped.config).total,
        "held_out": held_out_losses(shipped, text),
        "samples": samples(shipped, text),
    }


def held_out_losses(model: km.KimiMini, text: Corpus) -> dict[str, Any]:
    """Loss on the held-out documents of every domain, in windows of up to 512 positions."""
    context, losses = min(512, model.config.max_position_embeddings), {}
    for domain in tqdm(text.tokens, desc="held out"):
        texts = text.texts(domain, "held_out")
        loss = evaluate(model, text.tokenizer, texts, context=context, special=domain in WITH_MARKERS)
        losses[domain] = {"bits_per_byte": loss.bits_per_byte, "nats_per_token": loss.nats_per_token, **loss._asdict()}
    return losses


def samples(model: km.KimiMini, text: Corpus) -> dict[str, str]:
    """One continuation per domain, as it comes: temperature 0.6, seed 0."""
    tokenizer = text.tokenizer
    prompts = [[tokenizer.bos, *tokenizer.encode(prompt, special=True)] for prompt in PROMPTS.values()]
    answers = km.generate(model, prompts, max_new_tokens=120, temperature=0.6, eos=tokenizer.eos, seed=0)
    return {domain: PROMPTS[domain] + tokenizer.decode(ids) for domain, ids in zip(PROMPTS, answers, strict=True)}


def run_facts(config: TrainConfig, tokens_N: np.ndarray, run: Path) -> dict[str, Any]:
    """How the run went: settings, text, machine, and its metrics (every tenth update)."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "made_by": "python -m runs.mini",
        "config": config.to_dict(),
        "mixture": {"weights": corpus.WEIGHTS, "seed": config.seed, "sha256": sha256(tokens_N.astype("<u2").tobytes())},
        "versions": {"kimi_mini": km.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"cpu": _cpu(), "threads": torch.get_num_threads(), "system": platform.system()},
        "training_seconds": sum(line["seconds"] for line in lines),
        "tokens": sum(line["tokens"] for line in lines),
        "largest_logit": max(max(line["max_logit"]) for line in lines),
        "clipped_heads": sum(line["clipped_heads"] for line in lines),
        "curve": lines[9::10],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=CUTS, default="mini", help="nano is for trying this out (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="updates (default: %(default)s)")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="format of activations (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/out/mini"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--ship", type=Path, default=SHIPPED, metavar="FOLDER", help="default: the package's own data folder")
    parser.add_argument("--measure", action="store_true", help="print the cost and stop")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
