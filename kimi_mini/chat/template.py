"""Messages to text and tool calls to K2's wire format; the markers are reserved tokens.

The spelling is that of Kimi K2's repository (docs/tool_call_guidance.md); appendix B of the report prints slightly other names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

MARKERS = {"system": "<|im_system|>", "tool": "<|im_system|>", "user": "<|im_user|>", "assistant": "<|im_assistant|>"}
MIDDLE, END = "<|im_middle|>", "<|im_end|>"
SECTION_BEGIN, SECTION_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL_BEGIN, ARGUMENTS, CALL_END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
ANSWER = f"{MARKERS['assistant']}assistant{MIDDLE}"  # what a prompt ends with

Message = dict[str, Any]
Piece = tuple[str, bool]  # text, and whether it is markers


def render(messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
    """The text of a dialogue: tool declarations, then every message between its markers.

    A message has a role (system, user, assistant, tool) and content. An assistant's may have tool_calls, each with an id
    ("functions.NAME:IDX", IDX counting from 0 through the dialogue) and arguments (a dict); a tool's names the tool_call_id
    it answers. A tool is {name, description, parameters}, parameters being a JSON schema. Raises ValueError for another role.
    """
    return "".join(text for pieces in (declaration(tools), *map(message_pieces, messages)) for text, _ in pieces)


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def declaration(tools: Sequence[dict[str, Any]]) -> list[Piece]:
    """The pieces that declare the tools; none where there are none."""
    declared = [{"type": "function", "function": tool} for tool in tools]
    head = (f"{MARKERS['system']}tool_declare{MIDDLE}", True)
    return [head, (compact(declared), False), (END, True)] if declared else []


def message_pieces(message: Message) -> list[Piece]:
    """One message; what a person, a tool or a model wrote is never taken for markers."""
    role, content = message["role"], message["content"]
    if role not in MARKERS:
        raise ValueError(f"role = {role!r} will not do; expected {', '.join(MARKERS)}")
    if role == "tool":
        content = f"## Return of {message['tool_call_id']}\n{content}"
    calls = section([(call["id"], compact(call["arguments"])) for call in message.get("tool_calls", ())])
    return [(MARKERS[role], True), (role, False), (MIDDLE, True), (content, False), *calls, (END, True)]


def section(calls: Sequence[tuple[str, str]]) -> list[Piece]:
    """The pieces of calls of (id, arguments as text), which need not be JSON; none where there are none."""
    made = [
        piece
        for name, text in calls
        for piece in ((CALL_BEGIN, True), (name, False), (ARGUMENTS, True), (text, False), (CALL_END, True))
    ]
    return [(SECTION_BEGIN, True), *made, (SECTION_END, True)] if made else []


def written(content: str, calls: Sequence[tuple[str, str]]) -> str:
    """What an assistant writes for this content and these calls of (id, arguments as text), without the closing marker."""
    return content + "".join(text for text, _ in section(calls))
