"""The recorded what-if trees: complete, the same when they are played again, and what they show."""

import itertools
import json

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.tools import OUTCOMES
from runs import trajectories

FILES = {
    point.name: json.loads((ROOT / trajectories.FOLDER / f"{point.name}.json").read_text()) for point in trajectories.points()
}
TREES = {name: tree for name, tree in FILES.items() if name != "funnel"}


def _plain(record):
    return {
        name: value for name, value in json.loads(json.dumps(record)).items() if name not in ("versions", "machine", "seconds")
    }


@pytest.mark.parametrize("point", [trajectories.Point(server, "believes failures") for server in ("calendar", "shop")])
def test_a_tree_is_what_playing_it_again_gives(point):
    assert _plain(trajectories.record(point)) == _plain(FILES[point.name])


@pytest.mark.parametrize("name", TREES)
def test_every_call_of_every_run_can_be_flipped(name):
    tree = TREES[name]
    for flips, run in tree["runs"].items():
        made = [flip.split(":") for flip in flips.split(",") if flip]
        last = max((int(number) for number, _ in made), default=-1)
        for number, outcome in itertools.product(range(last + 1, len(run["calls"])), OUTCOMES[1:]):
            if len(made) < tree["limit"]:
                assert ",".join([*filter(None, [flips]), f"{number}:{outcome}"]) in tree["runs"]
        for number, outcome in made:
            frame = tree["frames"][run["frames"][run["calls"][int(number)]]]
            assert frame["who"] == "tool" and frame["outcome"] in (outcome, "refused")


@pytest.mark.parametrize("name", TREES)
def test_a_run_goes_as_its_parent_did_up_to_the_flip(name):
    tree = TREES[name]
    for flips, run in tree["runs"].items():
        if flips:
            parent = tree["runs"][flips.rpartition(",")[0]]
            place = parent["calls"][int(flips.rpartition(",")[2].split(":")[0])]
            assert run["frames"][:place] == parent["frames"][:place]


def _kinds(tree, run):
    return {tree["items"][place]["kind"] for place in run["items"] if not tree["items"][place]["passed"]}


def test_one_flip_shows_agents_that_say_done_though_the_database_says_no():
    for server in trajectories.EPISODES:
        tree = TREES[f"{server}-believes-failures"]
        assert tree["runs"][""]["passed"], "all is well while the service answers"
        lies = [
            flips for flips, run in tree["runs"].items() if flips.count(":") == 1 and {"state", "report"} <= _kinds(tree, run)
        ]
        assert lies and all(flips.endswith(":error") for flips in lies)


def test_a_careful_agent_may_fail_and_never_says_what_is_not_so():
    failed = 0
    for server in trajectories.EPISODES:
        tree = TREES[f"{server}-careful"]
        failed += sum(not run["passed"] for run in tree["runs"].values())
        assert not any(_kinds(tree, run) & {"report", "policy"} for run in tree["runs"].values())
        assert all(run["passed"] for flips, run in tree["runs"].items() if flips.count(":") == 1), "one failure is mended"
    assert failed


def test_who_acts_again_without_looking_orders_twice():
    tree = TREES["shop-repeats-acts"]
    number = tree["plan"].index("place_order")
    run = tree["runs"][f"{number}:malformed"]
    orders = {path.split("/")[1] for path in tree["states"][run["state"]] if path.startswith("orders/")}
    assert len(orders) == 2 and not run["passed"]


def test_the_funnel_narrows_and_adds_up():
    funnel, habits = FILES["funnel"]["funnel"], FILES["funnel"]["habits"]
    assert funnel["made"] == trajectories.BATCH > funnel["valid"] > funnel["passed"] >= funnel["kept"] > 100
    assert funnel["kept"] == funnel["passed"] - funnel["long"] - funnel["twice"]
    assert sum(habit["made"] for habit in habits.values()) == funnel["made"]
    assert sum(habit["passed"] for habit in habits.values()) == funnel["passed"]
    assert habits["only says"]["false"] > habits["only says"]["made"] / 2 and habits["careful"]["false"] == 0
