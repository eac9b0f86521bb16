"""Dialogues as tokens: messages and tool calls in K2's wire format, back again, and which tokens a model learns from.

Reading order: template (messages to text), parser (tokens to calls, whatever a model wrote), tokens (ids and mask).
"""

from .parser import Call, Malformed, Parsed, parse, parse_text
from .template import compact, render
from .tokens import Encoded, encode, prompt

__all__ = ["Call", "Encoded", "Malformed", "Parsed", "compact", "encode", "parse", "parse_text", "prompt", "render"]
