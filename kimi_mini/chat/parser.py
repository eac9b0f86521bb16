"""What a model wrote, as content and tool calls; nothing that it writes raises.

`parse` reads tokens: only the reserved token begins a call, so the same letters inside a quotation are content. `parse_text`
is for endpoints that return text, where the two cannot be told apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..tokenizer import Tokenizer
from .template import ARGUMENTS, CALL_BEGIN, CALL_END, END, SECTION_BEGIN, SECTION_END

_ID = re.compile(r"functions\.([A-Za-z_][\w-]*):(\d+)\Z")
_STRUCTURE = (SECTION_BEGIN, SECTION_END, CALL_BEGIN, ARGUMENTS, CALL_END, END)
_SPELLED = re.compile("(" + "|".join(map(re.escape, _STRUCTURE)) + ")")
_DEEPEST = 32  # levels of JSON; deeper ones are no arguments but an attack on whoever reads them


class Call(NamedTuple):
    """A call that can be made: `id` as written ("functions.NAME:IDX"), the tool's name, and arguments (a JSON object)."""

    id: str
    name: str
    arguments: dict[str, Any]


class Malformed(NamedTuple):
    """Something between call markers that is no call, and why; `id` is what a reply to it may name."""

    id: str
    text: str
    why: str


class Parsed(NamedTuple):
    """`content` is all text outside of calls, stripped of space at its ends; calls and faults stand in order."""

    content: str
    calls: tuple[Call, ...]
    malformed: tuple[Malformed, ...]


def parse(tokens: Sequence[int], tokenizer: Tokenizer) -> Parsed:
    """Read the tokens of one assistant message, with or without its end."""
    names = {tokenizer.id(name): name for name in _STRUCTURE}
    pieces: list[tuple[str, bool]] = []
    run: list[int] = []
    for token in (*tokens, None):
        if token is None or token in names:
            if run:
                pieces.append((tokenizer.decode(run), False))
                run = []
            if token is not None:
                pieces.append((names[token], True))
        else:
            run.append(token)
    return _read(pieces)


def parse_text(text: str) -> Parsed:
    """Read an assistant message whose markers are spelled out."""
    return _read([(piece, piece in _STRUCTURE) for piece in _SPELLED.split(text) if piece])


def _read(pieces: list[tuple[str, bool]]) -> Parsed:
    """Content up to the end of the message; between a call's begin and end, one call."""
    content: list[str] = []
    found: list[Call | Malformed] = []
    call: list[tuple[str, bool]] | None = None  # the pieces of the call that is open
    for text, marker in pieces:
        if marker and text == END:
            break
        if marker and text in (CALL_BEGIN, SECTION_END, CALL_END):
            if call is not None:
                found.append(_call(call, closed=text == CALL_END, place=len(found)))
            call = [] if text == CALL_BEGIN else None
        elif call is not None:
            call.append((text, marker))
        elif not marker:
            content.append(text)
    if call is not None:
        found.append(_call(call, closed=False, place=len(found)))
    calls = tuple(one for one in found if isinstance(one, Call))
    return Parsed("".join(content).strip(), calls, tuple(one for one in found if isinstance(one, Malformed)))


def _call(pieces: list[tuple[str, bool]], closed: bool, place: int) -> Call | Malformed:
    text = "".join(piece for piece, _ in pieces)
    markers = [piece for piece, marker in pieces if marker]
    head, _, arguments = text.partition(ARGUMENTS)
    match = _ID.match(head.strip())
    name = head.strip() if match else f"functions.unknown:{place}"
    if not closed:
        return Malformed(name, text, "the call was not closed")
    if markers != [ARGUMENTS]:
        return Malformed(name, text, f"expected one {ARGUMENTS} between the call's name and its arguments")
    if match is None:
        return Malformed(name, text, "expected functions.NAME:IDX before the arguments")
    try:
        value = json.loads(arguments, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return Malformed(name, text, f"the arguments are no JSON ({error})")
    if not isinstance(value, dict):
        return Malformed(name, text, f"the arguments are a {type(value).__name__}; expected a JSON object")
    if _depth(value) > _DEEPEST:
        return Malformed(name, text, f"the arguments are nested deeper than {_DEEPEST} levels")
    return Call(head.strip(), match[1], value)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _depth(value: Any) -> int:
    """Levels of lists and objects, counted without recursion."""
    level, here = 0, [value]
    while here := [inner for one in here for inner in _inner(one)]:
        level += 1
    return level


def _inner(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
