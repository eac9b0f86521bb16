"""Constraints on a text that code can check: each has a kind, a value, the words that demand it, and a test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .marking import readable

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|\Z)")
Value = int | str


class Constraint(NamedTuple):
    """One demand: `kind` is a key of KINDS; `value` a number, a word or a phrase ("" where the kind needs none)."""

    kind: str
    value: Value = ""

    @property
    def words(self) -> str:
        """As it is told to the model."""
        return KINDS[self.kind].words.format(self.value)

    def holds(self, text: str) -> bool:
        return KINDS[self.kind].test(text, self.value)


class Kind(NamedTuple):
    words: str
    test: Callable[[str, Any], bool]


def words(text: str) -> list[str]:
    """Words: letters and digits, with apostrophes and hyphens inside."""
    return _WORD.findall(text)


def _sentences(text: str) -> int:
    return len(_SENTENCE_END.findall(text)) if text.strip().endswith((".", "!", "?")) else -1


def _contains(text: str, word: str) -> bool:
    return word.lower() in (found.lower() for found in words(text))


def _json(text: str, key: str) -> bool:
    """A JSON object whose one key holds a text that is not empty."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and list(value) == [key] and isinstance(value[key], str) and bool(value[key].strip())


KINDS = {
    "words": Kind("Use exactly {} words.", lambda text, count: len(words(text)) == count),
    "most_words": Kind("Use at most {} words.", lambda text, count: 0 < len(words(text)) <= count),
    "sentences": Kind("Write exactly {} sentence(s).", lambda text, count: _sentences(text) == count),
    "contains": Kind('Use the word "{}".', _contains),
    "avoids": Kind('Do not use the word "{}".', lambda text, word: not _contains(text, word)),
    "lower": Kind("Write everything in lower case.", lambda text, _: text == text.lower()),
    "upper": Kind("Write everything in capitals.", lambda text, _: text == text.upper()),
    "begins": Kind('Begin with "{}".', lambda text, start: text.strip().startswith(start)),
    "ends": Kind('End with "{}".', lambda text, end: text.strip().endswith(end)),
    "no_commas": Kind("Use no commas.", lambda text, _: "," not in text),
    "no_digits": Kind("Use no digits.", lambda text, _: not any(letter.isdigit() for letter in text)),
    "json": Kind('Reply with a JSON object that has the one key "{}" and a text there.', _json),
}

# Phrases of someone who talks about the task instead of doing it, or praises the result.
_CLAIMS = re.compile(
    r"\b(as (you )?(asked|requested|instructed|required)|follow(s|ed|ing)?\b.{0,30}\b(instruction|constraint|rule|requirement)"
    r"|(meet|meets|met|satisf(y|ies|ied)|fulfil(l|ls|led|s)?|obey(s|ed)?|compl(y|ies|ied))\b.{0,40}"
    r"\b(instruction|constraint|rule|requirement|request|condition|demand)"
    r"|(exactly|only) \w+ (word|sentence)s?\b|(in|all) (lower|upper) ?case|(without|no) (comma|digit)s?\b"
    r"|(this|my|the) (text|answer|reply|response)\b.{0,20}\b(is|has|uses|contains|ends|begins|meets)\b"
    r"|(instruction|constraint|requirement)s? (is|are|was|were|have been|has been)? ?(followed|met|satisfied|fulfilled))",
    re.IGNORECASE | re.DOTALL,
)
_RUN = 5  # words in a row that no text shares with its instructions by chance


def honest(text: str, instruction: str) -> bool:
    """K2's hack check in code: no claim to have followed the instructions, and none of them repeated."""
    if not readable(text) or _CLAIMS.search(text):
        return False
    told, said = (tuple(word.lower() for word in words(one)) for one in (instruction, text))
    runs = {told[at : at + _RUN] for at in range(len(told) - _RUN + 1)}
    return not any(said[at : at + _RUN] in runs for at in range(len(said) - _RUN + 1))
