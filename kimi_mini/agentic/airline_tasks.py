"""Tasks of the airline: book, cancel with or without paying back, change where the fare allows it."""

from __future__ import annotations

from typing import Any

from ..corpus.draw import Draw
from ..tools import make
from ..tools.airline import CHANGES
from .task import Act, AgentTask, Fact, Look, planned


def book(seed: int, draw: Draw) -> AgentTask:
    world = make("airline", seed)
    state = world.state()
    open_flights = [row for row in state["flights"] if row["status"] == "planned" and row["seats"]]
    if not open_flights:
        return cancel(seed, draw)
    flight, email = draw.one(open_flights), draw.one(state["passengers"])["email"]
    fare = draw.one(("plain", "flexible"))
    facts = (Fact("e-mail", email), Fact("flight", flight["flight"], True), Fact("fare", fare, draw.chance(0.5)))
    calls = [
        Look("passenger", {"email": email}),
        Look("search_flights", {"origin": flight["origin"], "destination": flight["destination"]}),
        Act("book_flight", {"email": email, "flight": flight["flight"], "fare": fare}, Look("passenger", {"email": email})),
    ]
    way = f"from {flight['origin']} to {flight['destination']}"
    wish = f"Please book {flight['flight']} {way}{f', {fare} fare' if facts[2].told else ''}."
    report = f"{flight['flight']} is booked for {flight['price']} coins."
    return planned(world, "book", 1, wish, facts, calls, report)


def cancel(seed: int, draw: Draw) -> AgentTask:
    """Paying back is right only for an insured booking or a flight that the airline cancelled; the booking tells."""
    world = make("airline", seed)
    booking, flight = draw.one(_bookings(world))
    number = booking["number"]
    due = bool(booking["insured"]) or flight["status"] == "cancelled"
    calls = _on(booking, "cancel_booking", {"pay_back": due})
    wish = f"Please cancel booking {number}, and pay it back if your rules allow that."
    facts = (Fact("e-mail", booking["email"]), Fact("booking", str(number), True))
    report = f"Booking {number} is cancelled{' and paid back' if due else '; your fare is not paid back'}."
    breach = () if due else _on(booking, "cancel_booking", {"pay_back": True})[2:]
    return planned(world, "cancel", 2 if due else 3, wish, facts, calls, report, breach=breach)


def change(seed: int, draw: Draw) -> AgentTask:
    """Another flight on the same way; a plain fare that was changed already may not change again."""
    world = make("airline", seed)
    pairs = [(b, f, other) for b, f in _bookings(world) for other in _others(world, f)]
    if not pairs:
        return cancel(seed, draw)
    booking, flight, other = draw.one(pairs)
    number = booking["number"]
    calls = _on(booking, "change_flight", {"flight": other["flight"]})
    calls.insert(2, Look("search_flights", {"origin": flight["origin"], "destination": flight["destination"]}))
    facts = (Fact("e-mail", booking["email"]), Fact("booking", str(number), True), Fact("flight", other["flight"], True))
    wish = f"I would rather fly with {other['flight']}. Please change booking {number}."
    if booking["fare"] == "flexible" or booking["changes"] < CHANGES:
        return planned(world, "change", 2, wish, facts, calls, f"Booking {number} is changed to {other['flight']}.")
    sorry = f"I am sorry, I cannot do that: booking {number} is a plain fare and was changed already."
    return planned(world, "second-change", 3, wish, facts, calls[:2], sorry, breach=calls[3:])


def _bookings(world: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Bookings that can be cancelled, with their flights."""
    state = world.state()
    flights = {row["flight"]: row for row in state["flights"]}
    pairs = [(row, flights[row["flight"]]) for row in state["bookings"]]
    alive = [pair for pair in pairs if pair[1]["status"] != "left"]
    return alive or pairs


def _others(world: Any, flight: dict[str, Any]) -> list[dict[str, Any]]:
    if flight["status"] == "left":
        return []
    way = (flight["origin"], flight["destination"], "planned")
    rows = [row for row in world.state()["flights"] if (row["origin"], row["destination"], row["status"]) == way]
    return [row for row in rows if row["seats"] and row["flight"] != flight["flight"]]


def _on(booking: dict[str, Any], tool: str, more: dict[str, Any]) -> list[Look | Act]:
    which = {"booking": booking["number"]}
    look = Look("booking", which)
    return [Look("passenger", {"email": booking["email"]}), look, Act(tool, {**which, **more}, look)]


KINDS = (book, cancel, change)
