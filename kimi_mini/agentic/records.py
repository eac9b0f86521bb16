"""A run as a line of JSON that says all of itself, and back as a dialogue to learn from.

Every line has the same fields with the same types, so that `datasets.load_dataset("json", ...)` reads the file: what has a
shape of its own (arguments, schemas, states) is JSON in a string, as in OpenAI's API.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..chat import compact
from ..train import Dialogue
from .agents import AgentSpec
from .judge import Item, passed
from .runner import Trajectory, valid
from .task import AgentTask


def record_of(
    task: AgentTask, spec: AgentSpec, run: Trajectory, items: Sequence[Item], about: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of a run and its verdict; `about` says who played and judged, and with which seeds."""
    return {
        **about, "task": task.id, "world": task.world, "world_seed": task.seed, "level": task.level, "agent": spec.name,
        "messages": [_as_text(message) for message in run.messages],
        "tools": compact(run.tools),
        "calls": [{"tool": call.tool, "outcome": call.outcome} for call in run.calls],
        "end": run.end, "valid": valid(run), "passed": passed(items),
        "items": [item._asdict() for item in items],
        "state": compact(run.state),
    }  # fmt: skip


def dialogue_of(record: Mapping[str, Any]) -> Dialogue:
    """Messages and tools of a record, as `train.sft` reads them."""
    return Dialogue([_from_text(message) for message in record["messages"]], json.loads(record["tools"]))


def signature(record: Mapping[str, Any]) -> str:
    """The same for two runs in which the same was said and done, whatever the agent was called."""
    said = [(message["role"], message["content"], message["tool_calls"]) for message in record["messages"][1:]]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _as_text(message: dict[str, Any]) -> dict[str, Any]:
    calls = [{"id": call["id"], "arguments": compact(call["arguments"])} for call in message.get("tool_calls", ())]
    answers = message.get("tool_call_id", "")
    return {"role": message["role"], "content": message["content"], "tool_calls": calls, "tool_call_id": answers}


def _from_text(message: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: message[name] for name in ("role", "content")}
    if message["tool_calls"]:
        found["tool_calls"] = [{"id": c["id"], "arguments": json.loads(c["arguments"])} for c in message["tool_calls"]]
    if message["role"] == "tool":
        found["tool_call_id"] = message["tool_call_id"]
    return found
