"""What a score over questions is worth: two means, standard errors, differences. An interval for a share is in `synth`.

Scores are shares from 0 to 1 and questions are the unit: several samples of one question are one question, measured better.
Sources: E. Miller, Adding Error Bars to Evals (arXiv 2411.00640), sections 2 to 4; the formulas are those of any textbook.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from ..checks import is_int, is_number, require

Z = 1.96  # standard errors to either side that hold 95 %


class Mean(NamedTuple):
    """A mean and its standard error."""

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """From 1.96 standard errors below to as many above."""
        return self.value - Z * self.error, self.value + Z * self.error


def standard_error(score: float, questions: int) -> float:
    """sqrt(p (1 - p) / n) of a score p over n questions; a score in steps, such as Avg@k, has at most this.

    Raises ValueError for a score outside 0 to 1 and for less than one question.
    """
    _check_score("score", score)
    require(is_int(questions, 1), "questions", questions, "an integer >= 1")
    return math.sqrt(score * (1 - score) / questions)


def clustered(scores_QK: Sequence[Sequence[float]]) -> Mean:
    """Mean and standard error of the scores of K samples for each of Q questions, with the questions as the unit.

    The error is the spread of the questions' own means over sqrt(Q). The number of samples enters only through that spread.
    Raises ValueError for fewer than two questions, or one without a sample.
    """
    require(len(scores_QK) >= 2, "questions", len(scores_QK), "at least 2")
    for place, scores_K in enumerate(scores_QK):
        require(len(scores_K) >= 1, f"samples of question {place}", len(scores_K), "at least 1")
    means_Q = [fmean(scores_K) for scores_K in scores_QK]
    return Mean(fmean(means_Q), stdev(means_Q) / math.sqrt(len(means_Q)))


def plain_mean(scores: Sequence[float]) -> float:
    """The mean of scores, each counting once: the macro average over domains. Raises ValueError for a missing score."""
    require(len(scores) >= 1, "scores", scores, "at least one")
    for score in scores:
        require(is_number(score), "score", score, "a number: a missing one is not a 0, leave its row out or the model")
    return fmean(scores)


def weighted_mean(scores: Sequence[float], questions: Sequence[int]) -> float:
    """The mean over all questions of all domains: the micro average. Raises ValueError for what is missing or does not fit."""
    plain_mean(scores)
    require(len(questions) == len(scores), "questions", questions, f"{len(scores)} numbers")
    for count in questions:
        require(is_int(count, 1), "questions", count, "an integer >= 1")
    return fmean(scores, questions)


def mean_error(scores: Sequence[float], questions: Sequence[int], *, weighted: bool) -> float:
    """The standard error of either mean of scores over different questions (see `standard_error` for each)."""
    weights = questions if weighted else [1] * len(scores)
    errors = [standard_error(score, count) for score, count in zip(scores, questions, strict=True)]
    return math.hypot(*(weight * error for weight, error in zip(weights, errors, strict=True))) / sum(weights)


def difference(first: Mean, second: Mean) -> Mean:
    """First less second, measured on different questions, or on the same ones where only the two scores are known.

    On the same questions this is too wide as a rule: `paired_difference` needs the answers, which tables do not give.
    """
    return Mean(first.value - second.value, math.hypot(first.error, second.error))


def paired_difference(first_Q: Sequence[float], second_Q: Sequence[float]) -> Mean:
    """First less second on the same questions in the same order: mean and standard error of the differences.

    Raises ValueError for fewer than two questions or two lengths.
    """
    require(len(first_Q) == len(second_Q) >= 2, "questions", (len(first_Q), len(second_Q)), "the same number, at least 2")
    apart_Q = [one - other for one, other in zip(first_Q, second_Q, strict=True)]
    return Mean(fmean(apart_Q), stdev(apart_Q) / math.sqrt(len(apart_Q)))


def _check_score(name: str, score: float) -> None:
    require(is_number(score) and 0 <= score <= 1, name, score, "a share from 0 to 1")
