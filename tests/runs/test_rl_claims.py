"""What the recorded runs of RL say: the climb beside its control, and one thing changed at a time."""

import json

import pytest

from kimi_mini.dev import ROOT
from runs import climb, rl


@pytest.fixture(scope="module")
def climbs():
    return {
        (point.kind, point.seed): json.loads((ROOT / climb.FOLDER / f"{point.name}.json").read_text())
        for point in climb.points()
    }


def share(row, place):
    return row["held"][place][1] / row["problems"]


def test_mini_climbs_by_more_than_40_points_in_three_seeds_of_three(climbs):
    for seed in climb.SEEDS:
        row = climbs["climb", seed]
        assert row["problems"] >= 256 and 0.18 < share(row, 0) < 0.45, "a light SFT that leaves head-room"
        assert share(row, -1) - share(row, 0) > 0.4


def test_a_control_of_equal_time_that_goes_on_with_sft_ends_lower_at_temperature_1_and_not_in_greedy_answers(climbs):
    pairs = [(climbs["climb", seed], climbs["control", seed]) for seed in climb.SEEDS]
    for ours, control in pairs:
        assert control["held"][0] == ours["held"][0] and abs(control["spent"] / ours["spent"] - 1) < 0.1
        assert share(ours, -1) - share(control, -1) > 0.05
    greedy = [(ours["greedy"][1], control["greedy"][1]) for ours, control in pairs]
    assert sum(a for a, _ in greedy) < sum(b for _, b in greedy), "more gold answers teach the likeliest answer more"


def test_answers_become_shorter_and_the_policy_surer_as_it_climbs(climbs):
    for seed in climb.SEEDS:
        log = climbs["climb", seed]["log"]
        for name in ("length", "surprisal"):
            assert sum(log[name][-5:]) < 0.9 * sum(log[name][:5])


def test_groups_hold_eight_answers_and_what_one_update_did_to_them(climbs):
    """Answers that were right became likelier on average, the others less likely."""
    for seed in climb.SEEDS:
        groups = climbs["climb", seed]["groups"]
        assert len({group["step"] for group in groups}) == 5 and {len(group["answers"]) for group in groups} == {8}
        moved = {True: [], False: []}
        for answer in (answer for group in groups for answer in group["answers"]):
            moved[answer["reward"] > 0.5].append(answer["new"] - answer["old"])
        assert sum(moved[True]) / len(moved[True]) > sum(moved[False]) / len(moved[False])


@pytest.fixture(scope="module")
def changed():
    """changed[change] holds the rows of all three seeds."""
    rows = {
        change: [json.loads((ROOT / rl.FOLDER / f"{change}-seed{seed}.json").read_text()) for seed in rl.SEEDS]
        for change in rl.CHANGES
    }
    assert all(row["change"] == change for change, each in rows.items() for row in each)
    return rows


def at_the_ends(row, column, steps=3):
    values = row["log"][column]
    return sum(values[:steps]) / steps, sum(values[-steps:]) / steps


def test_tau_0_5_keeps_the_policy_nearer_to_its_start_than_tau_0_1_in_every_seed(changed):
    for small, large in zip(changed["tau0.1"], changed["tau0.5"], strict=True):
        assert sum(large["log"]["divergence"]) < sum(small["log"]["divergence"])
        assert large["drift"][-1][1] < 0.9 * small["drift"][-1][1]
        assert all(row["held"][-1][1] > row["held"][0][1] + 60 for row in (small, large))


def test_without_a_cap_answers_did_not_grow_longer_though_length_paid_so_a_cap_had_nothing_to_bend(changed):
    for free, capped in zip(changed["long"], changed["capped"], strict=True):
        for row in (free, capped):
            first, last = at_the_ends(row, "length")
            assert last < first - 0.5
        assert capped["log"]["truncated"][0] > 0.2 and capped["log"]["truncated"][-1] < 0.1


def test_with_ptx_the_text_is_foretold_far_better_after_rl_in_every_seed(changed):
    """The light SFT before had hurt the text, so without PTX its loss falls too: PTX mends here, and keeps nothing."""
    for without, with_ptx in zip(changed["tau0.1"], changed["ptx"], strict=True):
        assert with_ptx["text_loss"][1] + 2 < without["text_loss"][1] < without["text_loss"][0]


def test_a_falling_temperature_ends_with_less_spread_among_the_answers_to_one_problem_and_fewer_right_at_1(changed):
    for hot, cooled in zip(changed["hot"], changed["cooled"], strict=True):
        assert at_the_ends(cooled, "advantage", 5)[1] < 0.7 * at_the_ends(hot, "advantage", 5)[1]
        assert cooled["held"][-1][1] < hot["held"][-1][1]
