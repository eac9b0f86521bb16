"""What a student handed in: files read with suspicion, and their functions tried in the sandbox."""

from __future__ import annotations

import builtins
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kimi_mini.sandbox import Limits, run

MAX_BYTES = 10 << 20  # of a notebook
SECONDS = 20.0  # for all cases of one exercise
START = 30.0  # for importing torch on a busy machine
PACKAGES = ("kimi_mini", "torch", "numpy", "einops", "safetensors", "tokenizers", "tqdm")
HARNESS = Path(__file__).with_name("_harness.py")


@dataclass
class Tried:
    """What came of one function: an outcome per case as far as it got, or why there is none."""

    outcomes: list[Any] = field(default_factory=list)
    why: str | None = None


def read_plain(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A file's content. Raises ValueError, saying why, for what is missing, a link, no plain file, empty or too large."""
    if path.is_symlink() or not path.is_file():
        others = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        raise ValueError(f"there is no file {path.name}" + (f", only {', '.join(others[:5])}" if others else ""))
    size = path.stat().st_size
    if not 0 < size <= limit:
        raise ValueError(f"{path.name} is empty" if size == 0 else f"{path.name} has {size:,} bytes; {limit:,} are allowed")
    return path.read_bytes()


def read_cells(content: bytes) -> list[dict[str, Any]]:
    """Cells of a notebook, each a dict with cell_type, source (text) and metadata. Raises ValueError for anything else."""
    try:
        cells = json.loads(content)["cells"]
        return [_cell(cell) for cell in cells]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("the notebook cannot be read: it is no JSON of nbformat 4") from None


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    metadata = cell.get("metadata")
    return {"cell_type": cell["cell_type"], "source": text, "metadata": metadata if isinstance(metadata, dict) else {}}


def try_functions(cells: list[dict[str, Any]], cases: dict[str, list[dict]]) -> tuple[dict[str, Tried], list[str]]:
    """Call each function of `cases` on its stored cases; also say what of the notebook could not be used.

    Raises SandboxUnavailable where nothing can be isolated, which is no fault of the student's.
    """
    code = [cell["source"] if cell["cell_type"] == "code" else "" for cell in cells]
    exercises = [{"function": function, "cases": stored} for function, stored in cases.items()]
    job = {"cells": code, "exercises": exercises, "seconds": SECONDS}
    seconds = START + SECONDS * len(cases)
    output = (len(cases) + 1) * (16 << 20)
    limits = Limits(seconds, int(seconds), memory_bytes=3 << 30, output_bytes=output, processes=16)
    files = {"job.json": json.dumps(job).encode(errors="surrogatepass")}
    outcome = run(HARNESS.read_text(encoding="utf-8"), files=files, limits=limits, packages=PACKAGES)
    try:
        said = json.loads(outcome.stdout)
        notes = [_note(number, name) for number, name in said["broken"]]
        tried = {}
        for function in cases:
            tried[function], failed = _read_exercise(said["exercises"][function])
            notes += [_note(number, name) for number, name in failed]
        return tried, list(dict.fromkeys(notes))
    except Exception:  # whatever is in there instead, the hand-in wrote it
        why = f"the run of this notebook was ended from within, or by a limit ({outcome.status})"
        return {function: Tried(why=why) for function in cases}, []


def _read_exercise(entry: dict[str, Any]) -> tuple[Tried, list]:
    """Outcomes of one exercise, and what could not be defined. What ends in the middle of a line is left out."""
    lines = [json.loads(line) for line in entry["said"].split("\n")[:-1]]
    if lines and not lines[0]["defined"]:
        return Tried(why="the notebook does not define it"), lines[0]["failed"]
    ends = {"timeout": f"it did not end within {SECONDS:.0f} s", "flood": "it said far too much", "end": "it ended its process"}
    return Tried(lines[1:], ends[entry["end"]]), lines[0]["failed"] if lines else []


def _note(number: Any, name: Any) -> str:
    """A note for the student, made of nothing that hidden cases could be put into."""
    return f"cell {int(number)} could not be used as a whole: {error_kind(name)}"


def error_kind(text: Any) -> str:
    """The name of a built-in error that a text begins with; "an error" for any other."""
    name = text.partition(":")[0] if isinstance(text, str) else ""
    kind = getattr(builtins, name, None)
    return name if isinstance(kind, type) and issubclass(kind, BaseException) else "an error"
