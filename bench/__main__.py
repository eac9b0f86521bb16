"""python -m bench: run rows, print their table, keep their records."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from . import report
from .harness import GEMM, gemm_contender, measure, provenance
from .registry import ROWS, Row, select

_ROUNDS, _QUICK_ROUNDS = 15, 3


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 2 for a request that cannot be met, else 0, whatever the ratios say."""
    args = _parser().parse_args(arguments)
    try:
        rows, records = select(args.rows), report.load(args.out)
        if args.rounds is not None and args.rounds < 1:
            raise ValueError(f"rounds = {args.rounds} will not do; expected a number >= 1")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(args.threads)
    rounds = args.rounds or (_QUICK_ROUNDS if args.quick else _ROUNDS)
    done = []
    for row in rows:
        name = report.key(row.id, args.threads)
        if not (args.resume and name in records):
            records[name] = run(row, rounds, args.threads)
            report.save(args.out, records)
            report.write_readme(args.out.parent, [row.id for row in ROWS])
        done.append(records[name])
        print(report.table([records[name]]), flush=True)
    print(f"\n{report.table(done)}\n\nrecords: {args.out}")
    return 0


def run(row: Row, rounds: int, threads: int, shape: dict[str, int] | None = None) -> report.Record:
    """Build one row, check its results, time it. `shape` replaces the row's own."""

    def progress(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{row.id}: {line}", end="", file=sys.stderr, flush=True)

    where = provenance(threads)
    progress("building")
    case = row.build(**(row.shape if shape is None else shape))
    progress("checking results")
    errors = case.check()
    timings = measure(case.contenders | {GEMM: gemm_contender()}, rounds, progress)
    progress("done\n")
    return report.make_record(row, threads, timings, errors, case.flops, case.notes, where)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed beside peers, correctness beside speed.")
    today = report.RESULTS / f"cpu-{time.strftime('%Y-%m-%d')}.json"
    parser.add_argument("rows", nargs="*", help=f"rows or groups of rows (default: all): {', '.join(row.id for row in ROWS)}")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1, help="threads of torch (default: 1)")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds per row (default: {_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds: a look, not a result")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the file already holds, run the others")
    parser.add_argument(
        "--out", type=Path, default=today, help="results file; rows are written as they finish (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
