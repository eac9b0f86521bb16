"""From timings to a record, from records to the files in bench/results/ and the tables that people read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kimi_mini.kernels.work import Ceilings, Work

from .harness import Case, Errors, Timing, median_ratio
from .row import Row

RESULTS = Path(__file__).parent / "results"
NOT_MEASURED = "not yet measured"
_HEAD = ("row", "contender", "ms", "ratio to ours", "% floor", "error", "pass")
_SLACK = 1.5  # both errors are rounding of the same arithmetic in another order; a wrong formula is off by far more

Record = dict[str, Any]


def make_record(
    row: Row, threads: int, timings: dict[str, Timing], errors: Errors, case: Case, work: Work | None, ceilings: Ceilings
) -> Record:
    """Everything about one measured row as plain JSON, but where and when."""
    ours = next(iter(timings))
    record: Record = {"row": row.id, "what": row.what, "shape": row.shape, "notes": case.notes, "missing": case.missing}
    record["contenders"] = {
        name: _contender(row, threads, name, timings[name], timings[ours], errors.get(name, {}), work, ceilings)
        for name in case.contenders
    }
    record["gemm_gflops"] = ceilings.flops / 1e9
    if row.device == "cuda":
        record["copy_gbytes"] = ceilings.bytes / 1e9
        record["work"] = None if work is None else {"flops": work.flops, "bytes": work.bytes}
        record["floor_ms"] = None if work is None else work.floor_ms(ceilings)
    record["floor_goal"], record["limit_ms"] = row.floor, row.limit_ms
    record["tolerance"] = row.tolerance if row.tolerance is not None else _SLACK * _best_peer_error(errors, ours)
    return record


def _contender(
    row: Row, threads: int, name: str, timing: Timing, ours: Timing, errors: dict[str, float], work: Work | None, peak: Ceilings
) -> Record:
    on_gpu = row.device == "cuda"
    entry = {"best_ms": timing.best_ms} | ({"median_ms": timing.median_ms} if on_gpu else {})
    return entry | {
        "ratio": median_ratio(timing.wall_ms, ours.wall_ms),
        "cpu_ratio": median_ratio(timing.cpu_ms, ours.cpu_ms),
        "goal": row.goal(name, threads),
        "floor": work.floor_ms(peak) / (timing.median_ms if on_gpu else timing.best_ms) if work else None,
        "errors": errors,
        "wall_ms": timing.wall_ms,
        "cpu_ms": timing.cpu_ms,
    }


def _best_peer_error(errors: Errors, ours: str) -> float:
    return min(max(values.values()) for name, values in errors.items() if name != ours and values)


def verdict(record: Record, name: str) -> str:
    """Ours passes by its errors, its share of the floor and its time, a peer by its ratio; "" where nothing was asked."""
    entry, ours = record["contenders"][name], next(iter(record["contenders"]))
    if name != ours:
        return "" if entry["goal"] is None else _yes(entry["ratio"] >= entry["goal"], f"goal {entry['goal']:.2f}")
    quantity, error, limit = _worst(record, entry["errors"])
    asked = [_yes(error <= limit, f"{'error' if limit == record['tolerance'] else quantity} up to {limit:.1g}")]
    if record["floor_goal"] is not None:
        asked.append(_yes(entry["floor"] >= record["floor_goal"], f"floor {record['floor_goal']:.0%}"))
    if record.get("limit_ms") is not None:
        asked.append(_yes(_ms(entry) <= record["limit_ms"], f"up to {record['limit_ms']:.3g} ms"))
    return "; ".join(asked)


def _worst(record: Record, errors: dict[str, float]) -> tuple[str, float, float]:
    """(quantity, error, limit) of the quantity that is nearest to its limit, or furthest beyond it."""
    tolerance = record["tolerance"]
    limits = tolerance if isinstance(tolerance, dict) else dict.fromkeys(errors, tolerance)
    return max(
        ((name, error, limits[name]) for name, error in errors.items()), key=lambda found: found[1] / max(found[2], 1e-300)
    )


def _ms(entry: Record) -> float:
    """The median of the rounds on a GPU, the best one on a CPU."""
    return entry.get("median_ms", entry["best_ms"])


def _yes(ok: bool, of: str) -> str:
    return f"{'yes' if ok else 'NO'} ({of})"


def label(record: Record) -> str:
    return record["row"] if "gpu" in record else f"{record['row']} {record['threads']}t"


def lines(record: Record) -> list[tuple[str, ...]]:
    """One line per contender, and per peer that did not run, in the columns of the table."""
    on_gpu = "gpu" in record
    found = [
        (
            label(record), name, f"{_ms(entry):.3f}" if on_gpu else f"{_ms(entry):.1f}",
            f"{entry['ratio']:.2f}" + ("" if on_gpu else f" (CPU {entry['cpu_ratio']:.2f})"),
            "" if entry["floor"] is None else f"{entry['floor']:.0%}",
            f"{_worst(record, entry['errors'])[1]:.1e}" if entry["errors"] else "", verdict(record, name),
        )
        for name, entry in record["contenders"].items()
    ]  # fmt: skip
    return found + [(label(record), name, "", "", "", "", why) for name, why in record.get("missing", {}).items()]


def needs(row: Row) -> str:
    return "needs a CUDA GPU of compute capability 8.0 or more" if row.device == "cuda" else "needs a CPU"


def table(records: list[Record], unmeasured: Sequence[Row] = ()) -> str:
    """A Markdown table that also reads well in a terminal."""
    rows = [_HEAD, *(line for record in records for line in lines(record))]
    rows += [(row.id, "ours", NOT_MEASURED, "", "", "", "") for row in unmeasured]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


# ---- files -----------------------------------------------------------------------------------------------------------


def key(row: Row, threads: int) -> str:
    """What a row's record is filed under."""
    return f"{row.id} {threads}t" if row.device == "cpu" else row.id


def load(path: Path) -> dict[str, Record]:
    """The records of one results file by `key`; empty if there is no such file. Raises ValueError if damaged."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); expected JSON written by python -m bench, or no file") from None


def save(path: Path, records: dict[str, Record]) -> None:
    """Write by rename: an interrupted run leaves the rows that were finished."""
    _replace(path, json.dumps(records, indent=1) + "\n")


def newest(folder: Path) -> dict[str, Record]:
    """Of each row (on a CPU: and number of threads) the newest record in any of the folder's JSON files, by `key`."""
    found: dict[str, Record] = {}
    for path in sorted(folder.glob("*.json")):
        for name, record in load(path).items():
            if name not in found or record["date"] >= found[name]["date"]:
                found[name] = record
    return found


def write_readme(folder: Path, rows: Sequence[Row]) -> None:
    """README.md of a results folder: every row with its newest record, or with the word that there is none."""
    order = {row.id: place for place, row in enumerate(rows)}
    records = sorted(newest(folder).values(), key=lambda r: ("gpu" in r, r["threads"], order.get(r["row"], len(order))))
    measured = {record["row"] for record in records}
    what = [
        f"- **{name}**: {text}"
        for name, text in ({r["row"]: r["what"] for r in records} | {r.id: r.what for r in rows}).items()
    ]
    whole = table(records, [row for row in rows if row.id not in measured])
    _replace(folder / "README.md", "\n".join([_INTRODUCTION, *what, "", whole, "", "Measured:", *_places(records), ""]))


def _places(records: list[Record]) -> list[str]:
    return [f"- {label(r)}: {_place(r)}" for r in records]


def _place(r: Record) -> str:
    rounds = len(next(iter(r["contenders"].values()))["wall_ms"])
    versions = f"torch {r['torch']}, transformers {r['transformers']}, commit {r['commit']}, {rounds} rounds, `{r['command']}`"
    if "gpu" not in r:
        where = f"{r['cpu']} ({r['cores']} cores, load {r['load_average']}), GEMM {r['gemm_gflops']:.0f} GFLOP/s"
        return f"{r['date']}, {where}, {versions}"
    ceilings = f"GEMM {r['gemm_gflops'] / 1e3:.0f} TFLOP/s, copy {r['copy_gbytes'] / 1e3:.2f} TB/s"
    stack = f"driver {r['driver']}, CUDA {r['cuda']}, triton {r['triton']}"
    notes = "; ".join(f"{name} {value:.4g}" for name, value in r["notes"].items())
    return f"{r['date']}, {r['gpu']}, {ceilings}, {stack}, {versions}" + (f". {notes}" if notes else "")


_INTRODUCTION = """# Results

Generated by `python -m bench` from the JSON files beside this page; do not edit. Ours is the first contender of each row.

Rows that begin with C run on a CPU, all others on a GPU. A row that no device has run yet says "not yet measured".

- *ms* is on a CPU the best round (on a shared machine it is soft; trust the ratio), on a GPU the median round, with the cache
  flushed before every call.
- *ratio to ours* is how many times our time the contender needs: the median over interleaved rounds, by the wall clock and,
  on a CPU in brackets, by process CPU time.
- *% floor* is the time that FLOPs and bytes need at the ceilings measured in the same rounds (CPU: a 1024^3 fp32 product, and
  bytes cost nothing; GPU: an 8192^3 bf16 product and a copy of 1 GiB), as a share of the time taken.
- *error* is the largest relative error against float64 (each matrix or tensor by itself), or the one that is nearest to its
  limit. In C4 it is the share of tokens that transformers, fed the same text, would not have chosen; in G14 how much less
  likely the tokens are than the best ones, in nats, to a pass in fp32; in G15 how far log-probabilities are off those of a
  pass over the whole answer.
- *pass* holds a line against its goal, which was fixed before the rows were written; a peer that did not run says why.

Rows:
"""


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
