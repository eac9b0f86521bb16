"""Simulators: what can be done with a store of records. Each takes the records it may see, a field, and arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .domains import Domain
from .world import Refused

MOST_OWNED, MOST_RECORDS = 4, 60


class Records:
    """The records that a tool may see: all of a store, or those with `only` = (field, value)."""

    def __init__(self, domain: Domain, store: dict[str, Any], only: tuple[str, str] | None = None) -> None:
        self.domain, self.store, self.only = domain, store, only

    def all(self) -> list[dict[str, Any]]:
        return [record for record in self.store["records"].values() if self._seen(record)]

    def get(self, number: int) -> dict[str, Any]:
        record = self.store["records"].get(str(number))
        if record is None:
            raise Refused(f"there is no {self.domain.noun} {number}")
        if not self._seen(record):
            raise Refused(f"{self.domain.noun} {number} is not of {self.only[0]} {self.only[1]}")
        return record

    def _seen(self, record: dict[str, Any]) -> bool:
        return self.only is None or record[self.only[0]] == self.only[1]


def _brief(record: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {key: record[key] for key in ("id", "title", *fields)}


# ---- what reads --------------------------------------------------------------------------------------------------------


def get(records: Records, field: str, id: int) -> dict[str, Any]:
    return dict(records.get(id))


def find(records: Records, field: str, value: str) -> list[dict[str, Any]]:
    return [_brief(record) for record in records.all() if record[field] == value]


def search(records: Records, field: str, text: str) -> list[dict[str, Any]]:
    return [_brief(record) for record in records.all() if text.lower() in record["title"]]


def compare(records: Records, field: str, first: int, second: int) -> dict[str, Any]:
    if first == second:
        raise Refused("these are one and the same")
    one, other = records.get(first), records.get(second)
    more = None if one[field] == other[field] else max(one, other, key=lambda record: record[field])["id"]
    return {"more": more, "difference": abs(one[field] - other[field])}


def total(records: Records, field: str) -> dict[str, Any]:
    return {field: sum(record[field] for record in records.all()), "of": len(records.all())}


def rank(records: Records, field: str, count: int) -> list[dict[str, Any]]:
    ranked = sorted(records.all(), key=lambda record: (-record[field], record["id"]))
    return [_brief(record, field) for record in ranked[:count]]


def between(records: Records, field: str, low: int, high: int) -> list[dict[str, Any]]:
    if low > high:
        raise Refused(f"{low} is more than {high}")
    return [_brief(record, field) for record in records.all() if low <= record[field] <= high]


def count(records: Records, field: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records.all():
        counts[record[field] or "nobody"] = counts.get(record[field] or "nobody", 0) + 1
    return counts


def agenda(records: Records, field: str, day: int) -> list[dict[str, Any]]:
    return [_brief(record) for record in records.all() if record["day"] == day]


# ---- what acts ---------------------------------------------------------------------------------------------------------


def create(records: Records, field: str, title: str, **values: Any) -> dict[str, Any]:
    store, domain = records.store, records.domain
    title = title.strip().lower()
    if not title or any(record["title"] == title for record in store["records"].values()):
        raise Refused("a title is needed that no other has")
    if len(store["records"]) >= MOST_RECORDS:
        raise Refused(f"there are {MOST_RECORDS} {domain.name} already")
    number, store["next"] = store["next"], store["next"] + 1
    rest = {"status": domain.statuses[0], domain.owner: None, "day": None}
    store["records"][str(number)] = {"id": number, "title": title, **values, **rest}
    return {"id": number}


def change(records: Records, field: str, id: int, value: str) -> dict[str, Any]:
    record = records.get(id)
    if record[field] == value:
        raise Refused(f"{field} is {value} already")
    record[field] = value
    return _brief(record, field)


def assign(records: Records, field: str, id: int, value: str) -> dict[str, Any]:
    if sum(record[field] == value for record in records.store["records"].values()) >= MOST_OWNED:
        raise Refused(f"{value} has {MOST_OWNED} already")
    return change(records, field, id, value)


def step(records: Records, field: str, id: int) -> dict[str, Any]:
    record = records.get(id)
    _, before, after = next(step for step in records.domain.life if step[0] == field)
    if record["status"] != before:
        raise Refused(f"{records.domain.noun} {id} is {record['status']}, not {before}")
    record["status"] = after
    return _brief(record, "status")


def added(sign: int) -> Callable[..., dict[str, Any]]:
    def run(records: Records, field: str, id: int, by: int) -> dict[str, Any]:
        record, amount = records.get(id), records.domain.amount(field)
        value = record[field] + sign * by
        if not amount.low <= value <= amount.high:
            raise Refused(f"{field} would be {value}; it is from {amount.low} to {amount.high} {amount.unit}")
        record[field] = value
        return _brief(record, field)

    return run


def transfer(records: Records, field: str, first: int, second: int, by: int) -> dict[str, Any]:
    if first == second:
        raise Refused("these are one and the same")
    return {"first": added(-1)(records, field, first, by)[field], "second": added(1)(records, field, second, by)[field]}


def schedule(records: Records, field: str, id: int, day: int) -> dict[str, Any]:
    record = records.get(id)
    taken = next((other for other in records.store["records"].values() if other["day"] == day), None)
    if taken:
        raise Refused(f"day {day} is taken by {taken['title']}")
    record["day"] = day
    return _brief(record, "day")


def merge(records: Records, field: str, first: int, second: int) -> dict[str, Any]:
    if first == second:
        raise Refused("these are one and the same")
    other = records.get(second)
    merged = added(1)(records, field, first, other[field])
    del records.store["records"][str(second)]
    return merged


def remove(records: Records, field: str, id: int) -> dict[str, Any]:
    record = records.get(id)
    if any(record["status"] == before for _, before, _ in records.domain.life):
        raise Refused(f"{records.domain.noun} {id} is {record['status']} and still needed")
    del records.store["records"][str(id)]
    return {"removed": id}
