"""Means, errors and differences against values worked out by hand or by drawing, and what they refuse."""

import math
import random
from statistics import fmean, pstdev

import pytest

from kimi_mini.evals import statistics as st

TASKS = [114, 50, 114]  # retail, airline, telecom


def test_tau2_is_66_1_by_task_and_64_3_by_domain():
    k2 = [70.6, 56.5, 65.8]
    assert f"{st.weighted_mean(k2, TASKS):.1f}" == "66.1" and f"{st.plain_mean(k2):.1f}" == "64.3"


def test_equal_weights_make_the_two_means_one():
    assert st.weighted_mean([0.2, 0.8, 0.5], [7, 7, 7]) == pytest.approx(st.plain_mean([0.2, 0.8, 0.5])) == 0.5
    assert st.weighted_mean([1.0, 0.0], [3, 1]) == 0.75


def test_a_missing_score_is_no_zero():
    for mean in (lambda scores: st.plain_mean(scores), lambda scores: st.weighted_mean(scores, [1, 1])):
        with pytest.raises(ValueError, match="not a 0"):
            mean([0.5, None])
    with pytest.raises(ValueError, match="questions"):
        st.weighted_mean([0.5, 0.5], [10, None])


def test_the_standard_error_is_what_drawing_finds():
    rng = random.Random(0)
    drawn = [sum(rng.random() < 0.7 for _ in range(30)) / 30 for _ in range(4000)]
    assert pstdev(drawn) == pytest.approx(st.standard_error(0.7, 30), rel=0.05)
    assert st.standard_error(0.5, 100) == 0.05 and st.standard_error(0.0, 5) == 0
    with pytest.raises(ValueError, match="share"):
        st.standard_error(65.8, 500)


def test_samples_are_no_questions():
    """Answers that are all alike within a question: 64 of them say what one says."""
    one = [[float(question < 20)] for question in range(30)]
    many = [scores * 64 for scores in one]
    assert st.clustered(many) == st.clustered(one)
    share = fmean(scores[0] for scores in one)
    naive = st.standard_error(share, 30 * 64)
    assert st.clustered(many).error > 7 * naive
    # With n - 1 below, the clustered error of single answers is the binomial one times sqrt(n / (n - 1)).
    assert st.clustered(one).error == pytest.approx(st.standard_error(share, 30) * math.sqrt(30 / 29))


def test_averaging_samples_takes_out_the_noise_within_a_question_and_no_more():
    rng = random.Random(1)
    chances = [rng.random() for _ in range(400)]
    errors = {k: st.clustered([[float(rng.random() < p) for _ in range(k)] for p in chances]).error for k in (1, 64)}
    floor = pstdev(chances) / math.sqrt(400)
    assert errors[64] == pytest.approx(floor, rel=0.05) and errors[1] > 1.5 * errors[64]
    assert errors[64] <= st.standard_error(fmean(chances), 400)


def test_a_difference_on_the_same_questions_is_known_better():
    rng = random.Random(2)
    hard = [rng.random() for _ in range(200)]
    first = [float(rng.random() < min(1, 0.1 + h)) for h in hard]
    second = [one if rng.random() < 0.9 else 0.0 for one in first]
    alone = st.difference(st.clustered([[x] for x in first]), st.clustered([[x] for x in second]))
    paired = st.paired_difference(first, second)
    assert paired.value == pytest.approx(alone.value) and paired.error < 0.6 * alone.error
    assert st.paired_difference([1, 0, 1], [0, 0, 1]) == pytest.approx((1 / 3, 1 / 3))
    with pytest.raises(ValueError, match="same number"):
        st.paired_difference([1, 0], [1, 0, 1])


def test_the_error_of_a_mean():
    scores = [0.706, 0.565, 0.658]
    errors = [st.standard_error(score, count) for score, count in zip(scores, TASKS, strict=True)]
    assert st.mean_error(scores, TASKS, weighted=False) == pytest.approx(math.sqrt(sum(e * e for e in errors)) / 3)
    whole = sum(TASKS)
    by_hand = math.sqrt(sum((n / whole * e) ** 2 for n, e in zip(TASKS, errors, strict=True)))
    assert st.mean_error(scores, TASKS, weighted=True) == pytest.approx(by_hand)
    assert st.mean_error([0.658], [500], weighted=True) == pytest.approx(st.standard_error(0.658, 500))


def test_an_interval_is_two_errors_wide_on_either_side():
    assert st.Mean(0.5, 0.1).interval == pytest.approx((0.304, 0.696))
