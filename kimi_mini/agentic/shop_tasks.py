"""Tasks of the shop, from a price to an exchange, with the returns and orders that its policy forbids."""

from __future__ import annotations

from typing import Any

from ..corpus.draw import Draw
from ..tools import make
from ..tools.shop import MOST, RETURN_DAYS, STREETS, TODAY
from .task import Act, AgentTask, Fact, Look, planned


def price(seed: int, draw: Draw) -> AgentTask:
    world = make("shop", seed)
    found = draw.one(world.state()["items"])
    item, told = found["item"], f"A {found['item']} costs {found['price']} coins, and {found['stock']} are left."
    wish = draw.one((f"How much is a {item}, and how many are left?", f"I wonder what a {item} costs. Are there any left?"))
    says = (str(found["price"]), str(found["stock"]))
    return planned(world, "price", 1, wish, (), [Look("shop", {"item": item})], told, says=says)


def buy(seed: int, draw: Draw) -> AgentTask:
    world = make("shop", seed)
    state = world.state()
    found = draw.one([row for row in state["items"] if row["stock"] >= 2])
    customer, count = draw.one(state["customers"]), draw.number(1, 2)
    return _bought(world, customer["email"], found, count, f"I would like to buy {_many(count, found['item'])}.")


def buy_too_many(seed: int, draw: Draw) -> AgentTask:
    """More of one item than anybody may order."""
    world = make("shop", seed)
    state = world.state()
    rich = [row for row in state["items"] if row["stock"] > MOST]
    if not rich:
        return buy(seed, draw)
    found, email = draw.one(rich), draw.one(state["customers"])["email"]
    count = draw.number(MOST + 1, found["stock"])
    facts = (Fact("e-mail", email), Fact("item", found["item"], True), Fact("number", str(count), True))
    calls = [Look("customer", {"email": email}), Look("shop", {"item": found["item"]})]
    breach = (_place(email, found["item"], count),)
    sorry = f"I am sorry, I cannot do that: nobody may order more than {MOST} of one item in one order."
    return planned(
        world, "too-many", 3, f"Please order {_many(count, found['item'])} for me.", facts, calls, sorry, breach=breach
    )


def cancel(seed: int, draw: Draw) -> AgentTask:
    world = make("shop", seed)
    order = _some(world, draw, "pending")
    if order is None:
        return price(seed, draw)
    number, told = order["number"], draw.chance(0.5)
    wish = f"Please cancel my order {number}." if told else "I want to cancel an order."
    report = f"Order {number} is cancelled, and {order['total']} coins are paid back."
    return planned(world, "cancel", 2, wish, _whose(order, told), _on(order, "cancel_order"), report)


def send_back(seed: int, draw: Draw) -> AgentTask:
    """A return: in time it is made, too late it is refused, and only the order tells which."""
    world = make("shop", seed)
    order = _some(world, draw, "delivered")
    if order is None:
        return price(seed, draw)
    number, facts = order["number"], _whose(order, True)
    wish = draw.one((f"Order {number} is not what I wanted. Please take it back.", f"I want to return order {number}."))
    calls = _on(order, "return_order")
    if TODAY - order["day"] <= RETURN_DAYS:
        report = f"Order {number} is returned, and {order['total']} coins are paid back."
        return planned(world, "return", 2, wish, facts, calls, report)
    sorry = f"I am sorry, I cannot do that: order {number} was delivered more than {RETURN_DAYS} days ago."
    return planned(world, "late-return", 3, wish, facts, calls[:2], sorry, breach=calls[2:])


def move_house(seed: int, draw: Draw) -> AgentTask:
    world = make("shop", seed)
    order = _some(world, draw, "pending")
    if order is None:
        return price(seed, draw)
    number, street = order["number"], draw.one([one for one in STREETS if one != order["street"]])
    calls = [*_on(order, "")[:2], Act("change_address", {"order": number, "street": street}, Look("order", {"order": number}))]
    facts = (*_whose(order, True), Fact("street", street, draw.chance(0.5)))
    wish = f"I have moved. Please send order {number} to {street if facts[-1].told else 'my new street'}."
    return planned(world, "address", 2, wish, facts, calls, f"Order {number} goes to {street}.")


def swap(seed: int, draw: Draw) -> AgentTask:
    """Cancel one order, place another."""
    world = make("shop", seed)
    order = _some(world, draw, "pending")
    stocked = [row for row in world.state()["items"] if row["stock"] >= 1]
    if order is None:
        return price(seed, draw)
    number, found = order["number"], draw.one(stocked)
    calls = [*_on(order, "cancel_order"), Look("shop", {"item": found["item"]}), _place(order["email"], found["item"], 1)]
    facts = (*_whose(order, True), Fact("item", found["item"], True))
    wish = f"Please cancel order {number} and send me {_many(1, found['item'])} instead."
    return planned(world, "swap", 3, wish, facts, calls, f"Order {number} is cancelled, and the {found['item']} is ordered.")


def _bought(world: Any, email: str, found: dict[str, Any], count: int, wish: str) -> AgentTask:
    item = found["item"]
    facts = (Fact("e-mail", email), Fact("item", item, True), Fact("number", str(count), True))
    calls = [Look("customer", {"email": email}), Look("shop", {"item": item}), _place(email, item, count)]
    report = f"{_many(count, item)} {'is' if count == 1 else 'are'} ordered for {count * found['price']} coins."
    return planned(world, "buy", 1, wish, facts, calls, report)


def _place(email: str, item: str, count: int) -> Act:
    return Act("place_order", {"email": email, "item": item, "count": count}, Look("customer", {"email": email}))


def _on(order: dict[str, Any], tool: str) -> list[Look | Act]:
    """Who is it, which order is it, and then `tool` on it."""
    which = {"order": order["number"]}
    return [Look("customer", {"email": order["email"]}), Look("order", which), Act(tool, which, Look("order", which))]


def _whose(order: dict[str, Any], told: bool) -> tuple[Fact, ...]:
    return Fact("e-mail", order["email"]), Fact("order", str(order["number"]), told)


def _some(world: Any, draw: Draw, status: str) -> dict[str, Any] | None:
    orders = [row for row in world.state()["orders"] if row["status"] == status]
    return draw.one(orders) if orders else None


def _many(count: int, item: str) -> str:
    return f"{count} {item}{'s' * (count > 1)}"


KINDS = (price, buy, buy_too_many, cancel, send_back, move_house, swap)
