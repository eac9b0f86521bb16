"""What a user may ask of each world: words, the calls that do it, and calls that look alike and do something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ...corpus.draw import Draw
from ...tools import World, airline, desk, shop
from ...tools.arithmetic import read_expression

Call = tuple[str, dict[str, Any]]


class Request(NamedTuple):
    """`calls` lead to the state that is wanted, `wrong` to another; `states` is the number to reply with, or ""."""

    words: str
    calls: tuple[Call, ...]
    wrong: tuple[Call, ...]
    states: str = ""


Ask = Callable[[World, Draw], Request]
_NUMBER = re.compile(r"\d+")


def sum_of(world: World, draw: Draw) -> Request:
    """The sums of MINI's own dialogues. The calculator has no state: what counts is what is said."""
    a, b, c = (draw.number(2, 99) for _ in range(3))
    expression = draw.one((f"{a} * {b} + {c}", f"{a} * ({b} + {c})", f"{a} + {b} + {c}"))
    words = draw.one(("What is {}?", "Please work out {}.", "How much is {}?")).format(expression)
    value = read_expression(expression).value
    call, wrong = (("calculator", {"expression": text}) for text in (expression, f"{a} + {b} * {c} + 1"))
    return Request(words, (call,), (wrong,), str(value))


def of_shop(world: World, draw: Draw) -> Request:
    """Order, cancel, another address; or two wishes of which the policy forbids the second, though the tool would do it."""
    tables = world.state()
    kinds: dict[str, list[dict[str, Any]]] = {"pending": [], "late": []}
    for order in tables["orders"]:
        late = order["status"] == "delivered" and shop.TODAY - order["day"] > shop.RETURN_DAYS
        kinds.setdefault("late" if late else order["status"], []).append(order)
    customer = draw.one(tables["customers"])
    item = draw.one([one for one in tables["items"] if one["stock"] >= 2])
    count = draw.number(1, min(item["stock"], shop.MOST))
    order: Call = ("place_order", {"email": customer["email"], "item": item["item"], "count": count})
    words = f"My e-mail is {customer['email']}. Please order {_many(count, item['item'])}."
    choices = [Request(words, (order,), (("place_order", {**order[1], "count": count + 1 if count == 1 else count - 1}),))]
    if kinds["pending"]:
        pending = draw.one(kinds["pending"])
        number, mine = {"order": pending["number"]}, f"My e-mail is {pending['email']}."
        cancel: Call = ("cancel_order", number)
        street = draw.one([one for one in shop.STREETS if one != pending["street"]])
        moved: Call = ("change_address", {**number, "street": street})
        choices += [
            Request(f"{mine} Please cancel my order {pending['number']}.", (cancel,), (moved,)),
            Request(f"{mine} Please send my order {pending['number']} to {street} instead.", (moved,), (cancel,)),
        ]
        late = [one for one in kinds["late"] if one["email"] == pending["email"]]
        if late:
            both = f"{mine} Please cancel my order {pending['number']}, and take order {late[0]['number']} back."
            choices += [Request(both, (cancel,), (cancel, ("return_order", {"order": late[0]["number"]})))]
    return draw.one(choices)


def of_airline(world: World, draw: Draw) -> Request:
    """Book a flight, or cancel a booking: paid back only where it is insured or the airline cancelled the flight."""
    tables = world.state()
    flights = {flight["flight"]: flight for flight in tables["flights"]}
    free = [one for one in tables["flights"] if one["status"] == "planned" and one["seats"]]
    open_bookings = [one for one in tables["bookings"] if flights[one["flight"]]["status"] != "left"]
    if open_bookings and (not free or draw.chance(0.5)):
        booking = draw.one(open_bookings)
        paid = bool(booking["insured"]) or flights[booking["flight"]]["status"] == "cancelled"
        cancel, other = (("cancel_booking", {"booking": booking["number"], "pay_back": one}) for one in (paid, not paid))
        words = f"My e-mail is {booking['email']}. Cancel booking {booking['number']}, and pay it back if the rules allow it."
        return Request(words, (cancel,), (other,))
    flight, passenger, fare = draw.one(free), draw.one(tables["passengers"]), draw.one(("plain", "flexible"))
    words = f"My e-mail is {passenger['email']}. Book me a {fare} ticket on {flight['flight']}."
    book: Call = ("book_flight", {"email": passenger["email"], "flight": flight["flight"], "fare": fare})
    return Request(words, (book,), (("book_flight", {**book[1], "fare": "plain" if fare == "flexible" else "flexible"}),))


def of_calendar(world: World, draw: Draw) -> Request:
    """Add, move or cancel an event."""
    events = world.state()["events"]
    day, title = draw.one(desk.DAYS), draw.one([one for one in desk.EVENTS if one != desk.FIXED])
    hour = draw.one([one for one in range(8, 19) if not {str(one), str(one + 1)} & set(events[day])])
    place = {"day": day, "hour": hour}
    added: Call = ("add_event", {**place, "title": title})
    choices = [Request(f"Put {title} on {day} at {hour}:00.", (added,), (("add_event", {**added[1], "hour": hour + 1}),))]
    theirs = [(d, int(h), t) for d in desk.DAYS for h, t in events[d].items() if t != desk.FIXED]
    if theirs:
        d, h, t = draw.one(theirs)
        cancel: Call = ("cancel_event", {"day": d, "hour": h})
        move: Call = ("move_event", {"day": d, "hour": h, "new_day": day, "new_hour": hour})
        choices += [
            Request(f"Cancel {t} on {d}.", (cancel,), (move,)),
            Request(f"Move {t} from {d} to {day} at {hour}:00.", (move,), (("move_event", {**move[1], "new_hour": hour + 1}),)),
        ]
    return draw.one(choices)


def of_files(world: World, draw: Draw) -> Request:
    """Delete a file (a record only after a copy, says the policy), move one, or write one."""
    files = world.state()["files"]
    path = draw.one(sorted(files))
    name = path.partition("/")[2]
    move: Call = ("move_file", {"path": path, "to": f"old/{name}"})
    copy: Call = ("write_file", {"path": f"backup/{name}", "text": files[path]})
    delete: Call = ("delete_file", {"path": path})
    note: Call = ("write_file", {"path": f"notes/{draw.number(1, 99)}.txt", "text": f"tea at {draw.number(2, 9)}"})
    choices = [
        Request(f"Write {note[1]['text']!r} into {note[1]['path']}.", (note,), (("write_file", {**note[1], "text": "tea"}),)),
        Request(f"Copy {path} to backup/{name}, then delete {path}.", (copy, delete), (delete,)),
    ]
    if not path.startswith("records/"):
        choices.append(Request(f"Move {path} to old/{name}.", (move,), (delete,)))
    return draw.one(choices)


def comes_to(reply: str, asked: str, wanted: str) -> bool:
    """Whether the reply's last number is `wanted`, and it has no other that was not in the question."""
    found = _NUMBER.findall(reply)
    return bool(found) and found[-1] == wanted and set(found) <= {wanted, *_NUMBER.findall(asked)}


def _many(count: int, item: str) -> str:
    return f"one {item}" if count == 1 else f"{count} {item}{'es' if item.endswith('x') else 's'}"


ASKS: dict[type[World], Ask] = {
    desk.Calculator: sum_of, shop.Shop: of_shop, airline.Airline: of_airline, desk.Calendar: of_calendar, desk.Files: of_files,
}  # fmt: skip
