"""`eval --bench`: answers of a model here or behind an endpoint, marked."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..evals.subjects import Subject

_DEFAULT_LOG = "runs/out/evals.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    number = {"type": int, "metavar": "N"}
    group = parser.add_argument_group("benchmarks")
    group.add_argument("--bench", nargs="+", metavar="NAME", help="benchmarks to ask, or all; an unknown name lists them")
    group.add_argument(
        "--endpoint", metavar="URL", help="of a server's API, as in http://localhost:8000/v1; --model names its model"
    )
    group.add_argument("--problems", default=64, help="of each benchmark (default: %(default)s)", **number)
    group.add_argument("--samples", default=4, help="answers to each problem (default: %(default)s)", **number)
    group.add_argument("--temperature", type=float, default=1.0, metavar="X", help="of the answers (default: %(default)s)")
    group.add_argument(
        "--seed", default=0, help="the same seed, the same answers of a model here (default: %(default)s)", **number
    )
    group.add_argument("--workers", default=4, help="requests at a time (default: %(default)s)", **number)
    group.add_argument("--log", default=_DEFAULT_LOG, metavar="FILE", help="every marked answer (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..evals.measure import Settings, benchmarks, measure
    from ..sandbox import SandboxUnavailable
    from ..synth import JobLog

    if args.text is not None:
        raise ValueError("--text and --bench are two measurements; expected one of them")
    chosen = benchmarks(args.bench)
    settings = Settings(args.problems, args.samples, args.temperature, args.seed)
    subject = _subject(args)
    rows, left_out = [], {}
    with JobLog(args.log) as log:
        for name, task in chosen.items():
            try:
                with tqdm(total=settings.problems, desc=name, unit="problem", leave=False, disable=None) as bar:
                    rows.append(measure(subject, task, settings, log, bar.update))
            except SandboxUnavailable as missing:
                left_out[name] = str(missing)
                print(f"{name} is left out: {missing}", file=sys.stderr)
    told = {"subject": subject.name, "log": args.log, "versions": _versions(), "benchmarks": rows, "left_out": left_out}
    print(json.dumps(told, indent=2) if args.json else f"{subject.name}\n{_table(rows)}")


def _subject(args: argparse.Namespace) -> Subject:
    from ..evals.subjects import LocalSubject, RemoteSubject, fingerprint
    from ..synth import OpenAIEndpoint
    from .folder import load
    from .train import DEFAULT_OUT

    if args.endpoint:
        if args.model == DEFAULT_OUT:
            raise ValueError("--endpoint needs --model; expected the name of a model that the server offers")
        return RemoteSubject(OpenAIEndpoint(args.endpoint, args.model), args.workers)
    model, tokenizer, _, _ = load(args.model)
    return LocalSubject(model, tokenizer, f"{args.model}@{fingerprint(model)}")


def _versions() -> dict[str, str]:
    import torch

    import kimi_mini as km

    return {"kimi_mini": km.__version__, "torch": torch.__version__, "python": platform.python_version()}


def _table(rows: list[dict[str, Any]]) -> str:
    width = max(map(len, ["benchmark", *(row["benchmark"] for row in rows)]))
    lines = [f"{'benchmark':<{width}}  problems  Avg@k  95 % interval  pass@k   k  tokens  cut off"]
    for row in rows:
        mean, best = row["average"], row["pass_at"][str(row["samples"])]["value"]
        lines.append(
            f"{row['benchmark']:<{width}}  {row['asked']:8}  {mean['value']:5.1%}  {mean['low']:5.1%} - {mean['high']:5.1%}  "
            f"{best:6.1%}  {row['samples']:2}  {row['tokens']['mean']:6.1f}  {row['truncated'] / row['answers']:7.1%}"
        )
    return "\n".join(lines)
