"""A tool with a simulator: arguments checked first, a failed call changes nothing, and episodes share nothing."""

from __future__ import annotations

from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

from .tool_cases import cases, one_fault_each

SOLUTION = '''
def simulate(stock, episodes):
    """A shop with the tools `order` and `restock`, played through several episodes.

    stock      {item: count}: what is there when an episode begins
    episodes   a list of episodes; an episode is a list of [tool, arguments], the calls as a model wrote them

        order     {"items": {item: count, ...}}    takes each item off the stock, in order; its value: how many pieces in all
        restock   {"item": item, "count": count}   adds to an item that the shop has; its value: how many are there now
        schema    exactly these arguments; items is a dict that is not empty, item is a str, and a count is an int above 0
                  (True is no count)
        failed    [False, why]: "tool" for a tool that is not there, "schema" for arguments that do not fit,
                  "item" for an item that the shop does not have, "stock" for more than is left.
                  A call that failed has changed nothing
        done      [True, value]

    Returns a list with, for each episode, {"answers": one for each call, "stock": what is there at its end}.
    """

    def is_count(value):
        return type(value) is int and value > 0

    def fits(tool, arguments):
        if not isinstance(arguments, dict) or set(arguments) != NAMES[tool]:
            return False
        if tool == "restock":
            return isinstance(arguments["item"], str) and is_count(arguments["count"])
        items = arguments["items"]
        return isinstance(items, dict) and len(items) > 0 and all(is_count(count) for count in items.values())

    def call(tool, arguments, here):
        if tool not in NAMES:
            return [False, "tool"]
        if not fits(tool, arguments):
            return [False, "schema"]
        if tool == "restock":
            item, count = arguments["item"], arguments["count"]
            if item not in here:
                return [False, "item"]
            here[item] += count
            return [True, here[item]]
        for item, count in arguments["items"].items():
            if item not in here:
                return [False, "item"]
            if here[item] < count:
                return [False, "stock"]
            here[item] -= count
        return [True, sum(arguments["items"].values())]

    played = []
    for calls in episodes:
        here, answers = dict(stock), []
        for tool, arguments in calls:
            trial = dict(here)
            answers.append(call(tool, arguments, trial))
            if answers[-1][0]:
                here = trial
        played.append({"answers": answers, "stock": here})
    return played


NAMES = {"order": {"items"}, "restock": {"item", "count"}}
'''

PACKAGE = """
from kimi_mini.tools import Refused, Tool, World

COUNT = {"type": "integer", "minimum": 1}


def simulate(stock, episodes):
    played = []
    for calls in episodes:
        world = LabShop(stock)
        answers = [list(world.call(tool, arguments)) for tool, arguments in calls]
        for answer in answers:
            if not answer[0] and answer[1] not in ("item", "stock"):
                answer[1] = "tool" if answer[1].startswith("there is no tool") else "schema"
        played.append({"answers": answers, "stock": world.state()})
    return played


def schema(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


class LabShop(World):
    name = "lab-shop"
    tools = (
        Tool("order", "Take items off the stock.",
             schema(items={"type": "object", "minProperties": 1, "additionalProperties": COUNT}), reads=False),
        Tool("restock", "Add to an item.", schema(item={"type": "string"}, count=COUNT), reads=False),
    )

    def __init__(self, stock):
        self.first = stock
        super().__init__(0)

    def draw(self, seed):
        return dict(self.first)

    def _have(self, item):
        if item not in self.data:
            raise Refused("item")

    def _order(self, items):
        for item, count in items.items():
            self._have(item)
            if self.data[item] < count:
                raise Refused("stock")
            self.data[item] -= count
        return sum(items.values())

    def _restock(self, item, count):
        self._have(item)
        self.data[item] += count
        return self.data[item]
"""

_TRIAL = "trial = dict(here)"
_SCHEMA = "if not isinstance(arguments, dict) or set(arguments) != NAMES[tool]:"
_ITEM_OF_RESTOCK = '            if item not in here:\n                return [False, "item"]\n            here[item] += count\n'
_LEFT = '            if here[item] < count:\n                return [False, "stock"]\n'
_LEFT_SPEC = '"item" for an item that the shop does not have, "stock" for more than is left.\n'

PRACTICE = Variant(
    "all or nothing",
    SOLUTION,
    cases,
    (
        Mistake(
            "state changes on a failed call",
            _TRIAL,
            "trial = here",
            "A call that failed has changed the stock. Try it on a copy, or look at everything before you take anything.",
        ),
        Mistake(
            "state leaks between episodes",
            "    for calls in episodes:\n        here, answers = dict(stock), []",
            "    here = dict(stock)\n    for calls in episodes:\n        answers = []",
            "An episode began with what the one before had left. Every episode begins with `stock`.",
        ),
        Mistake(
            "unknown arguments accepted",
            _SCHEMA,
            "if not isinstance(arguments, dict) or set(arguments) < NAMES[tool]:",
            "An argument that the schema does not name was accepted. Exactly the named ones fit.",
        ),
        Mistake(
            "counts below one accepted",
            "type(value) is int and value > 0",
            "type(value) is int",
            "A count of 0 or less was accepted: an order of -3 fills the shop.",
        ),
        Mistake(
            "True is a count",
            "type(value) is int and value > 0",
            "isinstance(value, int) and value > 0",
            "True was accepted as a count. In Python a bool is an int; in JSON it is none.",
        ),
        Mistake(
            "an empty order accepted",
            "isinstance(items, dict) and len(items) > 0 and",
            "isinstance(items, dict) and",
            "An order of nothing was accepted.",
        ),
        Mistake(
            "no schema at all",
            "if not fits(tool, arguments):",
            'if not isinstance(arguments, dict) or not isinstance(arguments.get("items", {}), dict):',
            "Arguments were used before they were checked against the schema.",
        ),
    ),
)

TOOL = Coding(
    "simulate",
    "Tool with a simulator",
    minutes=25,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "at most five pieces",
            'An order may have five pieces in all; one with more fails with "limit". Look at this before '
            "you look at the items.",
            (
                _LEFT_SPEC,
                _LEFT_SPEC.replace(
                    ".\n",
                    ',\n                  "limit" for an order of more than 5 pieces in all, looked at before its items.\n',
                ),
            ),
            (
                '        for item, count in arguments["items"].items():\n',
                '        if sum(arguments["items"].values()) > 5:\n            return [False, "limit"]\n'
                '        for item, count in arguments["items"].items():\n',
            ),
            also=(
                Mistake(
                    "five of one item",
                    'if sum(arguments["items"].values()) > 5:',
                    'if max(arguments["items"].values()) > 5:',
                    "Five of one item were allowed. The limit is five pieces in all.",
                ),
                Mistake(
                    "four pieces",
                    'if sum(arguments["items"].values()) > 5:',
                    'if sum(arguments["items"].values()) >= 5:',
                    "An order of five pieces was refused. Five are allowed.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "new items",
            "`restock` may bring an item that the shop does not have yet: it begins at 0.",
            (
                "adds to an item that the shop has; its value",
                "adds to an item; one that is new begins at 0; its value",
            ),
            (_ITEM_OF_RESTOCK, "            here[item] = here.get(item, 0) + count\n"),
            also=(
                Mistake(
                    "a new item replaces",
                    "here[item] = here.get(item, 0) + count",
                    "here[item] = count",
                    "`restock` replaced what was there. It adds.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "one failure ends it",
            'A failed call ends its episode: what follows is not tried, and answers [False, "ended"].',
            (
                "                  A call that failed has changed nothing\n",
                "                  A call that failed has changed nothing. What follows it in its episode is not tried and\n"
                '                  answers [False, "ended"]\n',
            ),
            (
                "            trial = dict(here)\n            answers.append(call(tool, arguments, trial))\n",
                "            trial, over = dict(here), any(not answer[0] for answer in answers)\n"
                '            answers.append([False, "ended"] if over else call(tool, arguments, trial))\n',
            ),
            cases=one_fault_each,
            also=(
                Mistake(
                    "everything ends",
                    "any(not answer[0] for answer in answers)",
                    "any(not answer[0] for answer in [*answers, *(one for each in played for one in each['answers'])])",
                    "A failure ended the episodes after it too. It ends its own.",
                ),
                Mistake(
                    "state changes on a failed call",
                    "trial, over = dict(here), any(",
                    "trial, over = here, any(",
                    "A call that failed has changed the stock. Try it on a copy, or look at everything before you take "
                    "anything.",
                ),
            ),
        ),
    ),
)
