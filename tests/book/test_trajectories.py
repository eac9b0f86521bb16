"""Tools and trajectories, in a browser without network: every flip leads to the recorded run and its verdict."""

import json

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import whatif

PAGE = "book/trajectories.html"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def trees():
    return {(tree["server"], tree["habit"]): tree for tree in whatif.load_trees(ROOT / "book" / "data" / "trajectories")}


@pytest.fixture
def player(visual_at):
    def open_player(reveal=True, **look):
        player = visual_at(PAGE, "trajectories-what-if", **look)
        if reveal:
            player.control("skip").click()
        return player

    return open_player


def agrees(player, tree, flips):
    run = tree["runs"][flips]
    failed = [place for place in run["items"] if not tree["items"][place]["passed"]]
    assert player.root.get_attribute("data-state-flips") == flips
    assert (player.value("failed"), player.value("items")) == (len(failed), len(run["items"]))
    assert player.root.locator(".km-film li").count() == len(run["frames"])
    assert player.root.locator(".km-rubric .km-failed-item").count() == len(failed)
    last = tree["frames"][run["frames"][-1]]["text"]
    assert last in player.title and last in player.root.locator(".km-film li").last.inner_text()
    return True


def test_nothing_can_be_flipped_before_a_guess(player, trees):
    covered = player(reveal=False)
    assert agrees(covered, trees["shop", "believes failures"], "") and covered.control("habit").count() == 0
    assert covered.root.locator(".km-film button:enabled").count() == 0
    covered.lock(steps=3, confidence=50)
    assert agrees(covered, trees["shop", "believes failures"], "2:error")
    assert "4 of 11." in covered.root.locator(".km-guess").inner_text()
    flipped, film = (covered.root.locator(which).bounding_box() for which in (".km-film-flipped", ".km-film"))
    assert film["x"] - 1 <= flipped["x"] < film["x"] + film["width"], "the flipped frame is in sight"


def test_each_flip_shows_the_recorded_run(player, trees):
    shown = player()
    tree = trees["shop", "believes failures"]
    shown.control("call-2-success").click()
    assert agrees(shown, tree, "") and shown.value("failed") == 0
    for number, outcome, flips in (
        (0, "error", "0:error"),
        (1, "partial", "0:error,1:partial"),
        (0, "malformed", "0:malformed"),
    ):
        shown.control(f"call-{number}-{outcome}").click()
        assert agrees(shown, tree, flips)


def test_after_two_flips_no_third_is_offered(player, trees):
    shown = player()
    shown.control("call-0-error").click()
    shown.control("call-1-error").click()
    assert shown.control("call-2-error").is_disabled() and shown.control("call-0-success").is_enabled()


def test_other_agents_and_worlds_are_theirs(player, trees):
    shown = player()
    shown.choose("habit", "careful")
    assert agrees(shown, trees["shop", "careful"], "2:error")
    shown.control("server").select_option("calendar")
    assert trees["calendar", "careful"]["frames"][0]["text"] in shown.root.locator(".km-film li").first.inner_text()


def test_the_funnel_is_the_batch(player):
    funnel = json.loads((ROOT / "book" / "data" / "trajectories" / "funnel.json").read_text())["funnel"]
    shown = player()
    for name in ("made", "valid", "passed", "kept"):
        assert shown.value(name) == funnel[name] and f"{name} {funnel[name]}" in shown.labels


def test_the_page_fits_a_phone(player):
    shown = player(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
