"""A pairwise critic: asked in both orders, and honest about ties."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from kimi_mini.labs.program import Program
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def verdict(answer, other, ask):
    """How far a critic prefers one answer to another, when it may have a liking for whatever it reads first.

    answer, other   two answers to one question, as text
    ask             ask(left, right) is the critic: "left", "right" or "tie", whichever it calls better

        both orders   the critic is asked with `answer` on the left, and again with `answer` on the right
        points        in each order: 1 where `answer` is called better, 0 where `other` is, 0.5 for a tie

    Returns the mean of the two.
    """
    points = {"left": 1.0, "tie": 0.5, "right": 0.0}
    return (points[ask(answer, other)] + 1.0 - points[ask(other, answer)]) / 2
'''

PACKAGE = """
def verdict(answer, other, ask):
    points = {"left": 1.0, "tie": 0.5, "right": 0.0}
    return (points[ask(answer, other)] + 1 - points[ask(other, answer)]) / 2
"""

_LENGTH = """
def critic(left, right):
    difference = len(left.split()) - len(right.split()) + {liking}
    return "tie" if abs(difference) <= {blind} else "left" if difference > 0 else "right"
"""
_FIRST = """
def critic(left, right):
    return "left"
"""
_WORDS = "a calm dry early fine good happy late near old quick small still warm".split()


def cases(seed: int) -> tuple[Case, ...]:
    """Critics that like length, and the left, in several measures, and one that is blind to what it reads."""
    rng = random.Random(seed)

    def text(length: int) -> str:
        return " ".join(rng.choice(_WORDS) for _ in range(length))

    def case(name: str, first: int, second: int, liking: int, blind: int) -> Case:
        return Case(name, (text(first), text(second), Program(_LENGTH.format(liking=liking, blind=blind))))

    base = rng.randint(6, 9)
    return (
        case("clearly better", base + 6, base, 1, 0),
        case("clearly worse", base, base + 6, 1, 0),
        case("better by less than the liking for the left", base + 1, base, 3, 0),
        case("worse by less than the liking for the left", base, base + 2, 3, 0),
        case("a tie in both orders", base, base + 1, 0, 3),
        case("a tie in one order, better in the other", base + 2, base, 2, 2),
        case("a tie in one order, worse in the other", base, base + 2, 2, 2),
        Case("always the left", (text(base), text(base + 4), Program(_FIRST))),
    )


PRACTICE = Variant(
    "the mean of both orders",
    SOLUTION,
    cases,
    (
        Mistake(
            "one order only",
            "(points[ask(answer, other)] + 1.0 - points[ask(other, answer)]) / 2",
            "points[ask(answer, other)]",
            "The critic was asked in one order. One that likes the left then decides by the place.",
        ),
        Mistake(
            "tie goes to the first",
            '"tie": 0.5',
            '"tie": 1.0',
            "A tie was counted for the answer on the left. It is half a point for each.",
        ),
        Mistake(
            "second order not turned back",
            "+ 1.0 - points[ask(other, answer)]",
            "+ points[ask(other, answer)]",
            "In the second order the answer is on the right: what the left gets, it loses.",
        ),
        Mistake(
            "asked twice the same way",
            "ask(other, answer)",
            "ask(answer, other)",
            "The critic was asked the same question twice. The second time the places change.",
        ),
    ),
)

PAIRWISE = Coding(
    "verdict",
    "A pairwise critic",
    minutes=20,
    difficulty=1,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "only what both orders say",
            "A side wins only if it wins in both orders: 1 or 0. Everything else is a tie, 0.5.",
            (
                "    Returns the mean of the two.\n",
                "    Returns 1.0 if both orders give `answer` 1, 0.0 if both give it 0, and otherwise 0.5: an order in which\n"
                "    the critic ties, or changes its mind, decides nothing.\n",
            ),
            (
                "    return (points[ask(answer, other)] + 1.0 - points[ask(other, answer)]) / 2\n",
                "    both = {points[ask(answer, other)], 1.0 - points[ask(other, answer)]}\n"
                "    return both.pop() if both in ({0.0}, {1.0}) else 0.5\n",
            ),
            besides=("tie goes to the first",),
            also=(
                Mistake(
                    "one order is enough",
                    "both = {points[ask(answer, other)], 1.0 - points[ask(other, answer)]}",
                    "both = {points[ask(answer, other)]}",
                    "One order decided. A side wins only if it wins in both.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "ties are half of a loss",
            "A tie is worth 0.25 to `answer`, in either order, so that answers which cannot be told apart are not paid for.",
            ("0.5 for a tie", "0.25 for a tie, whichever side `answer` is on"),
            (
                "    return (points[ask(answer, other)] + 1.0 - points[ask(other, answer)]) / 2\n",
                '    turned = {"left": 0.0, "tie": 0.25, "right": 1.0}\n'
                "    return (points[ask(answer, other)] + turned[ask(other, answer)]) / 2\n",
            ),
            ('"tie": 0.5', '"tie": 0.25'),
            also=(
                Mistake(
                    "a quarter for one side only",
                    '"tie": 0.25, "right": 1.0}',
                    '"tie": 0.75, "right": 1.0}',
                    "In the second order a tie was worth three quarters. It is a quarter in either.",
                ),
                Mistake(
                    "one order",
                    "(points[ask(answer, other)] + turned[ask(other, answer)]) / 2",
                    "points[ask(answer, other)]",
                    "The critic was asked in one order.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the shorter one breaks a tie",
            "Where the mean of both orders is exactly 0.5, the answer with fewer words wins, 1 or 0; with as many, 0.5 stays.",
            (
                "    Returns the mean of the two.\n",
                "    Returns the mean of the two; where it is exactly 0.5, 1.0 if `answer` has fewer words than "
                "`other`, 0.0 if\n"
                "    it has more.\n",
            ),
            (
                "    return (points[ask(answer, other)] + 1.0 - points[ask(other, answer)]) / 2\n",
                "    mean = (points[ask(answer, other)] + 1.0 - points[ask(other, answer)]) / 2\n"
                "    words, others = len(answer.split()), len(other.split())\n"
                "    return float(words < others) if mean == 0.5 and words != others else mean\n",
            ),
            also=(
                Mistake(
                    "the longer one",
                    "float(words < others)",
                    "float(words > others)",
                    "The longer answer won the tie. It is the shorter one.",
                ),
            ),
        ),
    ),
)
