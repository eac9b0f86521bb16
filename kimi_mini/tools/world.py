"""A world: tools that act on a state. Arguments are checked before anything happens, and a call that fails changes nothing."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from ..checks import is_int, require

_LONGEST = 300  # characters of an explanation


class Tool(NamedTuple):
    """What a model is told of a tool; `parameters` is a JSON schema of an object. `reads` says that it changes nothing."""

    name: str
    description: str
    parameters: dict[str, Any]
    reads: bool = True

    @property
    def declared(self) -> dict[str, Any]:
        """The form that the chat template declares."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


class Result(NamedTuple):
    """The answer to a call: `value` is JSON-ready; for a call that failed it is the reason."""

    ok: bool
    value: Any


class Refused(Exception):
    """Raised by a tool that will not do what was asked; the message is told to the model."""


class World(ABC):
    """One episode's state and the tools on it. The same seed gives the same world; episodes share nothing.

    A subclass gives `name`, `policy` (what an agent must heed, in words), `tools`, and a method `_NAME(**arguments)` for
    each tool, which returns a JSON-ready value or raises Refused. Its state is JSON-ready `self.data`, unless it keeps it
    elsewhere and overrides `_saved`, `_restore` and `state` (`SqlWorld` does).
    """

    name: ClassVar[str]
    policy: ClassVar[str] = ""
    tools: ClassVar[tuple[Tool, ...]]

    def __init__(self, seed: int) -> None:
        require(is_int(seed, 0), "seed", seed, "an integer >= 0")
        self.seed = seed
        self.data: Any = self.draw(seed)

    @abstractmethod
    def draw(self, seed: int) -> Any:
        """The state in which an episode begins."""

    def tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def call(self, name: str, arguments: dict[str, Any]) -> Result:
        """Do it, or say why not; never raises for what a model can write."""
        tool = self.tool(name)
        if tool is None:
            return Result(False, f"there is no tool {str(name)[:60]!r}; the tools are {', '.join(t.name for t in self.tools)}")
        fault = schema_fault(arguments, tool.parameters)
        if fault:
            return Result(False, fault)
        before = None if tool.reads else self._saved()
        try:
            return Result(True, self._do(name, arguments))
        except Refused as refusal:
            if not tool.reads:
                self._restore(before)
            return Result(False, str(refusal))

    def state(self) -> dict[str, Any]:
        """All that an episode can change, JSON-ready and a copy; what a verifier compares."""
        return json.loads(json.dumps(self.data))

    def breaches(self) -> list[str]:
        """Rules of the policy that what was done has broken, in words; the tools themselves let them pass."""
        return []

    def _do(self, name: str, arguments: dict[str, Any]) -> Any:
        """Act on the state; arguments fit the tool's schema."""
        return getattr(self, f"_{name}")(**arguments)

    def _saved(self) -> Any:
        return json.loads(json.dumps(self.data))

    def _restore(self, saved: Any) -> None:
        self.data = saved


def schema_fault(arguments: Any, schema: dict[str, Any]) -> str | None:
    """What is wrong with the arguments, in one sentence; None where they fit."""
    import jsonschema  # here, so that verifiers without tools need no such package

    try:
        json.dumps(arguments, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "the arguments hold half of a character pair, which no text can"

    faults = sorted(jsonschema.Draft202012Validator(schema).iter_errors(arguments), key=lambda fault: str(list(fault.path)))
    if not faults:
        return None
    place = ".".join(map(str, faults[0].path))
    return f"the arguments do not fit the schema{f' at {place}' if place else ''}: {faults[0].message}"[:_LONGEST]


def takes(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """The schema of an object with these properties and no others; a property that is text stands for its description."""
    properties = {
        name: {"type": "string", "description": kind, "maxLength": 400} if isinstance(kind, str) else kind
        for name, kind in (required | optional).items()
    }
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def whole(description: str, low: int, high: int) -> dict[str, Any]:
    """The schema of an integer."""
    return {"type": "integer", "description": description, "minimum": low, "maximum": high}


def canonical(state: Any) -> str:
    """A state as one line of JSON, the same for equal states."""
    return json.dumps(state, sort_keys=True, separators=(",", ":"))
