"""A world: tools that act on a state. Arguments are checked before anything happens, and a call that fails changes nothing."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import jsonschema


class Tool(NamedTuple):
    """What a model is told of a tool; `parameters` is a JSON schema of an object. `reads` says that it changes nothing."""

    name: str
    description: str
    parameters: dict[str, Any]
    reads: bool

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
    each tool, which returns a JSON-ready value or raises Refused. State lives in JSON-ready `self.data`.
    """

    name: ClassVar[str]
    policy: ClassVar[str] = ""
    tools: ClassVar[tuple[Tool, ...]]

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.data: dict[str, Any] = self.draw(seed)

    @abstractmethod
    def draw(self, seed: int) -> dict[str, Any]:
        """The state in which an episode begins."""

    def tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def call(self, name: str, arguments: dict[str, Any]) -> Result:
        """Do it, or say why not; never raises for what a model can write."""
        tool = self.tool(name)
        if tool is None:
            return Result(False, f"there is no tool {name}; the tools are {', '.join(one.name for one in self.tools)}")
        fault = schema_fault(arguments, tool.parameters)
        if fault:
            return Result(False, fault)
        before = copy.deepcopy(self.data)
        try:
            return Result(True, getattr(self, f"_{name}")(**arguments))
        except Refused as refusal:
            self.data = before
            return Result(False, str(refusal))

    def state(self) -> dict[str, Any]:
        """All that the episode has changed or could change, JSON-ready; what a verifier compares."""
        return json.loads(json.dumps(self.data, sort_keys=True))


def schema_fault(arguments: Any, schema: dict[str, Any]) -> str | None:
    """What is wrong with the arguments, in one sentence; None where they fit."""
    faults = sorted(jsonschema.Draft202012Validator(schema).iter_errors(arguments), key=lambda fault: list(fault.path))
    if not faults:
        return None
    place = ".".join(map(str, faults[0].path))
    return f"the arguments do not fit the schema{f' at {place}' if place else ''}: {faults[0].message}"[:300]
