"""What `runs.critic` recorded, read back: for each setting and seed the curves and the cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import require

SETTINGS = {"frozen": "critic frozen", "closed": "loop closed", "rules": "frozen, with rules"}
HOW = "make them with python -m runs.critic"
CURVES = ("score", "truth", "helpful", "praise", "justification", "hedge", "words", "sums", "probe")


class Curves(NamedTuple):
    """One run: arrays over its points, agreement NaN where no pair of unequal truth was left, and the cards."""

    step: np.ndarray
    values: dict[str, np.ndarray]
    agreement: np.ndarray
    pairs: np.ndarray
    turned: np.ndarray
    best: list[dict[str, Any]]
    taught: list[int]

    @property
    def peak(self) -> int:
        """The step at which the truth is highest; the first of several."""
        return int(self.step[int(np.argmax(self.values["truth"]))])


def load_critic(folder: str | Path) -> dict[str, dict[int, Curves]]:
    """runs[setting][seed]. Raises ValueError where a seed or a setting is missing or the seeds were not made alike."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("seed*.json"))]
    require(len(rows) >= 2, "recorded seeds", len(rows), f"at least two in {folder}: {HOW}")
    fixed = [{k: row[k] for k in ("steps", "every", "tau", "lr", "critic_lr", "first", "lessons")} for row in rows]
    require(
        all(one == fixed[0] for one in fixed), "what the seeds were made with", fixed, "the same; run: python -m runs.critic"
    )
    for row in rows:
        require(set(row["settings"]) == set(SETTINGS), "settings", sorted(row["settings"]), ", ".join(SETTINGS))
    return {name: {row["seed"]: _curves(row["settings"][name]) for row in rows} for name in SETTINGS}


def _curves(run: dict[str, Any]) -> Curves:
    found = run["points"]

    def column(name: str) -> np.ndarray:
        return np.array([np.nan if one[name] is None else one[name] for one in found], dtype=float)

    values = {name: column(name) for name in CURVES}
    steps, best = column("step").astype(int), [one["best"] for one in found]
    return Curves(steps, values, column("agreement"), column("pairs"), column("turned"), best, run["taught"])
