"""From runs that were made to runs that are kept: well formed, passed by the judge, not too long, none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..chat import encode
from ..tokenizer import Tokenizer
from .records import dialogue_of, signature


class Funnel(NamedTuple):
    """How many runs got how far. `made` counts those that came to a record, `valid` are well formed and ended by themselves,
    `passed` are the judge's; of these `long` and `twice` were dropped, and `kept` are left."""

    made: int
    valid: int
    passed: int
    long: int
    twice: int
    kept: int


def count_tokens(record: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    return len(encode(*dialogue_of(record), tokenizer).tokens)


def keep(
    records: Iterable[dict[str, Any]], size: Callable[[dict[str, Any]], int], longest: int
) -> tuple[list[dict[str, Any]], Funnel]:
    """The runs to learn from, in order, and what became of the others. `size` counts a record's tokens, up to `longest`."""
    records = list(records)
    passing = [record for record in records if record["valid"] and record["passed"]]
    short = [record for record in passing if size(record) <= longest]
    first = {signature(record): record for record in reversed(short)}  # the first of those that are alike
    kept = [record for record in short if first[signature(record)] is record]
    whole = sum(record["valid"] for record in records)
    counts = (len(records), whole, len(passing), len(passing) - len(short), len(short) - len(kept), len(kept))
    return kept, Funnel(*counts)
