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


def test_a_larger_tau_keeps_the_policy_nearer_in_the_one_seed_that_was_run():
    """KL between old and new policy over one iteration, and from the start over all; the reward rises with both."""
    small, large = (json.loads((ROOT / rl.FOLDER / f"tau{tau}-seed0.json").read_text()) for tau in ("0.1", "0.5"))
    assert sum(large["log"]["divergence"]) < 0.6 * sum(small["log"]["divergence"])
    assert large["drift"][-1][1] < 0.8 * small["drift"][-1][1]
    assert all(row["held"][-1][1] > row["held"][0][1] + 80 for row in (small, large))


def test_without_a_cap_answers_did_not_grow_longer_though_length_paid():
    log = json.loads((ROOT / rl.FOLDER / "long-seed0.json").read_text())["log"]
    assert sum(log["length"][-3:]) < sum(log["length"][:3]) and sum(log["reward"][-3:]) > sum(log["reward"][:3]) + 0.5


def test_with_ptx_the_text_is_foretold_far_better_after_rl_at_no_loss_of_right_answers():
    """In the one seed that was run; the light SFT before had hurt the text, so without PTX its loss falls too."""
    without, with_ptx = (json.loads((ROOT / rl.FOLDER / f"{name}-seed0.json").read_text()) for name in ("tau0.1", "ptx"))
    assert with_ptx["text_loss"][1] + 2 < without["text_loss"][1] < without["text_loss"][0]
    assert with_ptx["held"][1][1] > without["held"][1][1] - 10
