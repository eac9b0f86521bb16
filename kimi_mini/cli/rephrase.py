"""Rephrase texts: several versions of each, chunk by chunk, each chunk checked against its source.

The same command again goes on where the last one stopped, however it was stopped: every attempt is in the log (OUT.log.jsonl
where --log does not say otherwise), and what was accepted is never asked for again. Ctrl-C waits for the requests under way.
The writer is one of: programmatic (rules, no model; the default), smollm2 (a small model on this machine), or the address of a
server that speaks OpenAI's chat API, with --model; its key comes from the variable OPENAI_API_KEY.

examples:
  python -m kimi_mini rephrase texts/ --out versions.jsonl --versions 10
  python -m kimi_mini rephrase texts.jsonl --out versions.jsonl --rewriter http://localhost:8000/v1 --model my-model
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    number = {"type": int, "metavar": "N"}
    parser.add_argument("texts", help='a folder of .txt and .md files, one such file, or a .jsonl with {"text": ...} a line')
    parser.add_argument("--out", required=True, metavar="FILE", help="the accepted versions, a line of JSON each")
    parser.add_argument("--log", metavar="FILE", help="every attempt and its verdict (default: --out with .log.jsonl)")
    parser.add_argument("--versions", default=2, help="versions of each text (default: %(default)s)", **number)
    parser.add_argument("--rewriter", default="programmatic", metavar="WHO", help="programmatic, smollm2 or an address")
    parser.add_argument("--model", metavar="NAME", help="the model to ask for, with an address")
    parser.add_argument("--judge", action="store_true", help="ask the model too whether each chunk kept its meaning")
    parser.add_argument("--chunk", default=256, help="tokens of a chunk, in THE tokenizer (default: %(default)s)", **number)
    parser.add_argument("--attempts", default=3, help="at a chunk that is refused (default: %(default)s)", **number)
    parser.add_argument("--workers", default=4, help="requests at a time (default: %(default)s)", **number)
    parser.add_argument("--temperature", type=float, default=0.8, metavar="X", help="of the writer (default: %(default)s)")
    parser.add_argument(
        "--timeout", type=float, default=60, metavar="S", help="seconds a server may be silent (default: %(default)s)"
    )
    parser.add_argument("--seed", default=0, help="sent with each request (default: %(default)s)", **number)


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..corpus import load_tokenizer
    from ..synth.rephrase import Settings, rephrase

    settings = Settings(args.versions, args.chunk, args.attempts, args.temperature, args.seed, args.workers)
    documents = _documents(Path(args.texts))
    log = args.log or str(Path(args.out).with_suffix(".log.jsonl"))
    if Path(log).resolve() == Path(args.out).resolve():
        raise ValueError(f"--log and --out are both {log}; expected two files")
    writer = _writer(args)
    if args.judge and args.rewriter == "programmatic":
        raise ValueError("--judge needs a model; expected --rewriter smollm2 or an address")
    encode = load_tokenizer().encode
    with tqdm(total=len(documents) * args.versions, unit="version", disable=None) as bar:
        done = rephrase(
            documents, writer, log, args.out, settings, judge_by=writer if args.judge else None,
            count=lambda text: len(encode(text)), progress=bar.update,
        )  # fmt: skip
    print(f"{done.accepted} versions accepted, {done.refused} refused, {done.undone} undone; {done.attempts} attempts now")
    print(f"written by {writer.name}: {args.out}; every attempt: {log}")
    if done.undone:
        raise OSError(f"{'; '.join(done.reasons)} (the same command goes on)")


def _writer(args: argparse.Namespace):
    from ..synth import OpenAIEndpoint, Programmatic

    if args.rewriter.startswith(("http://", "https://")):
        return OpenAIEndpoint(args.rewriter, args.model or "", timeout=args.timeout)
    if args.model:
        raise ValueError(f"--model {args.model} goes with an address; expected --rewriter http...")
    if args.rewriter == "programmatic":
        return Programmatic()
    if args.rewriter == "smollm2":
        from ..synth.local import SmolLM2

        return SmolLM2()
    raise ValueError(f"--rewriter {args.rewriter!r} will not do; expected programmatic, smollm2 or an http address")


def _documents(path: Path) -> dict[str, str]:
    """Name and text of each document."""
    from .folder import read_text  # torch comes with it

    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in (".txt", ".md") and file.is_file())
        found = {file.relative_to(path).as_posix(): read_text(str(file)) for file in files}
    elif path.suffix == ".jsonl":
        lines = read_text(str(path)).split("\n")  # a line of JSON may hold other separators
        found = {f"{path.name}:{number}": _line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()}
    else:
        found = {path.name: read_text(str(path))}
    if not found:
        raise ValueError(f"no texts in {path}; expected .txt or .md files, or lines of JSON")
    return found


def _line(path: Path, number: int, line: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f'{path}, line {number}: expected {{"text": "..."}}')
    return text
