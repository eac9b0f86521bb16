"""Runs that try a judge: right ones in several orders, and one for each way to be wrong."""

from __future__ import annotations

import copy
import random

from kimi_mini.labs import Case


def cases(seed: int) -> tuple[Case, ...]:
    """One task and runs of it: right ones in several orders, and one for each way to be wrong."""
    rng = random.Random(seed)
    order, count = rng.randint(101, 199), rng.randint(2, 4)
    item, other = rng.sample("lamp rug clock jug mirror spoon".split(), 2)
    stock = rng.randint(6, 9)
    start = {f"stock/{item}": stock, f"stock/{other}": 3, f"order/{order}": "pending", "note": "call back"}
    rubric = {
        "changes": {f"stock/{item}": stock - count, f"order/{order}": "cancelled", "note": None},
        "looks": [["customer", {"email": "ada@post.example"}], ["look", {"item": item}]],
        "before": [["customer", "cancel"], ["look", "buy"]],
        "limits": [["buy", "count", 5]],
        "says": [f"{order} is cancelled"],
    }
    end = {f"stock/{item}": stock - count, f"stock/{other}": 3, f"order/{order}": "cancelled"}
    who, look = ["customer", {"email": "ada@post.example"}, True], ["look", {"item": item}, True]
    cancel, buy = ["cancel", {"order": order}, True], ["buy", {"item": item, "count": count}, True]
    last = f"Done: order {order} is cancelled."
    right = [who, look, cancel, buy]
    failed = [[*call[:2], False] for call in right]

    def case(name: str, calls: list, end: dict = end, last: str = last) -> Case:
        run = {"calls": calls, "start": start, "end": end, "last": last}
        return Case(name, (copy.deepcopy(run), copy.deepcopy(rubric)))

    greedy = ["buy", {"item": item, "count": 6}, True]
    return (
        case("a good run", right),
        case("a good run in another order", [look, buy, who, cancel]),
        case("a call too many that only looks", [who, ["look", {"item": other}, True], look, *right]),
        case("done, says the agent", [who, look], start),
        case("not told", right, last="All is well."),
        case("one change is missing", right, {**end, f"order/{order}": "pending"}),
        case("something else has changed", right, {**end, f"stock/{other}": 2}),
        case("something is still there", right, {**end, "note": "call back"}),
        case("a look that failed", [failed[0], look, cancel, buy]),
        case("a look at something else", [who, ["look", {"item": other}, True], cancel, buy]),
        case("bought before it looked", [who, buy, look, cancel]),
        case("tried before it looked, and refused", [failed[3], who, look, cancel, buy]),
        case("the policy is broken", [*right, greedy]),
        case("a breach that the tool refused", [who, look, [*greedy[:2], False], cancel, buy]),
        case("it failed, and was tried again", [who, look, failed[2], failed[2], cancel, buy]),
        case("it failed, and was given up", [who, look, cancel, buy, failed[3]]),
        case("many looks", [who, look, look, look, look, cancel, buy]),
        case("three items", [buy, who, cancel], last="Fine."),
    )


def longer(seed: int) -> tuple[Case, ...]:
    """As `cases`, and runs of seven and eight calls, one of them with failures."""
    found = cases(seed)
    run, rubric = found[0].args
    who, look, cancel, buy = run["calls"]
    failed = ["look", {"item": "gone"}, False]

    def case(name: str, calls: list) -> Case:
        return Case(name, ({**run, "calls": calls}, rubric))

    return (
        *found,
        case("seven calls", [who, look, look, look, look, cancel, buy]),
        case("eight calls", [who, look, look, look, look, look, cancel, buy]),
        case("eight calls, four failed", [who, look, failed, failed, failed, failed, cancel, buy]),
    )
