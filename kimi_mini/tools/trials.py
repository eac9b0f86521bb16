"""Trying a tool out: calls with right and with wrong arguments in drawn worlds, and whether it does as it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jsonschema

from ..corpus.draw import Draw
from .world import Result, Tool, World, canonical

WORLDS, CALLS = 4, 10  # worlds that a tool is tried in, calls in each


class Trial(NamedTuple):
    """`fault` says why the tool will not do, or is empty; equal `fingerprint`s are equal behaviour on equal calls."""

    fault: str
    fingerprint: str = ""
    examples: tuple[dict[str, Any], ...] = ()


class _Fault(Exception):
    pass


def try_out(tool: Tool, world_of: Callable[[int], World]) -> Trial:
    """Call `tool` in the worlds that `world_of` makes from seeds, and read what it does from answers and states."""
    try:
        jsonschema.Draft202012Validator.check_schema(tool.parameters)
    except jsonschema.SchemaError:
        return Trial("the schema is no JSON schema")
    seen: list[Any] = []
    done: list[tuple[dict[str, Any], Result, bool]] = []
    try:
        for seed in range(WORLDS):
            world, draw = world_of(seed), Draw("try", _shape(tool), seed)
            _try_wrong(world, tool, draw)
            for _ in range(CALLS):
                arguments = right_arguments(tool, world, draw)
                result, changed = _called(world, tool, arguments)
                done.append((arguments, result, changed))
                seen.append([arguments, result.value if result.ok else None, canonical(world.state())])
        _judge(tool, done)
    except _Fault as fault:
        return Trial(str(fault))
    return Trial("", hashlib.sha256(canonical([_shape(tool), seen]).encode()).hexdigest(), tuple(_examples(done)))


def _called(world: World, tool: Tool, arguments: dict[str, Any]) -> tuple[Result, bool]:
    """The result of a call and whether it changed the state; raises where it may not have."""
    before = canonical(world.state())
    result = world.call(tool.name, arguments)
    changed = canonical(world.state()) != before
    if changed and tool.reads:
        raise _Fault("a tool that reads changed the state")
    if changed and not result.ok:
        raise _Fault("a refused call changed the state")
    try:
        json.dumps(result.value, allow_nan=False)
    except (TypeError, ValueError):
        raise _Fault("the answer is no JSON") from None
    return result, changed


def _try_wrong(world: World, tool: Tool, draw: Draw) -> None:
    for arguments in wrong_arguments(tool, right_arguments(tool, world, draw)):
        if _called(world, tool, arguments)[0].ok:
            raise _Fault("wrong arguments are accepted")


def _judge(tool: Tool, done: list[tuple[dict[str, Any], Result, bool]]) -> None:
    answers = [result.value for _, result, _ in done if result.ok]
    if not answers:
        raise _Fault("no right call succeeds")
    if not tool.reads and not any(changed for *_, changed in done):
        raise _Fault("a tool that acts changes nothing")
    if tool.reads and not any(answers):
        raise _Fault("it never finds anything")
    if tool.reads and len({canonical(answer) for answer in answers}) == 1:
        raise _Fault("it answers the same in every world")


def _examples(done: list[tuple[dict[str, Any], Result, bool]]) -> Iterator[dict[str, Any]]:
    """One call that was done and one that was refused, where there are such."""
    for wanted in (True, False):
        for arguments, result, _ in done:
            if result.ok is wanted:
                yield {"arguments": arguments, "ok": wanted, "value": result.value}
                break


def _shape(tool: Tool) -> str:
    """The schema without its words: tools of one shape get the same calls."""

    def bare(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: bare(value) for key, value in part.items() if key != "description"}
        return part

    return canonical(bare(tool.parameters))


# ---- arguments ---------------------------------------------------------------------------------------------------------


def right_arguments(tool: Tool, world: World, draw: Draw) -> dict[str, Any]:
    """Arguments that fit the schema and name records that are there; the world may still refuse them."""
    records = list(world.state()["records"].values())
    return {name: _right(name, schema, records, draw) for name, schema in tool.parameters["properties"].items()}


def _right(name: str, schema: dict[str, Any], records: list[dict[str, Any]], draw: Draw) -> Any:
    if "enum" in schema:
        return draw.one(schema["enum"])
    if schema["type"] == "array":
        return draw.some([record["id"] for record in records], draw.number(1, 2))
    if name in ("id", "first", "second"):
        return draw.one(records)["id"]
    if schema["type"] == "integer":
        return draw.number(schema["minimum"], schema["maximum"])
    title = draw.one(records)["title"]
    return title[:4] if name == "text" else f"new {title}"


def wrong_arguments(tool: Tool, right: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What must be refused: something missing, something more, another type, out of range, records that are not there."""
    yield {**right, "please": True}
    for name, schema in tool.parameters["properties"].items():
        yield {key: value for key, value in right.items() if key != name}
        yield {**right, name: None}
        if "enum" in schema:
            yield {**right, name: "something else"}
        elif schema["type"] == "integer":
            yield {**right, name: str(right[name])}
            yield {**right, name: schema["maximum"] + 1}
        if name in ("id", "first", "second"):
            yield {**right, name: 999_999}
        if name == "ids":
            yield {**right, name: [*right[name], 999_999]}
