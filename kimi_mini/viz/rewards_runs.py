"""What `runs.climb` recorded, as arrays: every step of every run, its control, and groups of answers at five steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import require
from .series import read_rows


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
    """A recorded run. reward and length have one number a step. held and control are (step, right answers) on the held-out
    problems; drift, an estimate of KL(policy || start) of an answer in nats, was measured with each of held."""

    key: str
    name: str
    seed: int
    reward: np.ndarray
    length: np.ndarray
    drift: np.ndarray
    held: list[tuple[int, int]]
    control: list[tuple[int, int]]
    problems: int
    samples: list[Sample]

    @property
    def steps(self) -> int:
        return len(self.reward)

    @property
    def gain(self) -> float:
        """Share of right answers at the end less that at the start."""
        return (self.held[-1][1] - self.held[0][1]) / self.problems


@dataclass(frozen=True)
class Recording:
    """The climbs by seed with their controls, the groups that the cards show, and the rows as they are stored."""

    climbs: dict[int, Run]
    groups: list[Group]
    rows: dict[str, dict[str, Any]]

    @property
    def config(self) -> dict[str, Any]:
        """The settings of the first climb; the others differ in the seed."""
        return self.rows[f"climb-seed{min(self.climbs)}"]["config"]


def load_recording(folder: str | Path) -> Recording:
    """All rows of `runs.climb`. Raises ValueError unless every climb has its control."""
    rows = {f"{row['kind']}-seed{row['seed']}": row for row in read_rows(folder, "climb")}
    seeds = sorted(row["seed"] for row in rows.values() if row["kind"] == "climb")
    complete = bool(seeds) and all(f"control-seed{seed}" in rows for seed in seeds)
    require(complete, "rows", sorted(rows), "a climb and a control for each seed (`python -m runs.climb`)")
    climbs = {seed: _run(rows[f"climb-seed{seed}"], rows[f"control-seed{seed}"]) for seed in seeds}
    return Recording(climbs, _groups(rows[f"climb-seed{seeds[0]}"]), rows)


def _run(row: Mapping[str, Any], control: Mapping[str, Any]) -> Run:
    steps = len(row["log"]["reward"])
    (_, first), *_, (_, last) = control["held"]  # counted in updates of its own; it ends when the climb does
    return Run(
        key=f"seed{row['seed']}",
        name=f"seed {row['seed']}",
        seed=row["seed"],
        reward=np.array(row["log"]["reward"]),
        length=np.array(row["log"]["length"]),
        drift=np.array([drift for _, drift in row["drift"]]),
        held=[tuple(point) for point in row["held"]],
        control=[(0, first), (steps, last)],
        problems=row["problems"],
        samples=[Sample(**sample) for sample in row["samples"]],
    )


def _groups(row: Mapping[str, Any]) -> list[Group]:
    """Of each step that was watched, the first problem: the one nearest to half solved."""
    first: dict[int, Group] = {}
    for group in row["groups"]:
        answers = tuple(Answer(**answer) for answer in group["answers"])
        first.setdefault(group["step"], Group(group["step"], group["prompt"], answers))
    return list(first.values())


@dataclass(frozen=True)
class Pulls:
    """What six updates on the same answers did, for each seed S and each tau T: divergence from the policy that drew them, and
    the mean log-ratio of right and of wrong answers, in nats."""

    taus: list[float]
    divergence_ST: np.ndarray
    right_ST: np.ndarray
    wrong_ST: np.ndarray


def load_pulls(folder: str | Path) -> Pulls:
    """All rows of `runs.pull`. Raises ValueError unless all have the same taus."""
    rows = [row["pulls"] for row in read_rows(folder, "pull")]
    taus = [[each["tau"] for each in row] for row in rows]
    require(all(each == taus[0] for each in taus), "taus", taus, "the same in every row")
    columns = (np.array([[each[name] for each in row] for row in rows]) for name in ("divergence", "right", "wrong"))
    return Pulls(taus[0], *columns)
