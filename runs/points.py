"""The command that every run of many points has: list them with their cost, share them out, make those that are missing.

A point is anything with a `name`; its row is the file `name`.json, there whole or not at all. A second call skips it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from kimi_mini import corpus
from kimi_mini.corpus.files import Corpus

from .output import write_json


class Point(Protocol):
    """One row to be: its name is a file's name."""

    @property
    def name(self) -> str: ...


def run_points(
    argv: list[str] | None,
    *,
    doc: str | None,
    points: Iterable[Point],
    record: Callable[[Any, Corpus], dict[str, Any]],
    folder: Path,
    seconds: float,
) -> None:
    """Parse `argv` and record what is not there yet in `folder` (or --out).

    `seconds` is what a point took on one core where it was written; what the rows that are there say about themselves
    (their "seconds") counts more. The sum over the missing points is told before the first one starts.
    """
    args = _arguments(argv, doc, folder)
    mine = list(points)[args.shard[0] :: args.shard[1]]
    files = {point.name: args.out / f"{point.name}.json" for point in mine}
    missing = [point for point in mine if not files[point.name].exists()]
    if args.list:
        print("\n".join(f"{'missing' if point in missing else 'done':8}{point.name}" for point in mine))
    told = [json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in files.values() if path.exists()]
    each = sum(told) / len(told) if told else seconds
    cost = f"{len(missing)} of {len(mine)} points are missing: about {len(missing) * each / 60:.0f} minutes on one core"
    if args.list or not missing:
        tqdm.write(cost)
        return
    tqdm.write(f"{cost}, {each:.0f} s each")
    text = corpus.load()
    for point in tqdm(missing, desc="points"):
        write_json(files[point.name], record(point, text))


def _shard(text: str) -> tuple[int, int]:
    index, count = map(int, text.split("/"))
    if not 0 <= index < count:
        raise argparse.ArgumentTypeError(f"{text}; expected I/N with 0 <= I < N, such as 0/2")
    return index, count


def _arguments(argv: list[str] | None, doc: str | None, folder: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the points and what the missing ones cost, and stop")
    parser.add_argument("--shard", type=_shard, default=(0, 1), metavar="I/N", help="only every N-th point, from the I-th")
    parser.add_argument("--out", type=Path, default=folder, metavar="FOLDER", help="default: %(default)s")
    return parser.parse_args(argv)
