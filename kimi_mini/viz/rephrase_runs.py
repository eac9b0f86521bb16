"""The recorded points of `runs.rephrase` as arrays, and how to pick among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..corpus.villages import LEVELS, Village, questions
from .series import read_rows, unpack

STUDENTS = ("raw", "one", "ten")
RATE = 0.003  # the learning rate that the page draws; the sweep has two others


@dataclass(frozen=True)
class Row:
    """One student: probability and exact by checkpoint, level (corpus.villages.LEVELS) and fact; train_loss by reading."""

    student: str
    readings: int
    lr: float
    seed: int
    tokens: int
    train_loss: np.ndarray
    checkpoints: tuple[int, ...]
    probability: np.ndarray
    exact: np.ndarray
    ordinary_loss: float

    def at(self, reading: int) -> int:
        """Which checkpoint came after this reading."""
        return self.checkpoints.index(reading)

    def loss(self, reading: int) -> float:
        """Training loss during this reading; the last one may have been cut off where the tokens were spent."""
        return float(self.train_loss[min(reading, len(self.train_loss)) - 1])


def load_runs(folder: str | Path) -> list[Row]:
    """The recorded points of `runs.rephrase`. Raises ValueError for a folder without any."""
    return [_row(row) for row in read_rows(folder, "rephrase")]


def _row(told: dict[str, Any]) -> Row:
    shape = len(told["checkpoints"]), len(LEVELS), -1
    probability = np.stack([unpack(one, shape[1:]) for one in told["probability"]])
    exact = np.array([[flag == "1" for flag in one] for one in told["exact"]]).reshape(shape)
    return Row(
        told["student"], told["readings"], told["lr"], told["seed"], told["tokens"], np.array(told["train_loss"]),
        tuple(told["checkpoints"]), probability, exact, told["ordinary_loss"],
    )  # fmt: skip


def pick(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The rows with these settings, such as `student="ten", readings=40`, by seed; the rate is RATE unless it is named."""
    wanted = {"lr": RATE} | wanted
    found = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
    return sorted(found, key=lambda row: row.seed)


# ---- what a student has read and is asked -------------------------------------------------------------------------------


def read_by(village: Village, student: str) -> tuple[str, ...]:
    """The texts about a village that a student read."""
    return {"raw": (village.raw,), "one": village.versions[:1], "ten": village.versions}[student]


def prompts(village: Village, kind: str, student: str) -> list[str]:
    """What a student is asked about one fact, near to far, starting from the (first) text that it read."""
    return questions(village, kind, read_by(village, student)[0])
