"""The published tables about K2: values, whose figure each is, how many questions are behind it, and where sources disagree.

The texts and numbers are data/benchmarks.json. What a table leaves out stays out: a missing score is never a 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from ..checks import is_int, is_number, require
from .statistics import plain_mean, weighted_mean

DOMAINS = ("code", "tools", "maths and science", "general", "Chinese", "safety")


@dataclass(frozen=True)
class Row:
    """One benchmark of a table: `values` in percent by model, `vendor` the models whose own figure that is.

    `questions` and `metric` are None where the sources of this book do not say them; `questions_by` says who counted.
    """

    key: str
    name: str
    domain: str
    metric: str | None
    questions: int | None
    questions_by: str | None
    values: Mapping[str, float]
    vendor: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(self.domain in DOMAINS, f"domain of {self.key}", self.domain, f"one of {', '.join(DOMAINS)}")
        counted = self.questions is None or (is_int(self.questions, 1) and bool(self.questions_by))
        require(counted, f"questions of {self.key}", self.questions, "None, or a count and who counted")
        require(set(self.vendor) <= set(self.values), f"vendor of {self.key}", self.vendor, "models that have a value")
        for model, value in self.values.items():
            fine = is_number(value) and 0 <= value <= 100
            require(fine, f"{self.key} of {model}", value, "percent; leave a missing one out")

    def cell(self, model: str, digits: int = 1) -> str:
        """The value as the table prints it: * for a vendor's figure, a dash where there is none."""
        return f"{self.values[model]:.{digits}f}{'*' * (model in self.vendor)}" if model in self.values else "-"


@dataclass(frozen=True)
class Table:
    """One evaluation table, its models in the table's order; it prints `digits` after the point."""

    name: str
    digits: int
    title: str
    source: str
    note: str
    models: tuple[str, ...]
    rows: tuple[Row, ...]

    def __getitem__(self, key: str) -> Row:
        return next(row for row in self.rows if row.key == key)


@dataclass(frozen=True)
class Discrepancy:
    """Two sources, two answers. `kind`: both "official", a "rounding" of one of them, or an "account" beside the report.

    `cell` is (table, row, model) where the first answer stands in one of TABLES.
    """

    what: str
    first: tuple[Any, str]
    second: tuple[Any, str]
    kind: str
    cell: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sentence:
    """What a popular account says, and what the sources say of it."""

    says: str
    found: str
    source: str


def _read() -> dict[str, Any]:
    return json.loads((Path(__file__).parents[1] / "data" / "benchmarks.json").read_text(encoding="utf-8"))


def _table(entry: dict[str, Any]) -> Table:
    rows = tuple(Row(**row | {"vendor": tuple(row.get("vendor", ()))}) for row in entry["rows"])
    return Table(**entry | {"models": tuple(entry["models"]), "rows": rows})


_DATA = _read()
MODELS: dict[str, str] = _DATA["models"]
TABLES = {entry["name"]: _table(entry) for entry in _DATA["tables"]}
CHINESE, ARENA = _DATA["chinese"], _DATA["arena"]
DISCREPANCIES = tuple(
    Discrepancy(**{name: tuple(field) if isinstance(field, list) else field for name, field in each.items()})
    for each in _DATA["discrepancies"]
)
ACCOUNT = tuple(Sentence(**each) for each in _DATA["account"])


def mean_of(rows: Sequence[Row], model: str, *, weighted: bool = False) -> float | None:
    """The model's mean over `rows` in percent, by benchmark or by question; None where it lacks a value of one.

    Raises ValueError for no rows at all, and for a mean by question over a benchmark whose questions are not counted.
    """
    require(len(rows) >= 1, "rows", rows, "at least one")
    if not all(model in row.values for row in rows):
        return None
    scores = [row.values[model] for row in rows]
    return weighted_mean(scores, [row.questions for row in rows]) if weighted else plain_mean(scores)


def first_of(rows: Sequence[Row], models: Iterable[str], *, weighted: bool = False) -> tuple[str, ...]:
    """The model with the highest mean over `rows`, or several that share it to 1e-9. Models that lack a value are out."""
    means = {model: mean_of(rows, model, weighted=weighted) for model in models}
    known = {model: mean for model, mean in means.items() if mean is not None}
    best = max(known.values(), default=0.0)
    return tuple(model for model, mean in known.items() if mean > best - 1e-9)


def count_firsts(rows: Sequence[Row], models: Sequence[str], *, weighted: bool = False) -> dict[tuple[str, ...], int]:
    """In how many of the 2^n - 1 choices of rows each model, or group that ties, is first."""
    counts: dict[tuple[str, ...], int] = {}
    for size in range(1, len(rows) + 1):
        for chosen in combinations(rows, size):
            first = first_of(chosen, models, weighted=weighted)
            counts[first] = counts.get(first, 0) + 1
    return counts
