"""The recorded points of `runs.routes`: sentences with every expert's score, and what foretells a choice."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require

STEP = 65535  # scores lie between 0 and 1; in 16 bits they keep the order that float16 would lose among near equals


def pack_scores(scores: Any) -> str:
    """Numbers from 0 to 1 as text, to within a hundred-thousandth."""
    return base64.b64encode(np.rint(np.asarray(scores, dtype=float) * STEP).astype("<u2").tobytes()).decode()


def unpack_scores(text: str, shape: Sequence[int]) -> np.ndarray:
    """What `pack_scores` was given, as float64 in `shape`."""
    return (np.frombuffer(base64.b64decode(text), "<u2") / STEP).reshape(shape)


def load_routes(folder: str | Path) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]]]:
    """(the domains' rows, the measures by windows a domain). Raises ValueError for a folder without them."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))]
    domains = [row for row in rows if "domain" in row]
    measures = {row["windows"]: row for row in rows if "windows" in row}
    wanted = "one with recorded points; `python -m runs.routes` makes them"
    require(bool(domains) and bool(measures), "folder", str(folder), wanted)
    return domains, measures
