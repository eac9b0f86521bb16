"""Measure a model: its loss on text it has not seen, or with --bench its answers to problems that a program marks.

Text: nats per token (comparable only for one tokenizer) and bits per byte (comparable between tokenizers), domain by domain.
Without --text: the held-out documents of the shipped text. Their sums and forms resemble the training text; their facts
cannot be known.

Benchmarks: the book's own, which are small: held-out problems of its verifiable tasks, with Avg@k, pass@k, and 95 %
intervals over the problems. The model is a folder, "mini" (the one that ships), or with --endpoint one behind a server that
speaks OpenAI's chat API (its key comes from OPENAI_API_KEY). The same command goes on where it stopped. Code that a model
writes runs only in the sandbox, which needs Linux.

examples:
  python -m kimi_mini eval
  python -m kimi_mini eval --model runs/out/mini --json
  python -m kimi_mini eval --text held-out.txt
  python -m kimi_mini eval --model mini --bench tools-calculator
  python -m kimi_mini eval --endpoint http://localhost:8000/v1 --model my-model --bench all --samples 4 --json
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import benchmark
from .train import DEFAULT_OUT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default=DEFAULT_OUT, metavar="FOLDER",
        help="--out of train, a Hugging Face folder with tokenizer.json, or mini (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--text", nargs="+", metavar="FILE", help="UTF-8 text files, each measured by itself")
    parser.add_argument("--context", type=int, metavar="N", help="tokens seen at once (default: 512, or all the model has)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    benchmark.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    if args.bench:
        return benchmark.run(args)
    from ..corpus.files import WITH_MARKERS
    from ..train.evaluation import evaluate
    from .folder import load

    model, tokenizer, bos, _ = load(args.model)
    context = min(512, model.config.max_position_embeddings) if args.context is None else args.context
    losses = {}
    for name, texts in _texts(args.text).items():
        special = args.text is None and name in WITH_MARKERS
        loss = evaluate(model, tokenizer, texts, context=context, bos=bos, special=special)
        losses[name] = {"nats_per_token": loss.nats_per_token, "bits_per_byte": loss.bits_per_byte, **loss._asdict()}
    print(json.dumps({"context": context, "domains": losses}, indent=2) if args.json else _table(losses))


def _texts(files: list[str] | None) -> dict[str, list[str]]:
    from .. import corpus
    from .folder import read_text

    if files is not None:
        return {file: [read_text(file)] for file in files}
    text = corpus.load()
    return {domain: text.texts(domain, "held_out") for domain in text.tokens}


def _table(losses: dict[str, dict[str, Any]]) -> str:
    width = max(len("domain"), *map(len, losses))
    lines = [f"{'domain':<{width}}  nats/token  bits/byte     tokens"]
    for name, loss in losses.items():
        lines.append(f"{name:<{width}}  {loss['nats_per_token']:10.3f}  {loss['bits_per_byte']:9.3f}  {loss['tokens']:9,}")
    return "\n".join(lines)
