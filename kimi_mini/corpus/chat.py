"""Dialogues with tools: a calculator, a shop, a calendar and the weather, called in K2's wire format, answered, and used.

The world is drawn anew for every dialogue, so prices and appointments can only be read off the tools' results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..chat import compact, render
from . import facts
from .draw import Draw

_SYSTEM = ("You are Mini, a small assistant. Use the tools when they help.", "You are Mini, a small assistant.")
_ITEMS = (
    "basket blanket bowl candle chair clock cup desk fork jug kettle ladder lamp mirror pan pillow plate rug spoon table"
).split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_EVENTS = (
    "dentist|swimming|piano lesson|market|chess club|train to {town}|tea with {name}|lunch with {name}|visit to {town}".split(
        "|"
    )
)
_SKIES = "clear cloudy foggy rainy snowy windy".split()
_NAMES = "Ada Boris Clara Dmitri Elena Farid Greta Hugo Iris Jonas Kira Leon Mina Nadia".split()


def _tool(name: str, description: str, **fields: str) -> dict[str, Any]:
    properties = {field: {"type": "string", "description": text} for field, text in fields.items()}
    return {
        "name": name,
        "description": description,
        "parameters": {"type": "object", "properties": properties, "required": list(fields)},
    }


TOOLS = {
    tool["name"]: tool
    for tool in (
        _tool("calculator", "Work out an expression.", expression="such as 3 * (4 + 5)"),
        _tool("shop", "Look up price and stock of an item.", item="its name"),
        _tool("calendar", "List the events of a day.", day="day of the week"),
        _tool("weather", "Weather in a town today.", town="its name"),
    )
}


def document(draw: Draw) -> str:
    """One dialogue of one to three questions, with the tools it needs and sometimes others declared."""
    talk = _Talk(draw)
    for kind in draw.some(list(_TURNS), draw.number(1, 3)):
        _TURNS[kind](talk)
    used = {call["id"].split(".")[1].split(":")[0] for m in talk.messages for call in m.get("tool_calls", ())}
    declared = [name for name in TOOLS if name in used or draw.chance(0.25)]
    return render(talk.messages, [TOOLS[name] for name in draw.shuffled(declared)])


def key(text: str) -> str:
    """What makes a document this one and no other: all of it, as the same question has another answer in another world."""
    return text


class _Talk:
    """A dialogue in the making; calls are counted through all of it."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": draw.one(_SYSTEM)}] * draw.chance(0.7)
        self._calls = 0

    def user(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def answer(self, text: str) -> None:
        self.messages.append({"role": "assistant", "content": text})

    def call(self, content: str, *calls: tuple[str, dict[str, Any], Any]) -> None:
        """One assistant message with `calls` of (tool, arguments, result), and a message with the result of each."""
        made = [
            {"id": f"functions.{name}:{self._calls + place}", "arguments": arguments}
            for place, (name, arguments, _) in enumerate(calls)
        ]
        self._calls += len(calls)
        self.messages.append({"role": "assistant", "content": content, "tool_calls": made})
        for call, (_, _, result) in zip(made, calls, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": compact(result)})


# ---- what may be asked -------------------------------------------------------------------------------------------------


def _sum(talk: _Talk) -> None:
    a, b, c = (talk.draw.number(2, 99) for _ in range(3))
    expression, value = talk.draw.one(
        [(f"{a} * {b} + {c}", a * b + c), (f"{a} * ({b} + {c})", a * (b + c)), (f"{a} + {b} + {c}", a + b + c)]
    )
    talk.user(talk.draw.one(["What is {}?", "Please work out {}.", "How much is {}?"]).format(expression))
    talk.call("", ("calculator", {"expression": expression}, value))
    talk.answer(talk.draw.one(["{} = {}.", "{} is {}."]).format(expression, value))


def _price(talk: _Talk) -> None:
    item = talk.draw.one(_ITEMS)
    price, stock = talk.draw.number(2, 99), talk.draw.number(0, 12)
    talk.user(talk.draw.one(["How much is a {}?", "What does a {} cost?", "Is there a {} in the shop?"]).format(item))
    talk.call("", _lookup(item, price, stock))
    there = f"there are {stock} left" if stock > 1 else ("there is one left" if stock else "there is none left")
    talk.answer(f"A {item} costs {price} coins, and {there}.")


def _basket(talk: _Talk) -> None:
    draw = talk.draw
    items = draw.some(_ITEMS, draw.number(1, 2))
    counts = [draw.number(2, 9) for _ in items]
    prices = [draw.number(2, 60) for _ in items]
    talk.user(f"What do {' and '.join(f'{n} {item}s' for n, item in zip(counts, items, strict=True))} cost?")
    lookups = [_lookup(item, price, draw.number(9, 20)) for item, price in zip(items, prices, strict=True)]
    talk.call("I will look up the prices." if draw.chance(0.5) else "", *lookups)
    expression = " + ".join(f"{n} * {price}" for n, price in zip(counts, prices, strict=True))
    total = sum(n * price for n, price in zip(counts, prices, strict=True))
    talk.call("", ("calculator", {"expression": expression}, total))
    talk.answer(f"{'Together they' if len(items) > 1 else 'They'} cost {total} coins.")


def _lookup(item: str, price: int, stock: int) -> tuple[str, dict[str, Any], Any]:
    return "shop", {"item": item}, {"item": item, "price": price, "stock": stock}


def _day(talk: _Talk) -> None:
    draw, day = talk.draw, talk.draw.one(_DAYS)
    times = sorted(draw.some(range(8, 20), draw.number(0, 3)))
    events = [(f"{hour}:00", draw.one(_EVENTS).format(name=draw.one(_NAMES), town=facts.town(draw))) for hour in times]
    talk.user(draw.one(["What is on {}?", "Am I free on {}?", "What do I have on {}?"]).format(day))
    talk.call("", ("calendar", {"day": day}, {"day": day, "events": [f"{time} {event}" for time, event in events]}))
    listed = ", ".join(f"{event} at {time}" for time, event in events)
    talk.answer(f"On {day} you have {listed}." if events else f"On {day} you are free all day.")


def _weather(talk: _Talk) -> None:
    town, degrees, sky = facts.town(talk.draw), talk.draw.number(-9, 34), talk.draw.one(_SKIES)
    talk.user(talk.draw.one(["What is the weather in {}?", "How warm is it in {}?", "Tell me the weather in {}."]).format(town))
    talk.call("", ("weather", {"town": town}, {"town": town, "degrees": degrees, "sky": sky}))
    talk.answer(f"In {town} it is {sky} and {degrees} degrees.")


def _small_talk(talk: _Talk) -> None:
    name = talk.draw.one(_NAMES)
    question, answer = talk.draw.one(
        [
            (f"Hello, I am {name}.", f"Hello {name}, how can I help you?"),
            (f"Good morning! My name is {name}.", f"Good morning, {name}. What can I do for you?"),
            (f"Say hello to {name}.", f"Hello, {name}!"),
            (f"Spell {name}.", "-".join(name.upper())),
            (f"How many letters has {name}?", f"{name} has {len(name)} letters."),
        ]
    )
    talk.user(question)
    talk.answer(answer)


_TURNS: dict[str, Callable[[_Talk], None]] = {
    "sum": _sum, "price": _price, "basket": _basket, "day": _day, "weather": _weather, "small talk": _small_talk,
}  # fmt: skip
