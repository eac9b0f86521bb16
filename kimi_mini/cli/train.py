"""Train a small K2 from nothing: text, model, checkpoints.

The same command again goes on where the last one stopped (Ctrl-C is safe). Without --text it learns from the shipped text
(plays, code, worked arithmetic, made-up facts, dialogues) with its tokenizer; some documents are held out for `eval`. Other
texts get a tokenizer of their own. --out then holds tokenizer.json, metrics.jsonl (one line per step), checkpoints, and at
the end model/ in Hugging Face's layout.

examples:
  python -m kimi_mini train                                   about a minute on two CPU cores
  python -m kimi_mini train --preset mini --steps 2000        kept in runs/out/mini
  python -m kimi_mini train --text poems.txt letters.txt --out runs/out/mine
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..presets import PRESETS
from ..tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np

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

    train_config = TrainConfig(
        steps=args.steps, batch_size=args.batch_size, sequence_length=args.sequence_length, seed=args.seed,
        optim=OptimConfig(lr=args.lr),
    )  # fmt: skip
    out = Path(args.out or f"{_OUT}/{args.preset}")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder to keep the run in")
    if args.text is None:
        tokenizer, tokens_N = _shipped(train_config.tokens + 1)
    else:
        tokenizer, tokens_N = _own(out, args.text, PRESETS[args.preset].vocab_size)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(out)
    model_config = PRESETS[args.preset].replace(
        vocab_size=tokenizer.vocab_size, bos_token_id=tokenizer.bos, eos_token_id=tokenizer.eos
    )
    print(f"{args.preset}, a vocabulary of {tokenizer.vocab_size}, a text of {len(tokens_N):,} tokens -> {out}")
    pretrain(model_config, train_config, tokens_N, out, resume=args.resume)
    print(f"done. Next: python -m kimi_mini generate --model {out}")
    print(f"            python -m kimi_mini eval --model {out}")


def _shipped(tokens: int) -> tuple[Tokenizer, np.ndarray]:
    """THE tokenizer, and a mixture of THE text as long as the run."""
    from .. import corpus

    text = corpus.load()
    return text.tokenizer, corpus.mix(text, tokens)


def _own(out: Path, files: list[str], vocab_size: int) -> tuple[Tokenizer, np.ndarray]:
    """All of the files, and the tokenizer in the folder if a run is being continued, else one learned from them."""
    from ..corpus import pack
    from .folder import read_text

    documents = [read_text(file) for file in files]
    tokenizer = Tokenizer.load(out) if (out / "latest").exists() else Tokenizer.train(documents, vocab_size)
    return tokenizer, pack(tokenizer, documents)
