"""Continue a text with a trained model.

examples:
  python -m kimi_mini generate
  python -m kimi_mini generate --prompt "Question: What is 12 + 30?" --temperature 0
  python -m kimi_mini generate --model path/to/folder --prompt "def " --seed 1 --max-new-tokens 200
"""

from __future__ import annotations

import argparse

from .train import DEFAULT_OUT

_PROMPTS = ["Question: What is 47 + 85?\n", "def ", "HAMLET.\n"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default=DEFAULT_OUT, metavar="FOLDER",
        help="--out of train, or a Hugging Face folder with tokenizer.json (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="may be given several times (default: three samples)")
    parser.add_argument("--max-new-tokens", type=int, default=100, metavar="N", help="at most so many (default: %(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=0.6, metavar="X", help="0 takes the likeliest token (default: %(default)s)"
    )
    parser.add_argument("--top-p", type=float, default=1.0, metavar="X", help="mass of the nucleus (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed, the same text (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from ..generation import generate
    from .folder import load

    model, tokenizer, bos, eos = load(args.model)
    texts = _PROMPTS if args.prompt is None else args.prompt
    prompts = [[bos] * (bos is not None) + tokenizer.encode(text) for text in texts]
    answers = generate(
        model, prompts, max_new_tokens=args.max_new_tokens, temperature=args.temperature, top_p=args.top_p, eos=eos,
        seed=args.seed,
    )  # fmt: skip
    shown = [text + tokenizer.decode(_known(answer, tokenizer.vocab_size)) for text, answer in zip(texts, answers, strict=True)]
    print("\n\n".join(shown))


def _known(ids: list[int], vocab_size: int) -> list[int]:
    """Without ids that only the model has: embeddings are often padded beyond the tokenizer's entries."""
    return [i for i in ids if i < vocab_size]
