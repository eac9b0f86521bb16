"""What the RL runs recorded, as arrays: groups of answers at checkpoints, and every step of every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Answer(NamedTuple):
    """One answer: its text and reward, and its log-probability before (`old`) and after (`new`) one update, in nats."""

    text: str
    reward: float
    old: float
    new: float


class Group(NamedTuple):
    """The answers of one step to one problem."""

    step: int
    prompt: str
    answers: tuple[Answer, ...]


class Sample(NamedTuple):
    """One answer that a step drew."""

    step: int
    prompt: str
    text: str
    reward: float


@dataclass(frozen=True)
class Run:
    """A recorded run. reward, length and divergence have one number a step; held and control are (step, right answers)."""

    key: str
    name: str
    seed: int
    reward: np.ndarray
    length: np.ndarray
    divergence: np.ndarray
    held: list[tuple[int, int]]
    control: list[tuple[int, int]]
    problems: int
    samples: list[Sample]

    @property
    def steps(self) -> int:
        return len(self.reward)
