"""Avg@k and pass@k: against counting by hand and by enumeration; the questions are what is counted, not the samples."""

import itertools

import pytest

from kimi_mini.evals.estimate import average, pass_at_k
from kimi_mini.synth import wilson_interval


def by_enumeration(samples, right, k):
    """Every choice of k samples, and whether it holds a right one."""
    answers = [True] * right + [False] * (samples - right)
    choices = list(itertools.combinations(answers, k))
    return sum(map(any, choices)) / len(choices)


@pytest.mark.parametrize("samples", [1, 2, 5, 7])
def test_pass_at_k_is_what_enumeration_says(samples):
    for k in range(1, samples + 1):
        for right in range(samples + 1):
            assert pass_at_k([right], samples, k).value == pytest.approx(by_enumeration(samples, right, k), abs=1e-12)


def test_the_plug_in_estimator_would_be_biased():
    # 1 - (1 - c/n)^k for c = 1, n = 2, k = 2 says 3/4; both samples together do hold the right one
    assert pass_at_k([1], 2, 2).value == 1


def test_pass_at_1_is_the_average():
    right = [0, 3, 1, 4, 4]
    assert pass_at_k(right, 4, 1).value == pytest.approx(average(right, 4).value) == pytest.approx(12 / 20)


def test_thirty_questions_are_thirty_however_often_they_are_asked():
    once, often = average([1] * 12 + [0] * 18, 1), average([64] * 12 + [0] * 18, 64)
    assert once == pytest.approx(often)
    assert (once.low, once.high) == pytest.approx(wilson_interval(12, 30))
    narrow = wilson_interval(12 * 64, 30 * 64)
    assert once.high - once.low > 5 * (narrow[1] - narrow[0])


def test_the_interval_covers_as_often_as_it_says():
    import random

    chance, hits = random.Random(1), 0
    for _ in range(1000):  # every problem has its own difficulty; the mean of all is a half
        right = [sum(chance.random() < p for _ in range(4)) for p in (chance.random() for _ in range(40))]
        estimate = average(right, 4)
        hits += estimate.low <= 0.5 <= estimate.high
    assert hits >= 950


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: average([], 4), "right_P"),
        (lambda: average([5], 4), "a number of right_P = 5"),
        (lambda: average([1], 0), "samples = 0"),
        (lambda: average([0.5], 4), "a number of right_P = 0.5"),
        (lambda: pass_at_k([1], 4, 5), "k = 5"),
        (lambda: pass_at_k([1], 4, 0), "k = 0"),
    ],
)
def test_bad_input_is_said(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
