"""What the recorded runs of the two bets say about the claims. Losses are held out, after a landing at each budget."""

import numpy as np
import pytest

import kimi_mini as km
from kimi_mini.accounting import count_parameters, training_flops
from kimi_mini.dev import ROOT
from kimi_mini.viz import bets
from runs.bets import EXPERTS, FOLDER, LENGTH, SEEDS


@pytest.fixture(scope="module")
def shapes():
    recorded = bets.load_shapes(ROOT / FOLDER)
    assert all(shape.seeds == SEEDS and shape.loss_SB.shape[1] == 4 for shape in recorded.values())
    return recorded


def test_no_doubling_of_the_experts_lowers_the_loss_in_every_seed(shapes):
    ends = [shapes[experts, 8].loss_SB[:, -1] for experts in EXPERTS]
    assert not any((many < few).all() for few, many in zip(ends, ends[1:], strict=False))


def test_sixteen_times_the_experts_end_a_little_lower_in_every_seed(shapes):
    lower_S = 1 - shapes[64, 8].loss_SB[:, -1] / shapes[4, 8].loss_SB[:, -1]
    assert (0 < lower_S).all() and (lower_S < 0.02).all()
    assert shapes[64, 8].loss_SB[:, 0].mean() > shapes[4, 8].loss_SB[:, 0].mean(), "at the first budget they are behind"


def test_the_flops_saved_are_near_one(shapes):
    for target in (2.4, 2.8, 3.2):
        factors = [bets.saved(shapes[experts, 8], shapes[64, 8], target)[0] for experts in EXPERTS[:-1]]
        assert all(0.9 < factor < 1.1 for factor in factors), target


def test_memory_grows_in_a_straight_line_and_work_hardly_at_all(shapes):
    bytes_E = np.array([shapes[experts, 8].bytes for experts in EXPERTS])
    assert len(set(np.diff(bytes_E) / np.diff(EXPERTS))) == 1
    work = [training_flops(shapes[experts, 8].config, LENGTH).total for experts in (4, 64)]
    assert 1 < work[1] / work[0] < 1.03


def test_the_reports_steps_buy_about_the_same_for_each_doubling():
    first, second = bets.REPORT_SAVED[8] / bets.REPORT_SAVED[16], bets.REPORT_SAVED[16] / bets.REPORT_SAVED[32]
    assert abs(first - second) < 0.02
    stored = [count_parameters(km.K2.replace(n_routed_experts=8 * n)).total for n in (8, 16, 32, 48)]
    assert [round(more / 1e9) for more in np.diff(stored)] == [169, 338, 338]


def test_sixteen_heads_are_worse_than_eight_at_every_budget_in_the_mean(shapes):
    worse_SB = shapes[16, 16].loss_SB / shapes[16, 8].loss_SB - 1
    assert (worse_SB.mean(0) > 0).all() and (worse_SB[:, 0] > 0.04).all() and worse_SB[:, -1].mean() < 0.01


def test_eight_heads_only_draw_level_with_four(shapes):
    four, eight = shapes[16, 4].loss_SB, shapes[16, 8].loss_SB
    assert (eight[:, :3] > four[:, :3]).all() and abs(eight[:, 3].mean() / four[:, 3].mean() - 1) < 0.005
