"""The what-if player holds recorded runs only, every flip of the page leads to one, and what is missing is refused."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.tools import OUTCOMES
from kimi_mini.viz import whatif

FOLDER = ROOT / "book" / "data" / "trajectories"


@pytest.fixture(scope="module")
def trees():
    return whatif.load_trees(FOLDER)


def test_every_run_of_the_page_is_a_recorded_one(trees):
    shown = whatif.what_if(trees, whatif.load_funnel(FOLDER)).data["trees"]
    assert [(tree["server"], tree["habit"]) for tree in shown] == [(tree["server"], tree["habit"]) for tree in trees]
    for small, whole in zip(shown, trees, strict=True):
        for flips, run in small["runs"].items():
            recorded = whole["runs"][flips]
            assert [small["frames"][i] for i in run["frames"]] == [whole["frames"][i] for i in recorded["frames"]]
            assert [small["items"][i] for i in run["items"]] == [whole["items"][i] for i in recorded["items"]]
            assert run["passed"] == all(small["items"][i]["passed"] for i in run["items"])


def test_each_flip_leads_to_a_run_until_two_are_made(trees):
    for small in whatif.what_if(trees, whatif.load_funnel(FOLDER)).data["trees"]:
        for flips, run in small["runs"].items():
            made = flips.split(",") if flips else []
            for number in range(len(run["calls"])):
                before = [flip for flip in made if int(flip.split(":")[0]) < number]
                for outcome in OUTCOMES[1:]:
                    target = ",".join([*before, f"{number}:{outcome}"])
                    assert (target in small["runs"]) == (len(before) < whatif.FLIPS)


def test_the_opening_says_what_its_run_says(trees):
    figure = whatif.what_if(trees, whatif.load_funnel(FOLDER))
    assert "the agent says it is done" in figure.title and "is ordered" in figure.still
    tree = next(t for t in trees if (t["server"], t["habit"]) == ("shop", "believes failures"))
    items = [tree["items"][place] for place in tree["runs"]["2:error"]["items"]]
    assert f"{sum(not item['passed'] for item in items)} of {len(items)} items" in figure.title
    assert any(item["kind"] == "report" and not item["passed"] for item in items)


def test_a_missing_tree_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"shop-careful\.json"):
        whatif.load_trees(tmp_path)
