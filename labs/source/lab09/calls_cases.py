"""Dialogues that try a reader of calls: good ones, malformed ones, quotations."""

from __future__ import annotations

import random

from kimi_mini.chat.template import ARGUMENTS, CALL_BEGIN, CALL_END, END, SECTION_BEGIN, SECTION_END, compact
from kimi_mini.labs import Case

_TOOLS = "search order cancel lookup move_file add-event".split()
Piece = list  # [text, marker]


def call(name: str, place: int, arguments: object, close: str = CALL_END) -> list[Piece]:
    """The pieces of a call; `arguments` that are text stand as they are, and without `close` nothing ends it."""
    text = arguments if isinstance(arguments, str) else compact(arguments)
    pieces = [[CALL_BEGIN, True], [f"functions.{name}:{place}", False], [ARGUMENTS, True], [text, False]]
    return [*pieces, *([[close, True]] if close else [])]


def says(*calls: list[Piece], text: str = "") -> list:
    """An assistant message: text, then a section of calls."""
    inner = [piece for one in calls for piece in one]
    section = [[SECTION_BEGIN, True], *inner, [SECTION_END, True]] if calls else []
    return ["assistant", [*([[text, False]] if text else []), *section, [END, True]]]


def cases(seed: int) -> tuple[Case, ...]:
    """One call and several; every way to be malformed; quotations by users, tools and the assistant itself."""
    rng = random.Random(seed)
    a, b, c = rng.sample(_TOOLS, 3)
    item = rng.choice("lamp rug clock jug".split())
    some, many = {"item": item, "count": rng.randint(2, 9)}, {"path": "a\u00e9.txt", "deep": [{"x": [1, 2.5, None]}]}
    whole = "".join(text for text, _ in call(a, 0, some))
    user = ["user", [[f"Please get me a {item}.", False]]]

    def case(name: str, *dialogue: list) -> Case:
        return Case(name, (list(dialogue),))

    torn = '{"item": "' + item
    strange = [
        call(a, 0, torn), call(b, 1, [1, 2]), call(c, 2, '{"x": NaN}'), call("7up", 3, {}), call(a, 4, ""),
        [[CALL_BEGIN, True], ["search:5", False], [ARGUMENTS, True], ["{}", False], [CALL_END, True]],
        [[CALL_BEGIN, True], [f"functions.{b}:6 {{}}", False], [CALL_END, True]],
        [[CALL_BEGIN, True], [f"functions.{b}:7", False], *[[ARGUMENTS, True], ["{}", False]] * 2, [CALL_END, True]],
    ]  # fmt: skip
    return (
        case("one call", user, says(call(a, 0, some), text="I will look."), ["tool", [["12 left", False]]], says(text="12.")),
        case("parallel calls", user, says(call(a, 0, some), call(b, 1, many), call(a, 2, some)), says(call(c, 3, {}))),
        case("malformed calls", user, *(says(one) for one in strange)),
        case("a malformed call among good ones", user, says(call(a, 0, some), call(b, 1, torn), call(c, 2, many))),
        case("not closed", user, says(call(a, 0, some, ""), call(b, 1, many)), says(call(c, 2, some, ""))),
        case("a user quotes a call", ["user", [["What does this do? " + whole, False]]], says(text="It looks for an item.")),
        case(
            "a user's text was read with its markers",
            ["user", [["Do this: ", False], *call(a, 0, some)]],
            says(call(b, 0, many)),
        ),
        case("the assistant quotes a call", user, says(text=f"A call is written {whole}."), says(call(b, 0, many))),
        case("letters of a marker inside arguments", user, says(call(a, 0, {"text": whole}), call(b, 1, some))),
        case("after the end", user, ["assistant", [["Done.", False], [END, True], *call(a, 0, some)]]),
        case("space around", user, says(call(a, 0, f"\n {compact(some)} \n"))),
        case("the same id twice", user, says(call(a, 0, some), call(a, 0, some)), says(call(b, 1, some), call(a, 0, many))),
        case("known names", user, says(call("search", 0, some), call("refund", 1, some), call("order", 2, many))),
    )


def good_before(seed: int) -> tuple[Case, ...]:
    """As `cases`, each dialogue behind a message with a good call."""
    return tuple(Case(case.name, ([says(call("search", 99, {"item": "cup"})), *case.args[0]],)) for case in cases(seed))


def named(seed: int) -> tuple[Case, ...]:
    """As `cases`, with every tool but `lookup` under a known name, and with names that begin like one."""
    names = dict(
        zip([f"functions.{tool}:" for tool in _TOOLS], ["search", "order", "cancel", "lookup", "order", "search"], strict=True)
    )

    def renamed(pieces: list[Piece]) -> list[Piece]:
        changed = []
        for text, marker in pieces:
            old = next((name for name in names if text.startswith(name)), None)
            changed.append([text.replace(old, f"functions.{names[old]}:", 1) if old else text, marker])
        return changed

    found = [Case(case.name, ([[role, renamed(pieces)] for role, pieces in case.args[0]],)) for case in cases(seed)]
    number = random.Random(seed).randint(1, 9)
    alike = says(call("order_all", 0, {"count": number}), call("searching", 1, {}), call("cancel", 2, {"order": number}))
    return (*found, Case("names that begin alike", ([alike],)))
