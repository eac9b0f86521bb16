"""Typed operations on a store of records: from each, applied to a domain, comes a tool with a schema and a simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from . import records
from .domains import DAYS, Domain
from .shop import NAMES
from .world import takes, whole

PEOPLE = NAMES[:5]
_ID = whole("its number", 1, 10**6)


class Operation(NamedTuple):
    """A kind of tool. `fields` lists what it can be about; `names` and `texts` are wordings with {noun}, {nouns}, {field}
    and {after}; `takes` gives the properties of its arguments, and `run` acts. `one`: it acts on the record of an id."""

    fields: Callable[[Domain], Iterable[str]]
    names: tuple[str, ...]
    texts: tuple[str, ...]
    takes: Callable[[Domain, str], dict[str, Any]]
    run: Callable[..., Any]
    reads: bool = True
    one: bool = False


def _amounts(domain: Domain) -> list[str]:
    return [amount.name for amount in domain.amounts]


def _choices(domain: Domain) -> list[str]:
    return [domain.group, "status", domain.owner]


def _one(domain: Domain, field: str) -> dict[str, Any]:
    return {"id": _ID}


def _pair(domain: Domain, field: str) -> dict[str, Any]:
    return {"first": _ID, "second": _ID}


def _nothing(domain: Domain, field: str) -> dict[str, Any]:
    return {}


def choice(domain: Domain, field: str) -> dict[str, Any]:
    """The schema of a value of a choosable field."""
    values = {domain.group: domain.groups, "status": domain.statuses, domain.owner: PEOPLE}[field]
    return {"enum": list(values), "description": f"which {field}"}


def _range(domain: Domain, field: str) -> dict[str, Any]:
    amount = domain.amount(field)
    return whole(f"in {amount.unit}", 1, amount.high)


def _new(domain: Domain, field: str) -> dict[str, Any]:
    amounts = {one.name: whole(f"in {one.unit}", one.low, one.high) for one in domain.amounts}
    return {"title": "its title", domain.group: choice(domain, domain.group), **amounts}


_DAY = whole("day of the plan", 1, DAYS)
OPERATIONS: dict[str, Operation] = {
    "get": Operation(
        lambda domain: [""], ("get_{noun}", "show_{noun}"), ("All that is known of one {noun}.",), _one, records.get, one=True
    ),
    "find": Operation(
        _choices,
        ("find_{nouns}_by_{field}", "list_{nouns}_of_{field}"),
        ("The {nouns} of one {field}.", "List {nouns}, chosen by their {field}."),
        lambda domain, field: {"value": choice(domain, field)},
        records.find,
    ),
    "search": Operation(
        lambda domain: [""],
        ("search_{nouns}", "find_{nouns}_by_title"),
        ("The {nouns} whose title holds a text.",),
        lambda domain, field: {"text": "to look for"},
        records.search,
    ),
    "compare": Operation(
        _amounts, ("compare_{noun}_{field}",), ("Which of two {nouns} has more {field}.",), _pair, records.compare
    ),
    "total": Operation(
        _amounts,
        ("total_{field}_of_{nouns}", "sum_{nouns}_{field}"),
        ("The {field} of all {nouns} together.",),
        _nothing,
        records.total,
    ),
    "rank": Operation(
        _amounts,
        ("rank_{nouns}_by_{field}", "top_{nouns}_by_{field}"),
        ("The {nouns} with the most {field}.",),
        lambda domain, field: {"count": whole("how many", 1, 5)},
        records.rank,
    ),
    "between": Operation(
        _amounts,
        ("{nouns}_with_{field}_between",),
        ("The {nouns} whose {field} lies in a range.",),
        lambda domain, field: {"low": _range(domain, field), "high": _range(domain, field)},
        records.between,
    ),
    "count": Operation(
        _choices, ("count_{nouns}_by_{field}",), ("How many {nouns} there are of each {field}.",), _nothing, records.count
    ),
    "agenda": Operation(
        lambda domain: ["day"],
        ("{nouns}_on_day", "plan_of_{nouns}"),
        ("What is planned for a day.",),
        lambda domain, field: {"day": _DAY},
        records.agenda,
    ),
    "create": Operation(
        lambda domain: [""],
        ("create_{noun}", "add_{noun}"),
        ("Enter a new {noun}.",),
        _new,
        records.create,
        reads=False,
    ),
    "change": Operation(
        lambda domain: [domain.group],
        ("change_{noun}_{field}", "move_{noun}_to_{field}"),
        ("Give a {noun} another {field}.",),
        lambda domain, field: {"id": _ID, "value": choice(domain, field)},
        records.change,
        reads=False,
        one=True,
    ),
    "assign": Operation(
        lambda domain: [domain.owner],
        ("assign_{field}_to_{noun}", "set_{noun}_{field}"),
        ("Give a {noun} a {field}.",),
        lambda domain, field: {"id": _ID, "value": choice(domain, field)},
        records.assign,
        reads=False,
        one=True,
    ),
    "step": Operation(
        lambda domain: [verb for verb, _, _ in domain.life],
        ("{field}_{noun}", "mark_{noun}_{after}"),
        ("{field} a {noun}: it is {after} then.",),
        _one,
        records.step,
        reads=False,
        one=True,
    ),
    "raise": Operation(
        _amounts,
        ("raise_{noun}_{field}", "add_{field}_to_{noun}"),
        ("Add to the {field} of a {noun}.",),
        lambda domain, field: {"id": _ID, "by": _range(domain, field)},
        records.added(1),
        reads=False,
        one=True,
    ),
    "lower": Operation(
        _amounts,
        ("lower_{noun}_{field}", "take_{field}_from_{noun}"),
        ("Take from the {field} of a {noun}.",),
        lambda domain, field: {"id": _ID, "by": _range(domain, field)},
        records.added(-1),
        reads=False,
        one=True,
    ),
    "transfer": Operation(
        _amounts,
        ("transfer_{field}_between_{nouns}",),
        ("Move {field} from the first {noun} to the second.",),
        lambda domain, field: {"first": _ID, "second": _ID, "by": _range(domain, field)},
        records.transfer,
        reads=False,
    ),
    "schedule": Operation(
        lambda domain: ["day"],
        ("schedule_{noun}", "plan_{noun}"),
        ("Plan a {noun} for a free day.",),
        lambda domain, field: {"id": _ID, "day": _DAY},
        records.schedule,
        reads=False,
        one=True,
    ),
    "merge": Operation(
        _amounts,
        ("merge_{nouns}_by_{field}",),
        ("Put the {field} of the second {noun} to the first and take it out.",),
        _pair,
        records.merge,
        reads=False,
    ),
    "remove": Operation(
        lambda domain: [""],
        ("remove_{noun}", "delete_{noun}"),
        ("Take out a {noun} that is done with.",),
        _one,
        records.remove,
        reads=False,
        one=True,
    ),
}


def properties(operation: Operation, domain: Domain, field: str, batch: bool) -> dict[str, Any]:
    """The schema of a tool's arguments; a `batch` takes several ids."""
    found = operation.takes(domain, field)
    if batch:
        ids = {"type": "array", "items": _ID, "minItems": 1, "maxItems": 4, "uniqueItems": True, "description": "their numbers"}
        found = {"ids": ids, **{name: schema for name, schema in found.items() if name != "id"}}
    return takes(found)
