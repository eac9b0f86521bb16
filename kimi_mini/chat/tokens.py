"""Dialogues as token ids, with a mask of what the assistant wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..tokenizer import Tokenizer
from .template import ANSWER, Message, declaration, message_pieces


class Encoded(NamedTuple):
    """A dialogue's tokens; learn[i] says whether token i is the assistant's own (its closing <|im_end|> included)."""

    tokens: list[int]
    learn: list[bool]


def prompt(messages: Sequence[Message], tools: Sequence[dict[str, Any]], tokenizer: Tokenizer) -> list[int]:
    """[BOS], the dialogue so far, and the assistant's opening markers: what a model goes on from."""
    return [*encode(messages, tools, tokenizer).tokens, *tokenizer.encode(ANSWER, special=True)]


def encode(messages: Sequence[Message], tools: Sequence[dict[str, Any]], tokenizer: Tokenizer) -> Encoded:
    """A dialogue behind [BOS]. Marker letters inside contents and arguments stay letters: nobody can write a marker."""
    tokens, learn = [tokenizer.bos], [False]
    for message, pieces in ((None, declaration(tools)), *((one, message_pieces(one)) for one in messages)):
        ours = message is not None and message["role"] == "assistant"
        for place, (text, special) in enumerate(pieces):
            ids = tokenizer.encode(text, special=special)
            tokens += ids
            learn += [ours and place >= 3] * len(ids)  # marker, role and <|im_middle|> are given
    return Encoded(tokens, learn)
