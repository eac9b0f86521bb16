"""Is a gap real: the difference of two models question by question, with an interval whose n is the number of questions."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import math


def gap(first, second, samples):
    """By how much one model is better than another on the same questions, with an interval of 95 %.

    first      for each question, how many of its answers were right; the first model
    second     the same questions in the same order; the second model
    samples    how many answers were given to each question

        share of a question    its right answers / samples
        difference             first share - second share, question by question
        gap                    the mean of the differences over the n questions
        error                  s / sqrt(n), where s^2 = (sum of squared deviations from the gap) / (n - 1)
        interval               gap - 1.96 error to gap + 1.96 error
        real                   whether 0 lies outside the interval

    Returns a dict: "gap", "low", "high", "real".
    """
    n = len(first)
    apart = [(one - other) / samples for one, other in zip(first, second, strict=True)]
    mean = sum(apart) / n
    spread = math.sqrt(sum((each - mean) ** 2 for each in apart) / (n - 1))
    error = spread / math.sqrt(n)
    low, high = mean - 1.96 * error, mean + 1.96 * error
    return {"gap": mean, "low": low, "high": high, "real": low > 0 or high < 0}
'''

PACKAGE = """
from kimi_mini.evals.statistics import paired_difference


def gap(first, second, samples):
    found = paired_difference([right / samples for right in first], [right / samples for right in second])
    low, high = found.interval
    return {"gap": found.value, "low": low, "high": high, "real": low > 0 or high < 0}
"""


def _answered(rng: random.Random, questions: int, samples: int, better: float) -> list[int]:
    """Right answers to questions that are easy or hard for every model, a little easier for one that is better."""
    chances = [min(1, max(0, ease + better)) for ease in (random.Random(number).random() for number in range(questions))]
    return [sum(rng.random() < chance for _ in range(samples)) for chance in chances]


def cases(seed: int) -> tuple[Case, ...]:
    """Gaps to both sides and none, few and many answers to a question."""
    rng = random.Random(seed)

    def case(name: str, questions: int, samples: int, better: float) -> Case:
        return Case(name, (_answered(rng, questions, samples, better), _answered(rng, questions, samples, 0), samples))

    level = _answered(rng, 30, 8, 0)
    level[:10] = [2, 6, 1, 3, 5, 7, 0, 8, 2, 4]
    turned = [level[place + 1 - 2 * (place % 2)] for place in range(10)] + level[10:]  # pairs change places: no gap at all
    return (
        case("thirty questions, 64 answers to each", 30, 64, 0.25),
        case("one hundred questions, an answer each", 100, 1, 0.3),
        case("the second is the better one", 40, 16, -0.3),
        Case("no gap", (level, turned, 8)),
    )


def other_questions(seed: int) -> tuple[Case, ...]:
    """The same, but the second model had other questions, and another number of them."""
    rng = random.Random(seed)

    def case(name: str, questions: int, others: int, samples: int, better: float) -> Case:
        return Case(name, (_answered(rng, questions, samples, better), _answered(rng, others, samples, 0), samples))

    level = _answered(rng, 30, 8, 0)
    return (
        case("thirty and fifty questions, 64 answers to each", 30, 50, 64, 0.45),
        case("one hundred and sixty questions, an answer each", 100, 60, 1, 0.45),
        case("the second is the better one", 40, 70, 16, -0.45),
        Case("no gap", (level, [*level, *level], 8)),
    )


_APART = "apart = [(one - other) / samples for one, other in zip(first, second, strict=True)]"
_SPREAD = "spread = math.sqrt(sum((each - mean) ** 2 for each in apart) / (n - 1))"
_ERROR = "error = spread / math.sqrt(n)"
_ENDS = "low, high = mean - 1.96 * error, mean + 1.96 * error"
_REAL = '"real": low > 0 or high < 0}'

PRACTICE = Variant(
    "question by question",
    SOLUTION,
    cases,
    (
        Mistake(
            "no interval",
            _ENDS,
            "low, high = mean, mean",
            "There is no interval: low and high are the gap itself, so that every gap is real.",
        ),
        Mistake(
            "samples taken for questions",
            _ERROR,
            "error = spread / math.sqrt(n * samples)",
            "Samples were taken for questions: 64 answers to 30 questions are 30 questions, not 1,920. n is the number of "
            "questions.",
        ),
        Mistake(
            "every answer a question of its own",
            _ERROR,
            "shares = sum(first) / n / samples, sum(second) / n / samples\n"
            "    error = math.sqrt(sum(share * (1 - share) for share in shares) / (n * samples))",
            "Every answer was taken for a question of its own, right or wrong with one chance. Answers to one question are "
            "alike; take the spread over questions.",
        ),
        Mistake(
            "not question by question",
            _SPREAD,
            "means = sum(first) / n, sum(second) / n\n"
            "    squares = sum((one - means[0]) ** 2 for one in first) + sum((one - means[1]) ** 2 for one in second)\n"
            "    spread = math.sqrt(squares / (n - 1)) / samples",
            "The spreads of the two models were added. They had the same questions: take the difference question by question "
            "first.",
        ),
        Mistake(
            "spread for error",
            _ERROR,
            "error = spread",
            "This is the spread of the questions, not the error of their mean. Divide by the root of n.",
        ),
        Mistake(
            "n below",
            "/ (n - 1))",
            "/ n)",
            "The squares were divided by n. It is n - 1: one number was used up by the mean.",
        ),
        Mistake(
            "second less first",
            "(one - other) / samples",
            "(other - one) / samples",
            "The sign is turned: it is first less second.",
        ),
        Mistake(
            "one error to either side",
            _ENDS,
            "low, high = mean - error, mean + error",
            "The interval is one standard error wide on either side. For 95 % it is 1.96.",
        ),
        Mistake(
            "only upwards",
            _REAL,
            '"real": low > 0}',
            "A gap below 0 was not taken for real. 0 outside of the interval is what counts, on either side.",
        ),
        Mistake(
            "not divided by samples",
            "(one - other) / samples",
            "(one - other)",
            "Right answers were compared, not shares. Divide by the number of answers to a question.",
        ),
    ),
)

GAP = Coding(
    "gap",
    "Is it a real gap?",
    minutes=10,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "other questions",
            "The two models had different questions, and perhaps another number of them: nothing can be taken question by "
            "question. gap is the difference of the two means, and error the root of s1^2 / n1 + s2^2 / n2.",
            ("on the same questions, with", "on other questions, with"),
            ("    second     the same questions in the same order; the second model\n",
             "    second     the second model, on its own questions, perhaps more or fewer\n"),
            ("        difference             first share - second share, question by question\n"
             "        gap                    the mean of the differences over the n questions\n"
             "        error                  s / sqrt(n), where s^2 = (sum of squared deviations from the gap) / (n - 1)\n",
             "        gap                    the mean of the first model's shares - the mean of the second's\n"
             "        error                  sqrt(s1^2 / n1 + s2^2 / n2), n being each model's number of questions and\n"
             "                               s^2 = (sum of squared deviations of the shares from their mean) / (n - 1)\n"),
            (
                f"    n = len(first)\n    {_APART}\n    mean = sum(apart) / n\n    {_SPREAD}\n    {_ERROR}\n",
                "    def known(right):\n"
                "        n, shares = len(right), [each / samples for each in right]\n"
                "        mean = sum(shares) / n\n"
                "        return mean, sum((share - mean) ** 2 for share in shares) / (n - 1) / n\n\n"
                "    (one, square), (other, other_square) = known(first), known(second)\n"
                "    mean = one - other\n"
                "    error = math.sqrt(square + other_square)\n",
            ),
            cases=other_questions,
            also=(
                Mistake(
                    "samples taken for questions",
                    "/ (n - 1) / n\n",
                    "/ (n - 1) / (n * samples)\n",
                    "Samples were taken for questions. n is the number of questions.",
                ),
                Mistake(
                    "errors added",
                    "math.sqrt(square + other_square)",
                    "math.sqrt(square) + math.sqrt(other_square)",
                    "The two errors were added. Their squares add.",
                ),
                Mistake(
                    "one model's error",
                    "math.sqrt(square + other_square)",
                    "math.sqrt(square)",
                    "Only the first model's error was counted. Both scores move.",
                ),
            ),
            besides=("n below",),
        ),
        twist(
            PRACTICE,
            "groups of five",
            "Questions come in groups of five in a row that belong to one text, and are alike. The group is the unit: average "
            "the differences within each group, and let n be the number of groups.",
            (
                "        gap                    the mean of the differences over the n questions\n",
                "        groups                 questions 1 to 5, 6 to 10, ... ask about one text each: the mean of the five\n"
                "                               differences is the group's\n"
                "        gap                    the mean of the groups' differences over the n groups\n",
            ),
            (
                f"    n = len(first)\n    {_APART}\n",
                f"    {_APART}\n"
                "    apart = [sum(apart[place : place + 5]) / 5 for place in range(0, len(apart), 5)]\n"
                "    n = len(apart)\n",
            ),
            also=(
                Mistake(
                    "questions as units",
                    "    apart = [sum(apart[place : place + 5]) / 5 for place in range(0, len(apart), 5)]\n",
                    "",
                    "Questions were the units. Five of a group are alike: the group is the unit.",
                ),
                Mistake(
                    "n of questions",
                    "    n = len(apart)\n",
                    "    n = 5 * len(apart)\n    apart = [each for each in apart for _ in range(5)]\n",
                    "The groups were averaged, and n is still the number of questions. It is the number of groups.",
                ),
            ),
            besides=("not question by question", "every answer a question of its own"),
        ),
        twist(
            PRACTICE,
            "majority",
            "A question counts as right for a model if more than half of its answers are right, and as wrong otherwise: its "
            "share is 1 or 0.",
            (
                "        share of a question    its right answers / samples\n",
                "        share of a question    1 if more than half of its answers are right, else 0\n",
            ),
            (_APART, "apart = [(2 * one > samples) - (2 * other > samples) for one, other in zip(first, second, strict=True)]"),
            also=(
                Mistake(
                    "half is enough",
                    "(2 * one > samples) - (2 * other > samples)",
                    "(2 * one >= samples) - (2 * other >= samples)",
                    "Exactly half right was counted as a majority. More than half is.",
                ),
                Mistake(
                    "shares averaged",
                    "(2 * one > samples) - (2 * other > samples)",
                    "one / samples - other / samples",
                    "Shares were compared. A question is 1 or 0 here, by its majority.",
                ),
            ),
            besides=("not question by question", "every answer a question of its own"),
        ),
    ),
)  # fmt: skip
