"""Worked arithmetic, every line of it true: a question, the steps, and the answer on the last line.

One document is one question, so the held-out questions occur nowhere in training.
"""

from __future__ import annotations

from .draw import Draw

_SIGNS = "+-*/"
_PEOPLE = "Ada Boris Clara Dmitri Elena Farid Greta Hugo Iris Jonas Kira Leon Mina Nadia Omar Priya".split()
_THINGS = "apples books cards coins eggs lamps maps marbles pens plums shells stamps".split()


def document(draw: Draw) -> str:
    """One question with its steps and its answer."""
    return draw.one(_KINDS)(draw)


def key(text: str) -> str:
    """What makes a document this one and no other: the words and numbers of its question, in any order."""
    return " ".join(sorted(word.strip(",.?:") for word in text.split("\n", 1)[0].split()))


def _written(question: str, steps: list[str], answer: object) -> str:
    return "\n".join([f"Question: {question}", *steps, f"Answer: {answer}\n"])


# ---- the four operations -----------------------------------------------------------------------------------------------


def _addition(draw: Draw) -> str:
    a, b = draw.number(10, 9999), draw.number(10, 999)
    steps, carry, places = [], 0, max(len(str(a)), len(str(b)))
    for place in range(places):
        digits = [a // 10**place % 10, b // 10**place % 10] + [carry] * (carry > 0)
        total = sum(digits)
        carry = total // 10 if place < places - 1 else 0
        step = f"{' + '.join(map(str, digits))} = {total}, write {total - 10 * carry}"
        steps.append(step + (f", carry {carry}." if carry else "."))
    return _written(f"What is {a} + {b}?", steps, a + b)


def _subtraction(draw: Draw) -> str:
    b, difference = draw.number(11, 999), draw.number(1, 999)
    a, tens, ones = b + difference, b // 10 * 10, b % 10
    steps = [f"First take {tens}, then {ones}.", f"{a} - {tens} = {a - tens}", f"{a - tens} - {ones} = {difference}"]
    return _written(f"What is {a} - {b}?", steps, difference)


def _multiplication(draw: Draw) -> str:
    a, b = draw.number(11, 999), draw.number(3, 99)
    parts = [int(digit) * 10**place for place, digit in enumerate(reversed(str(b))) if digit != "0"]
    steps = [f"{a} * {part} = {a * part}" for part in parts]
    if len(parts) > 1:
        steps.append(f"{' + '.join(str(a * part) for part in parts)} = {a * b}")
    return _written(f"What is {a} * {b}?", steps, a * b)


def _division(draw: Draw) -> str:
    b, quotient = draw.number(2, 25), draw.number(2, 99)
    rest = draw.number(0, b - 1)
    a = b * quotient + rest
    steps = [f"{b} * {quotient} = {b * quotient}", f"{a} - {b * quotient} = {rest}"]
    return _written(f"What is {a} divided by {b}?", steps, f"{quotient} remainder {rest}" if rest else quotient)


# ---- a little further --------------------------------------------------------------------------------------------------


def _divisor(draw: Draw) -> str:
    shared = draw.number(1, 30)
    a, b = sorted((shared * draw.number(2, 30), shared * draw.number(2, 30)), reverse=True)
    steps, high, low = [], a, b
    while low:
        steps.append(f"{high} = {high // low} * {low} + {high % low}")
        high, low = low, high % low
    return _written(f"What is the greatest common divisor of {a} and {b}?", steps, high)


def _equation(draw: Draw) -> str:
    x, factor, plus = draw.number(1, 99), draw.number(2, 12), draw.number(1, 99)
    total = factor * x + plus
    steps = [f"{factor} * x = {total} - {plus} = {factor * x}", f"x = {factor * x} / {factor} = {x}"]
    return _written(f"Find x: {factor} * x + {plus} = {total}.", steps, f"x = {x}")


def _sequence(draw: Draw) -> str:
    first, step = draw.number(1, 99), draw.number(2, 25)
    shown = [first + step * i for i in range(4)]
    steps = [f"{high} - {low} = {step}" for low, high in zip(shown, shown[1:], strict=False)]
    following = shown[-1] + step
    return _written(
        f"What comes next: {', '.join(map(str, shown))}?", [*steps, f"{shown[-1]} + {step} = {following}"], following
    )


def _order(draw: Draw) -> str:
    low = draw.number(10, 900)
    numbers = draw.shuffled([low, low + draw.number(1, 9), low + draw.number(10, 99)])
    by_size = sorted(numbers)
    steps = [f"{a} < {b}" for a, b in zip(by_size, by_size[1:], strict=False)]
    return _written(f"Sort {', '.join(map(str, numbers))}.", steps, ", ".join(map(str, by_size)))


def _story(draw: Draw) -> str:
    name, thing = draw.one(_PEOPLE), draw.one(_THINGS)
    had, gets, boxes = draw.number(5, 99), draw.number(2, 30), draw.number(2, 9)
    bought, gives = gets * boxes, draw.number(1, 4)
    story = f"{name} has {had} {thing}, buys {boxes} boxes of {gets} and gives away {gives}. How many {thing} are left?"
    steps = [f"{boxes} * {gets} = {bought}", f"{had} + {bought} = {had + bought}"]
    left = had + bought - gives
    return _written(story, [*steps, f"{had + bought} - {gives} = {left}"], left)


# ---- make a number out of numbers --------------------------------------------------------------------------------------


def _make_24(draw: Draw) -> str:
    return _make(draw, 24, count=4, largest=13)


def _countdown(draw: Draw) -> str:
    return _make(draw, draw.number(10, 99), count=3, largest=50)


def _make(draw: Draw, target: int, count: int, largest: int) -> str:
    """Take `target` apart until there are `count` numbers of at most `largest`: put together they make it again."""
    numbers = [largest + 1]
    while max(numbers) > largest:
        expression, steps, numbers = _apart(draw, target, count)
    shown = ", ".join(map(str, draw.shuffled(numbers)))
    return _written(f"Make {target} out of {shown}.", steps, f"{expression} = {target}")


def _apart(draw: Draw, value: int, count: int) -> tuple[str, list[str], list[int]]:
    """An expression of `value` in `count` numbers, compound terms in brackets; its steps; the numbers."""
    if count == 1:
        return str(value), [], [value]
    a, sign, b = _two(draw, value)
    left_count = draw.number(1, count - 1)
    left, left_steps, left_numbers = _apart(draw, a, left_count)
    right, right_steps, right_numbers = _apart(draw, b, count - left_count)
    terms = (f"({term})" if " " in term else term for term in (left, right))
    return f" {sign} ".join(terms), [*left_steps, *right_steps, f"{a} {sign} {b} = {value}"], left_numbers + right_numbers


def _two(draw: Draw, value: int) -> tuple[int, str, int]:
    """Two positive integers and a sign that make `value`."""
    sign = draw.one(_SIGNS)
    factors = [n for n in range(2, value // 2 + 1) if value % n == 0]
    if sign == "+" and value > 1:
        a = draw.number(1, value - 1)
        return a, "+", value - a
    if sign == "*" and factors:
        a = draw.one(factors)
        return a, "*", value // a
    b = draw.number(2, 9)
    return (value * b, "/", b) if sign == "/" else (value + b, "-", b)


_KINDS = (
    _addition, _subtraction, _multiplication, _division, _divisor, _equation, _sequence, _order, _story, _make_24,
    _countdown, _countdown,
)  # fmt: skip
