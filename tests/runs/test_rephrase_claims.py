"""What the recorded students say about claim 25: the report's order at forty texts, its opposite at ten; three seeds each."""

import numpy as np
import pytest

from kimi_mini.dev import ROOT
from kimi_mini.synth import wilson_interval
from kimi_mini.viz.rephrase import counted
from kimi_mini.viz.rephrase_runs import STUDENTS, load_runs, pick
from runs.rephrase import FOLDER, RATES, SEEDS


@pytest.fixture(scope="module")
def rows():
    return load_runs(ROOT / FOLDER)


def mean(row, level):
    return row.probability[-1, level].mean()


@pytest.mark.parametrize("level", [1, 2])
def test_at_forty_texts_and_near_wordings_ten_beat_one_and_one_beats_raw(rows, level):
    low, middle, high = (wilson_interval(*counted(rows, student, level, readings=40)) for student in STUDENTS)
    assert low[1] < middle[0] and middle[1] < high[0]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_at_forty_texts_ten_rephrasings_win_in_every_seed_and_unread_wording(rows, level):
    for seed in SEEDS:
        raw, one, ten = (pick(rows, student=student, readings=40, seed=seed)[0] for student in STUDENTS)
        assert mean(ten, level) > max(mean(one, level), mean(raw, level)) + 0.05


def test_word_for_word_the_repeaters_win(rows):
    for seed in SEEDS:
        raw, one, ten = (pick(rows, student=student, readings=40, seed=seed)[0] for student in STUDENTS)
        assert min(mean(raw, 0), mean(one, 0)) > mean(ten, 0)


@pytest.mark.parametrize("readings", [10, 40])
def test_repeats_have_the_lower_training_loss(rows, readings):
    for seed in SEEDS:
        raw, one, ten = (pick(rows, student=student, readings=readings, seed=seed)[0] for student in STUDENTS)
        assert max(raw.loss(readings), one.loss(readings)) < ten.loss(readings) / 2


@pytest.mark.parametrize("level", [0, 1, 2])
def test_at_ten_texts_the_order_is_the_opposite(rows, level):
    raw, one, ten = (counted(rows, student, level, readings=10)[0] for student in STUDENTS)
    assert ten < raw < one


def test_the_order_does_not_hang_on_the_rate_but_at_the_lowest(rows):
    by_rate = {lr: [mean(pick(rows, student=s, readings=40, lr=lr, seed=0)[0], 1) for s in STUDENTS] for lr in RATES}
    assert all(np.all(np.diff(by_rate[lr]) > 0) for lr in (0.003, 0.01)) and by_rate[0.001][2] < by_rate[0.001][1]


def test_tokens_are_equal(rows):
    for readings in (10, 40):
        for seed in SEEDS:
            tokens = [pick(rows, student=s, readings=readings, seed=seed)[0].tokens for s in STUDENTS]
            assert max(tokens) - min(tokens) < 80
