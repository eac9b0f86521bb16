"""The recorded points of `runs.position` as arrays: losses by stretch of 64 positions, three seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from .series import read_rows


class Recording:
    """All seeds. Losses are in nats a token, as differences to the same tokens read in pieces of the trained length."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.seeds = [row["seed"] for row in rows]
        self.short, self.longer, self.long = (rows[0][name] for name in ("short", "longer", "long"))

    @property
    def buckets(self) -> list[tuple[int, int]]:
        """Stretches from first to last (exclusive) that double in length: the trained one, up to twice, four times, ..."""
        edges = [0, *(2**power for power in range((self.long // self.short).bit_length()))]
        return list(zip(edges, edges[1:], strict=False))

    def stretches(self, reading: str, stage: str = "short") -> np.ndarray:
        """loss[seed, stretch] of one way of reading. Raises ValueError for one that was not recorded."""
        known = self.rows[0]["losses"].get(stage, {})
        require(reading in known, "reading", f"{stage}: {reading}", " or ".join(known) or "stage short or longer")
        return np.array([row["losses"][stage][reading] for row in self.rows])

    def excess(self, reading: str, stage: str = "short") -> np.ndarray:
        """excess[seed, bucket]: how much more a token costs than in pieces, which need no positions beyond the trained."""
        more = self.stretches(reading, stage) - self.stretches("pieces", stage)
        return np.stack([more[:, first:last].mean(1) for first, last in self.buckets], axis=1)


def load_recording(folder: str | Path) -> Recording:
    """The recorded points of `runs.position`. Raises ValueError for a folder without any, or of unequal lengths."""
    rows = read_rows(folder, "position", "seed*.json")
    lengths = {(row["short"], row["long"]) for row in rows}
    require(len(lengths) == 1, "recorded lengths", sorted(lengths), "the same in every point")
    return Recording(rows)
