"""Messages to text and tool calls to K2's wire format; the markers are reserved tokens (`encode(..., special=True)`)."""

from __future__ import annotations

import json
from typing import Any

_MARKERS = {"system": "<|im_system|>", "tool": "<|im_system|>", "user": "<|im_user|>", "assistant": "<|im_assistant|>"}


def render(messages: list[dict[str, Any]], tools: list[dict[str, Any]] = ()) -> str:
    """The text of a dialogue: tool declarations, then every message between its markers.

    A message has a role (system, user, assistant, tool) and content. An assistant's may have tool_calls, each with an id
    ("functions.NAME:IDX", IDX counting from 0 through the dialogue) and arguments (a dict); a tool's names the tool_call_id
    it answers. A tool is {name, description, parameters}, parameters being a JSON schema. Raises ValueError for another role.
    """
    declared = [{"type": "function", "function": tool} for tool in tools]
    parts = [f"<|im_system|>tool_declare<|im_middle|>{compact(declared)}<|im_end|>"] if declared else []
    return "".join([*parts, *map(_message, messages)])


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _message(message: dict[str, Any]) -> str:
    role, content = message["role"], message["content"]
    if role not in _MARKERS:
        raise ValueError(f"role = {role!r} will not do; expected {', '.join(_MARKERS)}")
    if role == "tool":
        content = f"## Return of {message['tool_call_id']}\n{content}"
    calls = "".join(
        f"<|tool_call_begin|>{call['id']}<|tool_call_argument_begin|>{compact(call['arguments'])}<|tool_call_end|>"
        for call in message.get("tool_calls", ())
    )
    section = f"<|tool_calls_section_begin|>{calls}<|tool_calls_section_end|>" if calls else ""
    return f"{_MARKERS[role]}{role}<|im_middle|>{content}{section}<|im_end|>"
