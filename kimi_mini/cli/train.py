"""Train a small K2 from nothing: tokenizer, model, checkpoints.

The same command again goes on where the last one stopped (Ctrl-C is safe). Without --text it learns from Python's
standard library, worked arithmetic and made-up facts, one document in ten held out for `eval`. --out then holds
tokenizer.json, metrics.jsonl (one line per step), checkpoints, and at the end model/ in Hugging Face's layout.

examples:
  python -m kimi_mini train                                   about a minute on two CPU cores
  python -m kimi_mini train --preset mini --steps 2000        kept in runs/out/mini
  python -m kimi_mini train --text poems.txt letters.txt --out runs/out/mine
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..presets import PRESETS
from ..tokenizer import Tokenizer

_OUT = "runs/out"
DEFAULT_OUT = f"{_OUT}/nano"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--preset", choices=("nano", "mini"), default="nano", help="size of the model (default: %(default)s)")
    parser.add_argument("--out", metavar="FOLDER", help=f"where the run is kept (default: {_OUT}/ and the preset's name)")
    parser.add_argument("--text", nargs="+", metavar="FILE", help="UTF-8 text files to learn from, all of each")
    parser.add_argument("--steps", default=500, help="updates of the weights (default: %(default)s)", **number)
    parser.add_argument("--batch-size", default=16, help="sequences in a step (default: %(default)s)", **number)
    parser.add_argument("--sequence-length", default=128, help="tokens in a sequence (default: %(default)s)", **number)
    parser.add_argument("--lr", type=float, default=3e-3, metavar="X", help="peak learning rate (default: %(default)s)")
    parser.add_argument("--seed", default=0, help="fixes everything that is random (default: %(default)s)", **number)
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="go on with a run that is in --out, or refuse to"
    )


def run(args: argparse.Namespace) -> None:
    from ..optim import OptimConfig  # torch comes only now
    from ..train import TrainConfig, pretrain
    from ..train.text import pack

    train_config = TrainConfig(
        steps=args.steps, batch_size=args.batch_size, sequence_length=args.sequence_length, seed=args.seed,
        optim=OptimConfig(lr=args.lr),
    )  # fmt: skip
    out = Path(args.out or f"{_OUT}/{args.preset}")
    documents = _documents(args.text)
    tokenizer = _tokenizer(out, documents, PRESETS[args.preset].vocab_size)
    tokens_N = pack(tokenizer, documents)
    model_config = PRESETS[args.preset].replace(
        vocab_size=tokenizer.vocab_size, bos_token_id=tokenizer.bos, eos_token_id=tokenizer.eos
    )
    print(f"{args.preset}, {tokenizer.vocab_size} tokens, {len(documents)} documents of {len(tokens_N):,} tokens -> {out}")
    pretrain(model_config, train_config, tokens_N, out, resume=args.resume)
    print(f"done. Next: python -m kimi_mini generate --model {out}")
    print(f"            python -m kimi_mini eval --model {out}")


def _documents(files: list[str] | None) -> list[str]:
    from ..train.text import domains
    from .folder import read_text

    if files is not None:
        return [read_text(file) for file in files]
    return [text for domain in domains().values() for text in domain.train]


def _tokenizer(out: Path, documents: list[str], vocab_size: int) -> Tokenizer:
    """The one in the folder, if a run is being continued; else a new one, saved there."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder to keep the run in")
    if (out / "latest").exists():
        return Tokenizer.load(out)
    tokenizer = Tokenizer.train(documents, vocab_size)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(out)
    return tokenizer
