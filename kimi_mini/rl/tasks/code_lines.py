"""One-line functions of one argument, from templates: small enough for MINI to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...corpus.draw import Draw


class CodeProblem(NamedTuple):
    """A function to write: `calls` are argument lists, `results` what each must return; `gold` and `wrong` are code."""

    name: str
    statement: str
    function: str
    calls: tuple[tuple[Any, ...], ...]
    results: tuple[Any, ...]
    gold: str
    wrong: str


class _Template(NamedTuple):
    """`words` and `code` take two numbers, a and b; `value` is the trusted function; x is a number, a list or a text."""

    words: str
    code: str
    wrong: str
    value: Callable[[Any, int, int], Any]
    of: str


_TEMPLATES = (
    _Template("x times {a} plus {b}", "x * {a} + {b}", "x + {a} + {b}", lambda x, a, b: x * a + b, "number"),
    _Template("x times {a} minus {b}", "x * {a} - {b}", "x * {a} + {b}", lambda x, a, b: x * a - b, "number"),
    _Template("x plus {a}, all times {b}", "(x + {a}) * {b}", "x + {a} * {b}", lambda x, a, b: (x + a) * b, "number"),
    _Template("x minus {a}", "x - {a}", "{a} - x", lambda x, a, b: x - a, "number"),
    _Template("the square of x plus {a}", "x * x + {a}", "x + x + {a}", lambda x, a, b: x * x + a, "number"),
    _Template("the remainder of x divided by {a}", "x % {a}", "x // {a}", lambda x, a, b: x % a, "number"),
    _Template("the sum of the list x", "sum(x)", "len(x)", lambda x, a, b: sum(x), "list"),
    _Template("the largest of the list x", "max(x)", "x[0]", lambda x, a, b: max(x), "list"),
    _Template("the length of x plus {a}", "len(x) + {a}", "len(x)", lambda x, a, b: len(x) + a, "list"),
    _Template("the list x backwards", "x[::-1]", "x", lambda x, a, b: x[::-1], "list"),
    _Template("the list x sorted", "sorted(x)", "x", lambda x, a, b: sorted(x), "list"),
    _Template("the text x in capitals", "x.upper()", "x.lower()", lambda x, a, b: x.upper(), "text"),
    _Template("the text x repeated {a} times", "x * {a}", "x", lambda x, a, b: x * a, "text"),
    _Template("the first letter of the text x", "x[0]", "x[-1]", lambda x, a, b: x[0], "text"),
)
_WORDS = "lamp chair table cup boat ladder clock door box".split()  # no word ends with the letter it begins with
_CALLS = 8


def line_problem(seed: int) -> CodeProblem:
    """A template with numbers in it, and eight hidden calls that tell its right code from its wrong one."""
    draw = Draw("code-lines", seed)
    template, a, b = draw.one(_TEMPLATES), draw.number(2, 20), draw.number(2, 20)
    inputs = [_input(draw, template.of) for _ in range(_CALLS)]
    return CodeProblem(
        template.code.format(a=a, b=b),
        f"Write a Python function f(x) in one line that returns {template.words.format(a=a, b=b)}. Reply with code only.",
        "f",
        tuple((x,) for x in inputs),
        tuple(template.value(x, a, b) for x in inputs),
        f"def f(x): return {template.code.format(a=a, b=b)}",
        f"def f(x): return {template.wrong.format(a=a, b=b)}",
    )


def _input(draw: Draw, of: str) -> Any:
    if of == "number":
        return draw.number(-99, 99)
    if of == "list":  # longer than 2, neither sorted nor the same backwards, its largest not in front
        low = draw.number(1, 20)
        return [
            low + draw.number(1, 9),
            low + draw.number(10, 19),
            *(draw.number(1, 40) for _ in range(draw.number(0, 3))),
            low,
        ]
    return draw.one(_WORDS)
