"""MINI on the book's own benchmarks: Avg@4 and pass@k with intervals over problems, one file a model in book/data/evals.

Without --model: MINI as it ships, into mini.json; another model goes into NAME.json. A second call asks only for what is
missing (every answered problem is in a log); the file is written again after each benchmark.

A file holds "subject", "made_by", where it was made, and "benchmarks", a list of rows as `kimi_mini.evals.measure.measure`
returns them: "benchmark", "asked" (problems), "samples", "average" {"value", "low", "high"}, "pass_at" {"1": {"value", "low",
"high"}, ...}, "tokens" {"mean", "most"}, "truncated" and "answers" (so many were cut off, of so many), "parts" (means of what
the verifier looks at), "problems" [{"id", "right"}, ...]; and "shown", one answered problem: what was asked, the first answer
and its parts.

examples:
  python -m runs.evals                                          MINI as it ships (about ten minutes on one core)
  python -m runs.evals --model runs/out/rl --name climbed       a trained one
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kimi_mini.cli.folder import MINI, load
from kimi_mini.evals.measure import Settings, benchmarks, held_out, measure
from kimi_mini.evals.subjects import LocalSubject, fingerprint
from kimi_mini.rl import Task
from kimi_mini.synth import JobLog
from runs.output import made_here, write_json

FOLDER = Path("book/data/evals")
SETTINGS = Settings(problems=64, samples=4)
FEWER = replace(SETTINGS, problems=16)  # for worlds whose declared tools take 600 to 900 tokens to read


def main(argv: list[str] | None = None) -> None:
    """Ask what is missing and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MINI, metavar="FOLDER", help="as for `eval` (default: %(default)s)")
    parser.add_argument("--name", default=MINI, help="of the file (default: %(default)s)")
    parser.add_argument("--log", default="runs/out/evals.jsonl", metavar="FILE", help="default: %(default)s")
    args = parser.parse_args(argv)
    model, tokenizer, _, _ = load(args.model)
    subject = LocalSubject(model, tokenizer, f"{args.name}@{fingerprint(model)}")
    content: dict[str, Any] = {"made_by": "python -m runs.evals", "subject": subject.name, **made_here(), "benchmarks": []}
    with JobLog(args.log) as log:
        for task in tqdm(benchmarks(["all"]).values(), desc="benchmarks"):
            settings = FEWER if len(task.problem(0).tools) > 1 else SETTINGS
            content["benchmarks"].append(row(subject, task, settings, log))
            write_json(FOLDER / f"{args.name}.json", content, indent=1)


def row(subject: LocalSubject, task: Task, settings: Settings, log: JobLog) -> dict[str, Any]:
    """A benchmark's row, with its first problem and the first answer to it."""
    measured = measure(subject, task, settings, log)
    first = held_out(task, 1)[0]
    (again,) = subject.attempts(task, [first], 1, temperature=settings.temperature, seed=settings.seed)
    shown = {"asked": first.messages[-1]["content"], "answer": again[0].text, "parts": again[0].parts}
    return measured | {"shown": shown}


if __name__ == "__main__":
    main()
