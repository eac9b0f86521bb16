"""Name what a critic pays for, from samples, with everything else held fixed."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def name_the_hack(samples):
    """The feature that a critic pays for though it does not make an answer better.

    samples   a list of {"score": what the critic gave, "truth": how good the answer is, "features": {name: True or False}}

        cell      all samples with the same truth and the same values of all features but the one in question
        effect    of a feature in a cell that holds samples with and without it: the mean score of those with it, less the mean
                  score of those without
        total     the mean of a feature's effects over such cells, each weighted by the number of its samples; a cell with
                  one kind only says nothing

    Returns [name, total] of the feature with the largest total.
    """
    totals = {}
    for name in samples[0]["features"]:
        cells = {}
        for sample in samples:
            others = tuple(sorted((key, value) for key, value in sample["features"].items() if key != name))
            cell = cells.setdefault((sample["truth"], others), {True: [], False: []})
            cell[sample["features"][name]].append(sample["score"])
        weight, effect = 0, 0.0
        for cell in cells.values():
            if cell[True] and cell[False]:
                size = len(cell[True]) + len(cell[False])
                difference = sum(cell[True]) / len(cell[True]) - sum(cell[False]) / len(cell[False])
                weight, effect = weight + size, effect + size * difference
        if weight:
            totals[name] = effect / weight
    best = max(totals, key=totals.get)
    return [best, totals[best]]
'''

PACKAGE = SOLUTION


def cases(seed: int) -> tuple[Case, ...]:
    """Critics that pay for praise: praise goes with length, or with good answers, or is rare."""
    rng = random.Random(seed)
    names = ["long", "praise", "list"]
    rng.shuffle(names)

    def samples(count: int, paid: dict[str, float], likely, truth_pay: float) -> list[dict]:
        made = []
        for _ in range(count):
            truth = rng.randint(0, 2)
            praise = rng.random() < likely("praise", truth, False)
            features = {"praise": praise}
            for name in ("long", "list"):
                features[name] = rng.random() < likely(name, truth, praise)
            score = truth_pay * truth + sum(paid.get(name, 0.0) * value for name, value in features.items())
            made.append(
                {
                    "score": round(score + rng.gauss(0, 0.05), 3),
                    "truth": truth,
                    "features": {name: features[name] for name in names},
                }
            )
        return made

    def case(name: str, count: int, paid: dict[str, float], likely, truth_pay: float = 0.1) -> Case:
        return Case(name, (samples(count, paid, likely, truth_pay),))

    even = {"praise": 0.5, "long": 0.5, "list": 0.5}
    return (
        case("praise is paid", 60, {"praise": 0.5}, lambda name, truth, praise: even[name]),
        case(
            "praise makes answers long",
            80,
            {"praise": 0.4, "long": -0.1},
            lambda name, truth, praise: {"praise": 0.5, "list": 0.4, "long": 0.95 if praise else 0.1}[name],
        ),
        case(
            "good answers are long, and good ones are paid",
            80,
            {"praise": 0.2},
            lambda name, truth, praise: {"praise": 0.4, "list": 0.5, "long": (0.05, 0.5, 0.95)[truth]}[name],
            0.8,
        ),
        case(
            "most cells hold few",
            50,
            {"list": 0.3, "praise": 0.25},
            lambda name, truth, praise: {"praise": 0.15, "list": 0.8 if truth else 0.3, "long": 0.5}[name],
        ),
    )


PRACTICE = Variant(
    "truth and all other features held fixed",
    SOLUTION,
    cases,
    (
        Mistake(
            "truth not held fixed",
            '(sample["truth"], others)',
            "(0, others)",
            "Answers of different truth stood in one cell. Then a feature of good answers looks like a hack.",
        ),
        Mistake(
            "length for cause",
            '            others = tuple(sorted((key, value) for key, value in sample["features"].items() if key != name))\n',
            "            others = ()\n",
            "The other features were not held fixed. Praise makes answers long, so length looks paid.",
        ),
        Mistake(
            "cells not weighted",
            "weight, effect = weight + size, effect + size * difference",
            "weight, effect = weight + 1, effect + difference",
            "Every cell counted alike. A cell counts by the number of its samples.",
        ),
        Mistake(
            "cells of one kind counted",
            "        if weight:\n            totals[name] = effect / weight\n",
            "        if weight:\n            totals[name] = effect / len(samples)\n",
            "The sum was divided by all samples. Cells that hold one kind only say nothing, and do not count.",
        ),
        Mistake(
            "the truth is explained",
            '.append(sample["score"])',
            '.append(sample["truth"])',
            "The effect on the truth was measured. What the critic pays is the score.",
        ),
        Mistake(
            "the smallest",
            "best = max(totals",
            "best = min(totals",
            "The feature with the smallest total was named.",
        ),
    ),
)

HACK = Coding(
    "name_the_hack",
    "Name the hack",
    minutes=22,
    difficulty=3,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "either sign",
            "The feature with the total farthest from 0 is named, a penalty as well as a payment.",
            (
                "of the feature with the largest total.\n",
                "of the feature whose total is farthest from 0; the total keeps its sign.\n",
            ),
            ("best = max(totals, key=totals.get)", "best = max(totals, key=lambda name: abs(totals[name]))"),
            besides=("the smallest",),
            cases=lambda seed: (*cases(seed), _penalty(seed)),
            also=(
                Mistake(
                    "payments only",
                    "key=lambda name: abs(totals[name])",
                    "key=totals.get",
                    "A penalty was overlooked: its total is below 0, and farther from it.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "weighted by the rarer kind",
            "A cell counts by the smaller of its two numbers: samples with the feature, and without.",
            (
                "each weighted by the number of its samples; a cell with\n",
                "each weighted by the smaller of its numbers of samples with and without it; a cell with\n",
            ),
            ("size = len(cell[True]) + len(cell[False])", "size = min(len(cell[True]), len(cell[False]))"),
            also=(
                Mistake(
                    "all its samples",
                    "size = min(len(cell[True]), len(cell[False]))",
                    "size = len(cell[True]) + len(cell[False])",
                    "A cell was weighted by all its samples. The rarer kind counts.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "medians",
            "Medians take the place of mean scores in the effect.",
            ("the mean score of those with it, less the mean\n", "the median score of those with it, less the median\n"),
            (
                "difference = sum(cell[True]) / len(cell[True]) - sum(cell[False]) / len(cell[False])",
                "difference = median(cell[True]) - median(cell[False])",
            ),
            ("\ndef my_name", "\nfrom statistics import median\n\n\ndef my_name"),
            also=(
                Mistake(
                    "means",
                    "difference = median(cell[True]) - median(cell[False])",
                    "difference = sum(cell[True]) / len(cell[True]) - sum(cell[False]) / len(cell[False])",
                    "Means were taken. This version asks for medians.",
                ),
            ),
        ),
    ),
)


def _penalty(seed: int) -> Case:
    rng = random.Random(seed + 1)
    made = []
    for _ in range(40):
        features = {name: rng.random() < 0.5 for name in ("long", "praise")}
        score = 0.1 * features["praise"] - 0.5 * features["long"] + rng.gauss(0, 0.03)
        made.append({"score": round(score, 3), "truth": rng.randint(0, 1), "features": features})
    return Case("length is punished", (made,))
