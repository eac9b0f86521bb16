"""What MINI taught by judged and by unjudged runs does as the agent (claim 27), three seeds, and that the two read as much."""

import json

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.synth import wilson_interval
from runs import filtered

ROWS = {point: json.loads((ROOT / filtered.FOLDER / f"{point.name}.json").read_text()) for point in filtered.points()}
MINI = ROWS[filtered.Point("mini", 0)]


def _count(student, group, what, seeds=filtered.SEEDS):
    """(how often, of how many episodes) of all these seeds."""
    episodes = [one for seed in seeds for one in ROWS[filtered.Point(student, seed)]["episodes"][group]]
    return sum(one[what] for one in episodes), len(episodes)


def test_both_students_read_as_much_and_only_one_read_failures():
    for seed in filtered.SEEDS:
        kept, unfiltered = (ROWS[filtered.Point(student, seed)] for student in filtered.STUDENTS)
        assert kept["updates"] == unfiltered["updates"] and kept["tokens_per_update"] == unfiltered["tokens_per_update"]
        assert all(0 <= filtered.TOKENS - row["tokens"] < filtered.LENGTH for row in (kept, unfiltered))
        assert kept["false_reports"] == 0 and unfiltered["false_reports"] > 20
        assert kept["funnel"] == unfiltered["funnel"], "the same runs were made for both"


def test_both_met_the_same_episodes_none_of_which_they_had_read():
    for group, kinds in filtered.HELD_OUT.items():
        for seed in filtered.SEEDS:
            tasks = [[one["task"] for one in ROWS[filtered.Point(name, seed)]["episodes"][group]] for name in filtered.STUDENTS]
            assert tasks[0] == tasks[1] and len(tasks[0]) == filtered.EPISODES[group]
            assert all(int(task.rpartition("-")[2]) >= filtered.FIRST_HELD_OUT for task in tasks[0])
            assert {task.rpartition("-")[0] for task in tasks[0]} == set(kinds)


def test_in_new_worlds_the_judged_runs_teach_more_in_every_seed_and_the_intervals_overlap():
    for seed in filtered.SEEDS:
        assert _count("kept", "seen", "passed", [seed]) > _count("unfiltered", "seen", "passed", [seed])
    kept, unfiltered = (wilson_interval(*_count(student, "seen", "passed")) for student in filtered.STUDENTS)
    assert kept[0] < unfiltered[1], "the difference is no larger than chance may make it"


def test_who_read_failures_says_more_often_what_is_not_so():
    assert _count("kept", "seen", "false_report") < _count("unfiltered", "seen", "false_report")


def test_untaught_mini_passes_nothing():
    assert not any(one["passed"] for episodes in MINI["episodes"].values() for one in episodes)


@pytest.mark.parametrize("group", ["tools", "world"])
def test_nobody_passes_with_tools_or_in_a_world_that_no_run_had_told_of(group):
    """So at this size the claim's own measure, held-out tools, says nothing."""
    assert all(_count(student, group, "passed")[0] == 0 for student in filtered.STUDENTS)


@pytest.mark.slow
def test_the_runs_behind_a_student_are_the_same_when_they_are_made_again():
    from kimi_mini.corpus import load_tokenizer

    _, about = filtered.lessons("kept", 0, load_tokenizer())
    row = ROWS[filtered.Point("kept", 0)]
    assert json.loads(json.dumps(about)) == {name: row[name] for name in about}
