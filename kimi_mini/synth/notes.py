"""Learning notes: a worked sum retold as what a good student would write down, and every line of it recomputed.

A demonstration on the corpus's mathematics (a question, steps, an answer on the last line). Without an endpoint rules write the
note and it says so; with one a model writes it. Either way `verify` has the last word: it computes, it does not compare words.
"""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from fractions import Fraction

from ..checks import require
from .answers import answers
from .endpoint import Endpoint
from .fidelity import Problem

WRITER = "programmatic-notes-1"
_SYSTEM = (
    "You turn worked mathematics into learning notes: what is asked, the idea, each step with its reason, a check. "
    "Keep every calculation exactly as it is. Write only the notes, in plain text."
)
_IDEAS = (  # words of the question, and the idea; the first that fits
    ("divided by", "Find how often the divisor fits; what is left is the remainder."),
    ("greatest common divisor", "Divide again and again with the remainder; the last that is not zero divides both."),
    ("Find x", "Undo what was done to x, in the opposite order, on both sides."),
    ("comes next", "Take the differences of neighbours; if they are equal, add that difference once more."),
    ("Sort", "Compare two at a time, and put the smaller first."),
    ("Make ", "Look for two numbers whose result brings the goal nearer, then for the next."),
    ("How many", "Turn each thing that happens into one operation, in the order in which it happens."),
    (" + ", "Add the digits from the right, and carry what exceeds nine."),
    (" - ", "Take away the tens first, then the ones."),
    (" * ", "Multiply by each digit's share and add the parts."),
)
_OPERATIONS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}
_TERM = r"(?:\d|\bx\b|[ +*/().-])"
_STATEMENT = re.compile(rf"(?=[\d(x+-]){_TERM}+(?:[=<]{_TERM}+)+")
_SIGNS = str.maketrans("×·÷−", "**/-")
_LIST_MARK = re.compile(r"^\s*(?:\d+[.)]|[-*])\s+", re.MULTILINE)


@dataclass(frozen=True)
class Note:
    """A learning note, who wrote it, and what is wrong with it (nothing, if `problems` is empty)."""

    text: str
    writer: str
    problems: tuple[Problem, ...]


def learning_note(source: str, endpoint: Endpoint | None = None, seed: int = 0) -> Note:
    """The note of one worked question, verified; `endpoint` writes it, or rules do."""
    require("Answer:" in source, "source", source[:60], "a question with steps and a last line 'Answer: ...'")
    if endpoint is None:
        text, writer = _by_rules(source), WRITER
    else:
        messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": f"<text>\n{source.strip()}\n</text>"}]
        text, writer = endpoint.complete(messages, seed=seed, max_tokens=512, temperature=0.7).text, endpoint.name
    return Note(text, writer, verify(source, text))


def verify(source: str, note: str) -> tuple[Problem, ...]:
    """What is wrong with a note: a statement that is false, a calculation of the source that is gone, the answer missing."""
    said = [" ".join(statement.split()) for statement in statements(note)]
    problems = [Problem("arithmetic", f"{statement} is false") for statement in said if not holds(statement)]
    wanted = [" ".join(statement.split()) for statement in statements(source)]
    problems += [Problem("missing", f"{statement} is gone") for statement in wanted if statement not in said]
    answer = source.rsplit("Answer:", 1)[1].strip()
    if not answers(_plain(note), answer):
        problems.append(Problem("answer", f"{answer} is not there"))
    return tuple(problems)


def statements(text: str) -> list[str]:
    """The equations and comparisons of a text, in order: "3 * 4 = 12", "7 < 9", with x where a text has it."""
    found = (match.group().strip(" .=<") for match in _STATEMENT.finditer(_LIST_MARK.sub("", _plain(text))))
    return [statement for statement in found if re.search(r"\d", statement) and re.search("[=<]", statement)]


def _plain(text: str) -> str:
    """The signs of this file for others of the same meaning, and no commas in thousands."""
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text.translate(_SIGNS))


def holds(statement: str) -> bool:
    """Whether all sides without x stand in the written relation; a side that cannot be computed does not."""
    parts = re.split(r"([=<])", statement)
    sides, signs = parts[::2], parts[1::2]
    try:
        values = [None if "x" in side else _value(side) for side in sides]
    except (SyntaxError, ZeroDivisionError, ValueError):
        return False
    if "<" in signs:
        pairs = zip(values, signs, values[1:], strict=False)
        return all(a is None or b is None or (a < b if sign == "<" else a == b) for a, sign, b in pairs)
    return len({value for value in values if value is not None}) <= 1


def _value(expression: str) -> Fraction:
    require(len(expression) <= 200, "expression", expression[:40], "at most 200 characters")

    def value(node: ast.AST) -> Fraction:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return Fraction(str(node.value))
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            return _OPERATIONS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATIONS:
            return _OPERATIONS[type(node.op)](value(node.operand))
        raise ValueError(f"{expression!r} is no arithmetic")

    return value(ast.parse(expression.strip(" ."), mode="eval").body)


def _by_rules(source: str) -> str:
    question, *steps, last = source.strip().split("\n")
    question, answer = question.removeprefix("Question: "), last.removeprefix("Answer: ")
    idea = next((idea for words, idea in _IDEAS if words in question), "Go step by step and compute each line.")
    lines = [f"What is asked. {question}", f"The idea. {idea}", "Step by step."]
    lines += [f"{number}) {step}" for number, step in enumerate(steps, 1)]
    checks = [check for step in steps if (check := _inverse(step))]
    if checks:
        lines.append(f"The check, backwards. {checks[-1]}.")
    return "\n".join([*lines, f"What to remember. The answer is {answer}."]) + "\n"


def _inverse(step: str) -> str | None:
    """The calculation that undoes a step of two numbers."""
    match = re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)\.?", step)
    if not match or match[3] == "0":
        return None
    a, sign, b, result = match.groups()
    return f"{result} {_INVERSE[sign]} {b} = {a}"
