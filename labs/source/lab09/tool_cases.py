"""Episodes that try a shop."""

from __future__ import annotations

import random

from kimi_mini.labs import Case

_ITEMS = "basket bowl candle clock cup desk jug kettle lamp mirror pan rug spoon table".split()


def cases(seed: int) -> tuple[Case, ...]:
    """Episodes of good calls, of calls that fail half-way, of arguments that fit nothing, and the same one twice."""
    rng = random.Random(seed)
    a, b, c, gone = rng.sample(_ITEMS, 4)
    stock = {a: rng.randint(7, 9), b: rng.randint(2, 3), c: rng.randint(6, 7)}
    some = rng.randint(2, 3)

    def order(**items: object) -> list:
        return ["order", {"items": items}]

    def restock(item: object, count: object, **more: object) -> list:
        return ["restock", {"item": item, "count": count, **more}]

    def case(name: str, *episodes: list) -> Case:
        return Case(name, (dict(stock), list(episodes)))

    good = [order(**{a: some, c: 1}), restock(b, 4), order(**{b: 5})]
    wrong = [
        order(**{a: "2"}), order(**{a: 0}), order(**{a: -3}), order(**{a: True}), order(), ["order", {}], ["order", None],
        ["order", {"items": [a]}], ["order", {"items": {a: 1}, "gift": True}], restock(a, 2.5), restock(7, 1),
        restock(a, True), restock(a, -1), ["restock", {"item": a}], restock(a, 1, note="now"),
    ]  # fmt: skip
    return (
        case("one episode", good),
        case("an order that fails at its second item", [order(**{a: some, b: 99}), order(**{a: 1, gone: 1}), order(**{a: 1})]),
        case("the same episode twice", good, good),
        case("arguments outside of the schema", [*wrong[:8], order(**{a: 1})], [*wrong[8:], restock(a, 1)]),
        case("tools that are not there", [["refund", {"items": {a: 1}}], order(**{a: 1})]),
        case("items that are not there", [restock(gone, 2), order(**{gone: 1}), restock(gone, 1)]),
        case("many pieces of many items", [order(**{a: 3, b: 1, c: 2}), order(**{c: 3}), order(**{a: 3, c: 1})]),
    )


def one_fault_each(seed: int) -> tuple[Case, ...]:
    """As `cases`, with every call that does not fit in an episode of its own, behind one that does."""
    found = []
    for case in cases(seed):
        stock, episodes = case.args
        item = next(iter(stock))
        if case.name.startswith(("arguments", "items")):
            episodes = [[["restock", {"item": item, "count": 1}], call] for calls in episodes for call in calls]
        found.append(Case(case.name, (stock, episodes)))
    return tuple(found)
