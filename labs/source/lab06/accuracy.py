"""How much a student knows: right answers to questions it has not read, with an interval, at a checkpoint chosen before."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import math
import re


def measured(checkpoints, read):
    """The share of right answers, with the interval that holds the true share with 95 % confidence.

    checkpoints   a list of {"validation": a loss, "answers": a list of [question, text, wanted]}
                  text is what the student wrote, wanted the right answer, a word or a number
    read          the wordings that stood in the training texts: a question that is one of them does not count

        checkpoint   the one with the lowest validation loss
        right        wanted stands in text as a whole word, in any case: not as a part of a longer word or number
        interval     after Wilson, with p the share that is right and z = 1.96:
                     (p + z^2 / (2 total) +- z sqrt(p (1 - p) / total + z^2 / (4 total^2))) / (1 + z^2 / total)

    Returns a dict: "right", "total", "low", "high".
    """
    chosen = min(checkpoints, key=lambda checkpoint: checkpoint["validation"])
    z = 1.96

    def is_right(text, wanted):
        return wanted.lower() in re.findall(r"\\w+", text.lower())

    counted = [(text, wanted) for question, text, wanted in chosen["answers"] if question not in read]
    total = len(counted)
    right = sum(is_right(text, wanted) for text, wanted in counted)
    p = right / total
    middle = p + z**2 / (2 * total)
    half = z * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    return {"right": right, "total": total, "low": (middle - half) / scale, "high": (middle + half) / scale}
'''

PACKAGE = """
from kimi_mini import synth


def measured(checkpoints, read):
    chosen = min(checkpoints, key=lambda checkpoint: checkpoint["validation"])
    counted = [synth.answers(text, wanted) for question, text, wanted in chosen["answers"] if question not in read]
    low, high = synth.wilson_interval(sum(counted), len(counted))
    return {"right": sum(counted), "total": len(counted), "low": low, "high": high}
"""

_ANIMALS = "cat crow dog goat goose horse owl parrot".split()


def cases(seed: int) -> tuple[Case, ...]:
    """Answers with the wanted word in other cases, inside longer words and numbers, and at several checkpoints."""
    rng = random.Random(seed)

    def answer(question: str, kind: str) -> list[str]:
        wanted = rng.choice(_ANIMALS) if kind != "number" else str(rng.randint(1, 9))
        text = {
            "right": f"It is a {wanted.capitalize() if rng.random() < 0.5 else wanted}, they say.",
            "wrong": f"It is a {rng.choice([animal for animal in _ANIMALS if animal != wanted])}.",
            "inside": f"It is a {wanted}fish.",
            "number": f"In {wanted}9{rng.randint(10, 99)}, with {wanted}7 boats.",
            "hedged": f"A {wanted} or perhaps a {rng.choice([animal for animal in _ANIMALS if animal != wanted])}.",
        }[kind]
        return [question, text, wanted]

    def answers(counts: dict[str, int]) -> list[list[str]]:
        kinds = [kind for kind, count in counts.items() for _ in range(count)]
        rng.shuffle(kinds)
        return [answer(f"Question {number // 2} in wording {number % 2}?", kind) for number, kind in enumerate(kinds)]

    def case(name: str, sheets: list[tuple[float, dict[str, int]]], read: list[int]) -> Case:
        checkpoints = [{"validation": loss, "answers": answers(counts)} for loss, counts in sheets]
        wordings = [f"Question {number // 2} in wording {number % 2}?" for number in read]
        return Case(name, (checkpoints, wordings))

    few = {"right": 7, "wrong": 8, "hedged": 3}
    return (
        case("one checkpoint", [(2.1, few)], []),
        case("words inside words, numbers inside numbers", [(2.1, {"right": 5, "wrong": 3, "inside": 4, "number": 4})], []),
        case("three questions were read", [(2.0, few)], [0, 5, 9]),
        case("three checkpoints", [(2.0, {"right": 15, "wrong": 3}), (1.9, {"right": 4, "wrong": 14}), (2.3, few)], [2]),
        _by_wording(rng.choice(_ANIMALS)),
        case("nothing is right", [(2.0, {"wrong": 12})], []),
    )


def _by_wording(animal: str) -> Case:
    """Six facts that are right in one wording and wrong in the other, which was read for all but one of them."""
    answers, read = [], []
    for number in range(6):
        answers.append([f"Question {number} in wording 0?", f"A {animal}.", animal])
        answers.append([f"Question {number} in wording 1?", "Nobody knows.", animal])
        read += [f"Question {number} in wording 1?"] * (number > 0)
    return Case("right in the wording that was not read", ([{"validation": 2.0, "answers": answers}], read))


_RIGHT = r'return wanted.lower() in re.findall(r"\w+", text.lower())'
_COUNTED = 'counted = [(text, wanted) for question, text, wanted in chosen["answers"] if question not in read]'

PRACTICE = Variant(
    "lowest validation loss",
    SOLUTION,
    cases,
    (
        Mistake(
            "training wordings used",
            " if question not in read]",
            "]",
            "Questions in a wording that was read were counted. They ask what was learned by heart.",
        ),
        Mistake(
            "1 found in 1910",
            _RIGHT,
            "return wanted.lower() in text.lower()",
            'The answer was found inside a longer word or number: "1" stands in "1910", and is not the answer.',
        ),
        Mistake(
            "best checkpoint picked on the test",
            'min(checkpoints, key=lambda checkpoint: checkpoint["validation"])',
            'max(checkpoints, key=lambda c: sum(w.lower() in re.findall(r"\\w+", t.lower()) for _, t, w in c["answers"]))',
            "The checkpoint with the best answers was taken: that is choosing on the test. The validation loss chooses.",
        ),
        Mistake(
            "highest validation loss",
            "chosen = min(checkpoints",
            "chosen = max(checkpoints",
            "The checkpoint with the highest validation loss was taken.",
        ),
        Mistake(
            "capitals matter",
            _RIGHT,
            'return wanted in re.findall(r"\\w+", text)',
            "An answer with a capital was refused. Case does not matter.",
        ),
        Mistake(
            "a plain interval",
            "half = z * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))",
            "half, middle = z * math.sqrt(p * (1 - p) / total), p",
            "That is not Wilson's interval: with no right answer the plain one has no width at all.",
        ),
        Mistake(
            "one standard deviation",
            "    z = 1.96\n",
            "    z = 1.0\n",
            "The interval is that of one standard deviation. z is 1.96.",
        ),
        Mistake(
            "all questions in the total",
            "total = len(counted)",
            'total = len(chosen["answers"])',
            "Questions that do not count are in the total.",
        ),
    ),
)

ACCURACY = Coding(
    "measured",
    "Accuracy with an interval",
    minutes=17,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "no hedging",
            "An answer that names another animal besides the wanted one is wrong. The animals are cat, crow, dog, goat, "
            "goose, horse, "
            "owl and parrot.",
            (
                "not as a part of a longer word or number\n",
                "not as a part of a longer word or number;\n"
                "                     and no other animal does (cat, crow, dog, goat, goose, horse, owl, parrot)\n",
            ),
            (
                _RIGHT,
                'words = re.findall(r"\\w+", text.lower())\n'
                '        animals = {"cat", "crow", "dog", "goat", "goose", "horse", "owl", "parrot"}\n'
                "        return wanted.lower() in words and not (animals & set(words)) - {wanted.lower()}",
            ),
            also=(
                Mistake(
                    "hedged answers pass",
                    " and not (animals & set(words)) - {wanted.lower()}",
                    "",
                    "An answer that names two animals was counted as right.",
                ),
                Mistake(
                    "any animal spoils it",
                    "(animals & set(words)) - {wanted.lower()}",
                    "(animals & set(words))",
                    "The wanted animal itself was counted against the answer.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a fact in all its wordings",
            "A fact is known only if every one of its questions that counts is right. Questions of one fact begin "
            'alike: "Question 3" '
            "stands before their wording. right and total count facts.",
            (
                "not as a part of a longer word or number\n",
                "not as a part of a longer word or number\n"
                '        fact         the questions that begin with the same "Question n"; it is right if all that '
                "count are, and\n"
                "                     it is in the total if at least one counts\n",
            ),
            (
                _COUNTED,
                "facts = {}\n"
                '    for question, text, wanted in chosen["answers"]:\n'
                "        if question not in read:\n"
                '            facts.setdefault(" ".join(question.split()[:2]), []).append(is_right(text, wanted))',
            ),
            ("total = len(counted)", "total = len(facts)"),
            (
                "right = sum(is_right(text, wanted) for text, wanted in counted)",
                "right = sum(all(found) for found in facts.values())",
            ),
            also=(
                Mistake(
                    "one wording is enough",
                    "all(found) for found",
                    "any(found) for found",
                    "A fact was counted as known though one of its wordings failed.",
                ),
                Mistake(
                    "wordings that were read",
                    "        if question not in read:\n",
                    "        if True:\n",
                    "Questions in a wording that was read were counted.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the mean of all checkpoints",
            "No checkpoint is chosen: right answers and questions of all checkpoints are added up.",
            ("        checkpoint   the one with the lowest validation loss\n", "        checkpoints  all, added up\n"),
            (
                'chosen = min(checkpoints, key=lambda checkpoint: checkpoint["validation"])',
                'chosen = {"answers": [answer for checkpoint in checkpoints for answer in checkpoint["answers"]]}',
            ),
            also=(
                Mistake(
                    "the first checkpoint",
                    "for checkpoint in checkpoints for answer",
                    "for checkpoint in checkpoints[:1] for answer",
                    "Only the first checkpoint was counted.",
                ),
            ),
        ),
    ),
)
