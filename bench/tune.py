"""python -m bench.tune: one row with its kernel cut in a few other ways. What wins is written into the kernel's table by hand.

    python -m bench.tune G1.s8k.h16 attention_triton._CONFIGS T_BLOCK=64,128 S_BLOCK=64,128 warps=8 stages=2,3

tries every combination (at most eight) as the table's entry for the GPU at hand and prints its time and error beside those of
the entry that is there. Parameters that are not named keep its values. A combination that does not fit the GPU says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import product

import torch

from kimi_mini.kernels import launch
from kimi_mini.kernels.launch import Config

from .gpu.common import OURS
from .harness import clock_of, measure
from .registry import select
from .row import Row, Shape

_MOST, _ROUNDS = 8, 10

Table = dict[str, Config]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 2 for a request that cannot be met."""
    args = _parser().parse_args(arguments)
    try:
        (row,) = select([args.row])
        table = find_table(args.table)
        if not torch.cuda.is_available():
            raise ValueError("there is no GPU here; expected one: times in the interpreter say nothing")
        entry = "fp32" if args.fp32 else launch.family()
        candidates = combinations(table[entry], args.values)
    except (ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in search(row, row.shape, torch.device("cuda"), table, entry, candidates):
        print(line, flush=True)
    return 0


def find_table(name: str) -> Table:
    """`MODULE.TABLE` of kimi_mini.kernels. Raises ValueError for one that is not there."""
    module, _, attribute = name.rpartition(".")
    try:
        table = getattr(import_module(f"kimi_mini.kernels.{module}"), attribute)
    except (ImportError, AttributeError):
        table = None
    if not isinstance(table, dict) or not all(isinstance(entry, Config) for entry in table.values()):
        raise ValueError(f"table = {name!r} is no table of configurations; expected one such as attention_triton._CONFIGS")
    return table


def combinations(entry: Config, values: list[str]) -> list[Config]:
    """The entry itself, then every combination of `NAME=A,B` with the other parameters as they are.

    Raises ValueError for a parameter that the entry does not have, and for more than eight combinations.
    """
    choices = {name: [int(v) for v in given.split(",")] for name, _, given in (value.partition("=") for value in values)}
    known = {*entry.tiles, "warps", "stages"}
    if not choices.keys() <= known:
        raise ValueError(f"{sorted(choices.keys() - known)} are no parameters of this kernel; expected of {sorted(known)}")
    found = []
    for picked in product(*choices.values()):
        chosen = dict(zip(choices, picked, strict=True))
        tiles = {name: chosen.get(name, size) for name, size in entry.tiles.items()}
        found.append(replace(entry, tiles=tiles, **{name: chosen[name] for name in ("warps", "stages") if name in chosen}))
    if len(found) > _MOST:
        raise ValueError(f"{len(found)} combinations are too many; expected at most {_MOST} (the offline gate rules some out)")
    return [entry, *(config for config in found if config != entry)]


def search(row: Row, shape: Shape, device: torch.device, table: Table, entry: str, candidates: list[Config]) -> Iterator[str]:
    """A line for each candidate: milliseconds and worst error of ours, or why it does not run."""
    for config in candidates:
        with _entry(table, entry, config):
            try:
                case = row.build(device, **shape)
                for peer in [name for name in case.contenders if name != OURS]:
                    del case.contenders[peer]
                errors = case.check()[OURS]
                timing = measure(case.contenders, _ROUNDS, clock=clock_of(device))[OURS]
                outcome = f"{timing.median_ms:.4f} ms, error {max(errors.values()):.1e}"
            except Exception as error:  # out of shared memory, a tile the compiler refuses
                outcome = f"does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
        yield f"{config.tiles} warps={config.warps} stages={config.stages}: {outcome}"


@contextmanager
def _entry(table: Table, entry: str, config: Config) -> Iterator[None]:
    before, table[entry] = table[entry], config
    try:
        yield
    finally:
        table[entry] = before


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tune", description=__doc__.split("\n")[0])
    parser.add_argument("row", help="a row for a GPU, in full")
    parser.add_argument("table", help="MODULE.TABLE of kimi_mini.kernels")
    parser.add_argument("values", nargs="+", help="NAME=A,B,... for tiles, warps and stages")
    parser.add_argument("--fp32", action="store_true", help="the entry for fp32 inputs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
