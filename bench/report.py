"""From timings to a record, from records to the files in bench/results/ and the tables that people read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .harness import GEMM, GEMM_FLOPS, Errors, Timing, median_ratio
from .registry import Row

RESULTS = Path(__file__).parent / "results"
_HEAD = ("row", "contender", "ms", "ratio to ours", "% floor", "error", "pass")
_SLACK = 1.5  # both errors are rounding of the same arithmetic in another order; a wrong formula is off by far more

Record = dict[str, Any]


def make_record(
    row: Row, threads: int, timings: dict[str, Timing], errors: Errors, flops: float | None, notes: dict, where: dict
) -> Record:
    """Everything about one measured row as plain JSON."""
    ours = next(iter(timings))
    record: Record = {"row": row.id, "what": row.what, "shape": row.shape, "notes": notes, "contenders": {}, **where}
    for name, timing in timings.items():
        if name == GEMM:
            record["gemm_gflops"] = GEMM_FLOPS / timing.best_ms / 1e6
            continue
        record["contenders"][name] = {
            "best_ms": timing.best_ms,
            "ratio": median_ratio(timing.wall_ms, timings[ours].wall_ms),
            "cpu_ratio": median_ratio(timing.cpu_ms, timings[ours].cpu_ms),
            "goal": row.goal(name, threads),
            "floor": flops / timing.best_ms / (GEMM_FLOPS / timings[GEMM].best_ms) if flops else None,
            "errors": errors.get(name, {}),
            "wall_ms": timing.wall_ms,
            "cpu_ms": timing.cpu_ms,
        }
    record["floor_goal"] = row.floor
    record["tolerance"] = row.tolerance if row.tolerance is not None else _SLACK * _best_peer_error(errors, ours)
    return record


def _best_peer_error(errors: Errors, ours: str) -> float:
    return min(max(values.values()) for name, values in errors.items() if name != ours)


def verdict(record: Record, name: str) -> str:
    """Ours passes by its errors and its share of the floor, a peer's line by its ratio; "" where nothing was asked."""
    entry, ours = record["contenders"][name], next(iter(record["contenders"]))
    if name != ours:
        return "" if entry["goal"] is None else _yes(entry["ratio"] >= entry["goal"], f"goal {entry['goal']:.2f}")
    right = _yes(max(entry["errors"].values()) <= record["tolerance"], f"error up to {record['tolerance']:.1g}")
    if record["floor_goal"] is None:
        return right
    return right + "; " + _yes(entry["floor"] >= record["floor_goal"], f"floor {record['floor_goal']:.0%}")


def _yes(ok: bool, of: str) -> str:
    return f"{'yes' if ok else 'NO'} ({of})"


def lines(record: Record) -> list[tuple[str, ...]]:
    """One line per contender, in the columns of the table."""
    label = f"{record['row']} {record['threads']}t"
    return [
        (
            label, name, f"{entry['best_ms']:.1f}", f"{entry['ratio']:.2f} (CPU {entry['cpu_ratio']:.2f})",
            "" if entry["floor"] is None else f"{entry['floor']:.0%}",
            f"{max(entry['errors'].values()):.1e}" if entry["errors"] else "", verdict(record, name),
        )
        for name, entry in record["contenders"].items()
    ]  # fmt: skip


def table(records: list[Record]) -> str:
    """A Markdown table that also reads well in a terminal."""
    rows = [_HEAD, *(line for record in records for line in lines(record))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


# ---- files -----------------------------------------------------------------------------------------------------------


def key(row_id: str, threads: int) -> str:
    return f"{row_id} {threads}t"


def load(path: Path) -> dict[str, Record]:
    """The records of one results file by "row threads"; empty if there is no such file. Raises ValueError if damaged."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); expected JSON written by python -m bench, or no file") from None


def save(path: Path, records: dict[str, Record]) -> None:
    """Write by rename: an interrupted run leaves the rows that were finished."""
    _replace(path, json.dumps(records, indent=1) + "\n")


def write_readme(folder: Path, order: list[str]) -> None:
    """README.md of a results folder: of each row and number of threads the newest record in any of its JSON files."""
    newest: dict[str, Record] = {}
    for path in sorted(folder.glob("*.json")):
        for name, record in load(path).items():
            if name not in newest or record["date"] >= newest[name]["date"]:
                newest[name] = record
    records = sorted(newest.values(), key=lambda r: (r["threads"], order.index(r["row"]) if r["row"] in order else len(order)))
    what = [f"- **{name}**: {text}" for name, text in {r["row"]: r["what"] for r in records}.items()]
    _replace(
        folder / "README.md", "\n".join([_INTRODUCTION, *what, "", table(records), "", "Measured:", *_places(records), ""])
    )


def _places(records: list[Record]) -> list[str]:
    return [
        f"- {key(r['row'], r['threads'])}: {r['date']}, {r['cpu']} ({r['cores']} cores, load {r['load_average']}), "
        f"GEMM {r['gemm_gflops']:.0f} GFLOP/s, torch {r['torch']}, transformers {r['transformers']}, commit {r['commit']}, "
        f"{len(next(iter(r['contenders'].values()))['wall_ms'])} rounds, `{r['command']}`"
        for r in records
    ]


_INTRODUCTION = """# Results

Generated by `python -m bench` from the JSON files beside this page; do not edit. Ours is the first contender of each row.

- *ms* is the best round. On a shared machine it is soft; trust the ratio.
- *ratio to ours* is how many times our time the contender needs: the median over interleaved rounds, by the wall clock and,
  in brackets, by process CPU time.
- *% floor* is the share of the GEMM peak (a 1024^3 fp32 product in the same rounds) reached by the matrix products alone.
- *error* is the largest relative error against float64 (C1 to C3 and C5; each matrix or tensor by itself); in C4 it is the
  share of tokens that transformers, fed the same text, would not have chosen.
- *pass* holds a line against its goal, which was fixed before the rows were written.

Rows:
"""


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
