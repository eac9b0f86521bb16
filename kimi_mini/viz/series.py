"""Recorded series in JSON: float16 in base64. Runs write them, pages read them (41-series.js), both to about half a percent."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require


def pack(series: Any) -> str:
    """Numbers as text. What may outgrow float16, such as logits, goes through asinh first (a logarithm that takes any sign)."""
    return base64.b64encode(np.asarray(series, dtype="<f2").tobytes()).decode()


def read_rows(folder: str | Path, run: str, names: str = "*.json") -> list[dict[str, Any]]:
    """The rows that `python -m runs.RUN` left in `folder`, by file name. Raises ValueError where there is none."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob(names))]
    require(bool(rows), "folder", str(folder), f"one with recorded points; `python -m runs.{run}` makes them")
    return rows


def unpack(text: str, shape: Sequence[int]) -> np.ndarray:
    """What `pack` was given, as float32 in `shape`."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32).reshape(shape)
