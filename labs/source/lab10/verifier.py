"""Marking what a model wrote: read it as text, never run it."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import ast
import re


def verify(prompt, answer, numbers, target):
    """Mark an answer to "make `target` out of `numbers`": 1.0 if it is right, 0.0 for anything else.

    prompt     what was asked, perhaps with an example; nothing that stands there is an answer
    answer     what the model wrote: any text at all. Tries are separated by commas; a full stop at the end does not matter
    numbers    the numbers that were given; one may occur twice
    target     the number to reach

        try        "term" or "term=value"
        counts     the last try
        term       whole numbers, + - * and brackets, with or without spaces: no division, no power, no sign before a number
        right      every given number stands in the term exactly once, and no other; the term makes the target; and value,
                   if one is said, is what the term makes

    Never runs the answer as code, and never raises. Returns 1.0 or 0.0.
    """
    last = answer.strip().rstrip(".").rpartition(",")[2]
    term, equals, said = last.partition("=")
    used = []

    def value(node):
        if isinstance(node, ast.Constant):
            used.append(node.value)
            return node.value
        kind = type(node.op)
        left, right = value(node.left), value(node.right)
        return {ast.Add: lambda: left + right, ast.Sub: lambda: left - right, ast.Mult: lambda: left * right}[kind]()

    if not re.fullmatch(r"[-+*()\\d\\s]*", term, re.ASCII):
        return 0.0
    try:
        found = value(ast.parse(term.strip(), mode="eval").body)
    except Exception:
        return 0.0
    fair = sorted(used) == sorted(numbers)
    true = not equals or said.strip() == str(found)
    return float(fair and true and found == target)
'''

PACKAGE = """
from kimi_mini.tools.arithmetic import read_expression


def verify(prompt, answer, numbers, target):
    term, equals, said = answer.strip().rstrip(".").rpartition(",")[2].partition("=")
    found = read_expression(term)
    if found is None or sorted(found.numbers) != sorted(numbers) or found.value != target:
        return 0.0
    return float(not equals or said.strip() == str(found.value))
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Right answers in several forms, and the ways in which a wrong one may look right."""
    rng = random.Random(seed)
    a, b, c = rng.sample(range(3, 10), 3)  # a * b + c, and so on: all of them different, none 1 or 2
    even = rng.choice((4, 6, 8))
    asked = f"Make {a * b + c} out of {a}, {b}, {c}."

    def case(
        name: str, answer: str, numbers: tuple[int, ...] = (a, b, c), target: int = a * b + c, prompt: str = asked
    ) -> Case:
        return Case(name, (prompt, answer, list(numbers), target))

    shown = f"{asked} For example 2*{even}+1={2 * even + 1} makes {2 * even + 1} out of 1, 2, {even}."
    return (
        case("right, with its value", f"{a}*{b}+{c}={a * b + c}"),
        case("right, without a value, with spaces and a full stop", f" {c} + {a} * {b} . ".replace(" . ", ".")),
        case("right at the third try", f"{a}+{b}+{c}={a + b + c}, {a}*{c}-{b}={a * c - b}, {b}*{a}+{c}={a * b + c}"),
        case("right at the second of three", f"{a}+{b}+{c}={a + b + c}, {a}*{b}+{c}, {a}*{c}-{b}={a * c - b}"),
        case("right at the first of three", f"{c}+{b}*{a}, {a}+{b}+{c}={a + b + c}, {a}*{c}-{b}={a * c - b}"),
        case("right first, then spoilt", f"{a}*{b}+{c}={a * b + c}, {a}+{b}-{c}={a + b - c}"),
        case("true, but not the target", f"{a}*{c}+{b}={a * c + b}"),
        case("the target is said, the term makes something else", f"{a}+{b}+{c}={a * b + c}"),
        case("a number twice", f"{a}+{a}+{b}={2 * a + b}", target=2 * a + b),
        case("a number that was not given", f"{a}*{b}+{c + 10}-10={a * b + c}"),
        case("a number left out", f"{a}*{b}={a * b}", target=a * b),
        case("two equal numbers, both used", f"{a}*{b}+{a}={a * b + a}", (a, b, a), a * b + a),
        case("two equal numbers, one used", f"{a}*{b}={a * b}", (a, b, a), a * b),
        case("code that makes the target", f"sum([{a}])*{b}+{c}"),
        case("code in a try with a value", f"{a}*{b}+int('{c}')={a * b + c}"),
        case("a power", f"{a}**2", (a, 2), a * a),
        case("a sign before a number", f"-{a}+{b}={b - a}", (a, b), b - a),
        case("a division that comes out even", f"{even}/2+{a}={even // 2 + a}", (even, 2, a), even // 2 + a),
        case("a division with a rest", f"{even + 1}/2+{a}={even // 2 + a}", (even + 1, 2, a), even // 2 + a),
        case("a division by nothing", f"{a}/({b}-{b})", (a, b, b), a),
        case("only the example of the prompt", "", (1, 2, even), 2 * even + 1, shown),
        case("only the target", str(a * b + c)),
        case("words", f"I think it is {a}*{b}+{c}."),
        case("brackets that do not close", f"({a}*{b}+{c}"),
        case("very many brackets", "(" * 300 + str(a) + ")" * 300, (a,), a + 1),
    )


_LAST = 'last = answer.strip().rstrip(".").rpartition(",")[2]'
_FAIR = "fair = sorted(used) == sorted(numbers)"
_SIGNS = 'r"[-+*()\\d\\s]*"'
_MULT = "ast.Mult: lambda: left * right}"
_RETURN = "return float(fair and true and found == target)"

PRACTICE = Variant(
    "countdown",
    SOLUTION,
    cases,
    (
        Mistake(
            "evaluates model text as code",
            '    if not re.fullmatch(r"[-+*()\\d\\s]*", term, re.ASCII):\n        return 0.0\n    try:\n'
            '        found = value(ast.parse(term.strip(), mode="eval").body)\n',
            '    used = list(map(int, re.findall(r"\\d+", last)))\n    used = used[: len(used) - bool(equals)]\n'
            "    term, equals = (answer, '') if not equals else (term, equals)\n    try:\n        found = eval(term.strip())\n",
            "The answer was run as code: it counted though it is no term of numbers, + - * and brackets. Text that a model "
            "wrote is never run outside of a sandbox; read it.",
        ),
        Mistake(
            "a number used twice",
            _FAIR,
            "fair = set(used) == set(numbers) or set(used) < set(numbers) and len(used) == len(numbers)",
            "A number was used twice, or of two equal ones only one, and it passed. Compare the lists, not the sets.",
        ),
        Mistake(
            "answer echoed from the prompt",
            _LAST,
            'last = (answer.strip().rstrip(".") or re.findall(r"[-+*()\\d=]{5,}", prompt + " 0+0=0")[0]).rpartition(",")[2]',
            "Nothing was answered, and an example in the prompt was marked. Only what the model wrote is an answer.",
        ),
        Mistake(
            "integer division",
            '    if not re.fullmatch(r"[-+*()\\d\\s]*", term, re.ASCII):\n        return 0.0\n',
            '    if not re.fullmatch(r"[-+*()/\\d\\s]*", term, re.ASCII):\n        return 0.0\n'
            '    term = term.replace("/", "@")\n    known = value\n\n    def value(node):\n'
            "        if isinstance(getattr(node, 'op', None), ast.MatMult):\n"
            "            return value(node.left) // value(node.right)\n"
            "        if isinstance(node, ast.BinOp):\n"
            "            signs = {ast.Add: 1, ast.Sub: -1}\n"
            "            one, two = value(node.left), value(node.right)\n"
            "            return one * two if isinstance(node.op, ast.Mult) else one + signs[type(node.op)] * two\n"
            "        return known(node)\n\n",
            "A division passed, and 9/2 was taken for 4. This task has no division; a rest that is dropped makes false answers "
            "true.",
        ),
        Mistake(
            "the first try",
            'rpartition(",")[2]',
            'partition(",")[0]',
            "The first try was marked. The last one counts: nobody knows which of the others the model means.",
        ),
        Mistake(
            "any try",
            _LAST,
            f"tries = answer.strip().rstrip('.').split(',')\n    if len(tries) > 1:\n"
            f"        return max(verify(prompt, one, numbers, target) for one in tries)\n    {_LAST}",
            "A right try somewhere was enough. Then a model that writes down everything is always right; the last try counts.",
        ),
        Mistake(
            "the value that is said",
            _RETURN,
            "return float(fair and said.strip() == str(target)) if equals else float(fair and found == target)",
            "What stands behind the equals sign was believed. Work out the term.",
        ),
        Mistake(
            "numbers left out",
            _FAIR,
            "fair = all(used.count(number) <= numbers.count(number) for number in used)",
            "An answer that leaves a number out passed. All of them are used.",
        ),
        Mistake(
            "numbers not looked at",
            _FAIR,
            "fair = True",
            "The term was worked out, and nobody asked which numbers stand in it.",
        ),
    ),
)

VERIFIER = Coding(
    "verify",
    "Verifier",
    minutes=25,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "exact division",
            "Division with / is allowed too, and it is exact: 9/2 is four and a half. A division by zero is wrong.",
            (
                "+ - * and brackets, with or without spaces: no division, no power, no sign before a number",
                "+ - * / and brackets, with or without spaces; / is exact; no power, no sign before a number",
            ),
            ("import ast\n", "import ast\nfrom fractions import Fraction\n"),
            ("            return node.value\n", "            return Fraction(node.value)\n"),
            (_MULT, "ast.Mult: lambda: left * right, ast.Div: lambda: left / right}"),
            (_SIGNS, 'r"[-+*/()\\d\\s]*"'),
            also=(
                Mistake(
                    "a rest is dropped",
                    "lambda: left / right}",
                    "lambda: Fraction(left // right)}",
                    "9/2 was taken for 4. The division is exact.",
                ),
            ),
            besides=("integer division", "evaluates model text as code"),
        ),
        twist(
            PRACTICE,
            "the last two tries",
            "The last two tries count: it is enough that one of them is right.",
            (
                "        counts     the last try\n",
                "        counts     the last two tries: it is enough that one of them is right\n",
            ),
            (
                _LAST,
                'tries = answer.strip().rstrip(".").split(",")[-2:]\n    if len(tries) > 1:\n'
                "        return max(my_verify(prompt, one, numbers, target) for one in tries)\n    last = tries[0]",
            ),
            also=(
                Mistake(
                    "all of them",
                    '.split(",")[-2:]',
                    '.split(",")',
                    "All tries were marked. Only the last two count.",
                ),
                Mistake(
                    "both of them",
                    "return max(my_verify(",
                    "return min(my_verify(",
                    "Both tries had to be right. One of them is enough.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a tenth for the form",
            "Returns 0.1 for a last try that uses every given number exactly once but is not right otherwise.",
            (
                "Never runs the answer as code, and never raises. Returns 1.0 or 0.0.",
                "Never runs the answer as code, and never raises. Returns 1.0, 0.0, or 0.1 for a last try that can be read\n"
                "    and uses every given number exactly once, but is not right otherwise.",
            ),
            (_RETURN, "return 1.0 if fair and true and found == target else 0.1 * fair"),
            also=(
                Mistake(
                    "a tenth for anything that can be read",
                    "else 0.1 * fair",
                    "else 0.1",
                    "An answer with other numbers got a tenth. The form includes the numbers.",
                ),
            ),
        ),
    ),
)
