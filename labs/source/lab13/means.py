"""Two means of one table: by row and by question, and no mean where a figure is missing."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def two_means(rows, models):
    """The two means of a table, for each model.

    rows      a list of [questions, scores]: how many questions a row has, and a dict of each model's score in percent;
              where a model has no figure, it is not in the dict
    models    names of models

        by_row         every row counts alike
        by_question    every question counts alike
        no figure      a model that lacks a score of any row has no mean: None, for both

    Returns a dict of model: [by_row, by_question], or model: None.
    """
    means = {}
    for model in models:
        found = [(questions, scores[model]) for questions, scores in rows if model in scores]
        if len(found) < len(rows):
            means[model] = None
            continue
        whole = sum(questions for questions, _ in found)
        by_row = sum(score for _, score in found) / len(found)
        by_question = sum(questions * score for questions, score in found) / whole
        means[model] = [by_row, by_question]
    return means
'''

PACKAGE = """
from kimi_mini.evals.statistics import plain_mean, weighted_mean


def two_means(rows, models):
    means = {}
    for model in models:
        if all(model in scores for _, scores in rows):
            found = [scores[model] for _, scores in rows]
            means[model] = [plain_mean(found), weighted_mean(found, [questions for questions, _ in rows])]
        else:
            means[model] = None
    return means
"""

_MODELS = ["ash", "birch", "cedar", "elm"]


def cases(seed: int) -> tuple[Case, ...]:
    """Tables with and without missing figures, rows of very different sizes, small rows on which a model shines."""
    rng = random.Random(seed)

    def table(sizes: list[int], missing: dict[int, str]) -> list[list]:
        rows = []
        for place, size in enumerate(sizes):
            scores = {model: round(rng.uniform(20, 70) + 25 * (size < 50), 1) for model in _MODELS}
            if place in missing:
                del scores[missing[place]]
            rows.append([size, scores])
        return rows

    return (
        Case("nothing is missing", (table([114, 50, 114], {}), _MODELS)),
        Case("one figure is missing", (table([500, 30, 198, 40], {0: "birch"}), _MODELS)),
        Case("a figure of a small row is missing", (table([120, 30, 320], {1: "elm"}), _MODELS)),
        Case("two models lack one each", (table([60, 500, 25, 90], {1: "ash", 3: "cedar"}), _MODELS)),
    )


_BY_ROW = "by_row = sum(score for _, score in found) / len(found)"
_BY_QUESTION = "by_question = sum(questions * score for questions, score in found) / whole"
_FOUND = "found = [(questions, scores[model]) for questions, scores in rows if model in scores]"
_NONE = "        if len(found) < len(rows):\n            means[model] = None\n            continue\n"
_KEEP = "means[model] = [by_row, by_question]"

PRACTICE = Variant(
    "no mean without all figures",
    SOLUTION,
    cases,
    (
        Mistake(
            "weights ignored",
            _BY_QUESTION,
            "by_question = sum(score for _, score in found) / len(found)",
            "The two means are the same: the numbers of questions were ignored. By question, a row weighs as many as it has.",
        ),
        Mistake(
            "missing cells counted as 0",
            _FOUND,
            "found = [(questions, scores.get(model, 0)) for questions, scores in rows]",
            "A missing figure was counted as a 0. Nobody measured a 0: there is no mean, and that is what to say.",
        ),
        Mistake(
            "missing rows dropped for one model",
            _NONE,
            "",
            "A model that lacks a figure got a mean over the other rows. That is a mean of another test than its neighbours'.",
        ),
        Mistake(
            "weights in both",
            _BY_ROW,
            "by_row = sum(questions * score for questions, score in found) / whole",
            "Both means weigh by question. By row, every row counts alike.",
        ),
        Mistake(
            "the two swapped",
            _KEEP,
            "means[model] = [by_question, by_row]",
            "The two means have changed places: by row comes first.",
        ),
        Mistake(
            "not divided by the questions",
            _BY_QUESTION,
            "by_question = sum(questions * score for questions, score in found) / len(found)",
            "The weighted sum was divided by the number of rows. Divide it by the number of questions.",
        ),
        Mistake(
            "nobody has a mean",
            _NONE,
            "        if any(other not in scores for other in models for _, scores in rows):\n"
            "            means[model] = None\n            continue\n",
            "Where one model lacks a figure, all lost their means. Only that model has none.",
        ),
    ),
)

MEANS = Coding(
    "two_means",
    "Two means of one table",
    minutes=15,
    difficulty=1,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "rows that all have",
            "A row in which any of the models has no figure is left out for all of them. So every model has both means, over "
            "the same rows.",
            (
                "        no figure      a model that lacks a score of any row has no mean: None, for both\n",
                "        no figure      a row in which any of the models lacks a score is left out for all models\n",
            ),
            ("    Returns a dict of model: [by_row, by_question], or model: None.\n",
             "    Returns a dict of model: [by_row, by_question].\n"),
            (
                "    means = {}\n",
                "    rows = [row for row in rows if all(model in row[1] for model in models)]\n    means = {}\n",
            ),
            (_NONE, ""),
            also=(
                Mistake(
                    "left out for one model alone",
                    "    rows = [row for row in rows if all(model in row[1] for model in models)]\n",
                    "",
                    "A row was left out for one model and counted for the others. It is left out for all.",
                ),
                Mistake(
                    "no mean",
                    "    rows = [row for row in rows if all(model in row[1] for model in models)]\n    means = {}\n",
                    "    kept = [row for row in rows if all(model in row[1] for model in models)]\n"
                    "    if len(kept) < len(rows):\n        return dict.fromkeys(models)\n    means = {}\n",
                    "Where a figure is missing no model got a mean. The row is left out, and the others count.",
                ),
            ),
            besides=("missing cells counted as 0",),
        ),
        twist(
            PRACTICE,
            "large rows only",
            "Rows with fewer than 50 questions count in neither mean, and a figure missing in one of them costs no mean.",
            (
                "        by_row         every row counts alike\n",
                "        small rows     a row with fewer than 50 questions is left out, whoever lacks a figure in it\n"
                "        by_row         every row counts alike\n",
            ),
            ("lacks a score of any row has", "lacks a score of any other row has"),
            ("    means = {}\n", "    rows = [row for row in rows if row[0] >= 50]\n    means = {}\n"),
            also=(
                Mistake(
                    "50 is small",
                    "if row[0] >= 50]",
                    "if row[0] > 50]",
                    "A row with exactly 50 questions was left out. Fewer than 50 is what counts as small.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "places",
            "Not the means are asked for but the place of each model by them: 1 for the highest, 2 for the next. Models "
            "without a mean have no place and take none away.",
            (
                "    Returns a dict of model: [by_row, by_question], or model: None.\n",
                "        place          1 + the number of models whose mean of that kind is higher\n\n"
                "    Returns a dict of model: [place by row, place by question], or model: None.\n",
            ),
            (
                "    return means\n",
                "    ranked = [both for both in means.values() if both]\n"
                "    for model, both in means.items():\n"
                "        if both:\n"
                "            places = [1 + sum(other[kind] > both[kind] for other in ranked) for kind in (0, 1)]\n"
                "            means = means | {model: places}\n"
                "    return means\n",
            ),
            also=(
                Mistake(
                    "lowest first",
                    "other[kind] > both[kind]",
                    "other[kind] < both[kind]",
                    "The lowest mean got the first place. The highest is first.",
                ),
                Mistake(
                    "counted from 0",
                    "1 + sum(",
                    "sum(",
                    "Places begin at 0. The first is 1.",
                ),
            ),
            besides=("not divided by the questions", "weights ignored", "weights in both", "the two swapped"),
        ),
    ),
)  # fmt: skip
