"""python -m bench: run rows, print their table, keep their records."""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from pathlib import Path

import torch

from . import report
from .harness import ceiling_contenders, ceilings_of, clock_of, measure, provenance, release_memory
from .registry import ROWS, select
from .row import Row, Shape

_ROUNDS, _QUICK_ROUNDS = 15, 3
_GPU_SECONDS = 6.0  # for the rounds of one row: the whole suite should fit into some eight minutes of a GPU


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 2 for a request that cannot be met, 1 when a row broke down, else 0, whatever the ratios say."""
    args = _parser().parse_args(arguments)
    try:
        rows = select(args.rows)
        if args.rounds is not None and args.rounds < 1:
            raise ValueError(f"rounds = {args.rounds} will not do; expected a number >= 1")
        here = [row for row in rows if _has(row.device)]
        for row in rows:
            if row not in here:
                print(f"{row.id}: {report.needs(row)}; {report.NOT_MEASURED}")
        if not here:
            raise ValueError(f"none of {len(rows)} rows can run here; expected a GPU of compute capability 8.0 or more")
        files = {row.device: args.out or _file(row.device) for row in here}
        records = {path: report.load(path) for path in files.values()}
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(args.threads)
    rounds = args.rounds or (_QUICK_ROUNDS if args.quick else _ROUNDS)
    done, broken = [], {}
    for row in here:
        name, path = report.key(row, args.threads), files[row.device]
        kept = records[path]
        if not (args.resume and name in kept):
            try:
                kept[name] = run(row, rounds, args.threads)
            except Exception as error:  # one row that breaks down must not cost the others a rare GPU
                if row.device == "cpu":
                    raise
                broken[row.id] = error
                print(f"{row.id} broke down: {type(error).__name__}: {error}", file=sys.stderr)
                if not _recovered():
                    print("the GPU does not answer any more; run again with --resume", file=sys.stderr)
                    break
                continue
            report.save(path, kept)
            report.write_readme(path.parent, ROWS)
        done.append(kept[name])
        print(report.table([kept[name]]), flush=True)
    print(f"\n{report.table(done)}\n\nrecords: {', '.join(map(str, dict.fromkeys(files.values())))}")
    if broken:
        print(f"broke down: {', '.join(broken)}", file=sys.stderr)
    return int(bool(broken))


def run(row: Row, rounds: int, threads: int, shape: Shape | None = None, device: torch.device | None = None) -> report.Record:
    """Build one row, check its results, time it. `shape` and `device` replace the row's own."""
    shape, device = row.shape if shape is None else shape, device or torch.device(row.device)

    def progress(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{row.id}: {line}", end="", file=sys.stderr, flush=True)

    where = provenance(threads, device)
    progress("building")
    release_memory()
    case = row.build(**shape) if row.device == "cpu" else row.build(device, **shape)
    progress("checking results")
    errors = case.check()
    ceilings = ceiling_contenders(device)
    runs = case.contenders | {name: ceiling.run for name, ceiling in ceilings.items()}
    timings = measure(runs, rounds, progress, clock_of(device), _GPU_SECONDS if device.type == "cuda" else math.inf)
    progress("done\n")
    reached = ceilings_of(ceilings, timings)
    return report.make_record(row, threads, timings, errors, case, row.work(shape), reached) | where


def _has(device: str) -> bool:
    return device == "cpu" or (torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0))


def _recovered() -> bool:
    """Whether the GPU still works after a row broke down; what the row held is given back."""
    try:
        torch.cuda.synchronize()
        release_memory()
        return True
    except RuntimeError:
        return False


def _file(device: str) -> Path:
    """bench/results/DEVICE-DATE.json."""
    name = "cpu" if device == "cpu" else re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")
    return report.RESULTS / f"{name}-{time.strftime('%Y-%m-%d')}.json"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed beside peers, correctness beside speed.")
    parser.add_argument(
        "rows", nargs="*", help=f"rows or groups of rows (default: all): cpu, gpu, {', '.join(row.id for row in ROWS)}"
    )
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1, help="threads of torch (default: 1)")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds per row (default: {_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds: a look, not a result")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the file already holds, run the others")
    parser.add_argument(
        "--out", type=Path, help=f"results file; rows are written as they finish (default: {report.RESULTS}/DEVICE-DATE.json)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
