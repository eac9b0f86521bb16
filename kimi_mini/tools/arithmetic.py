"""Integer arithmetic as text: read by a parser of its own, never by `eval`."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"\s*(\d{1,6}|[-+*()])")
_DEEPEST = 20


class Expression(NamedTuple):
    """An expression's value, and the numbers that stand in it, in order."""

    value: int
    numbers: tuple[int, ...]


def read_expression(text: str) -> Expression | None:
    """The value of an expression of whole numbers, + - * and brackets; None for any other text, however hostile.

    No sign before a number, no division, at most six digits a number and twenty brackets deep.
    """
    tokens = _tokens(text)
    if tokens is None or len(tokens) > 200:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.sum(0)
    except _Unreadable:
        return None
    return Expression(value, tuple(reader.numbers)) if reader.at == len(tokens) else None


class _Unreadable(Exception):
    pass


class _Reader:
    """Recursive descent: sum -> product {+- product}, product -> factor {* factor}, factor -> number | ( sum )."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at, self.numbers = tokens, 0, []

    def sum(self, depth: int) -> int:
        value = self._product(depth)
        while self._next() in ("+", "-"):
            sign = self._take()
            other = self._product(depth)
            value = value + other if sign == "+" else value - other
        return value

    def _product(self, depth: int) -> int:
        value = self._factor(depth)
        while self._next() == "*":
            self._take()
            value *= self._factor(depth)
        return value

    def _factor(self, depth: int) -> int:
        token = self._take()
        if token == "(" and depth < _DEEPEST:
            value = self.sum(depth + 1)
            if self._take() == ")":
                return value
        elif token.isdigit():
            self.numbers.append(int(token))
            return int(token)
        raise _Unreadable

    def _next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self.at += 1
        return token


def _tokens(text: str) -> list[str] | None:
    found, at, text = [], 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or not match[1].isascii():
            return None
        found.append(match[1])
        at = match.end()
    return found
