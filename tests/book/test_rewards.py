"""The page on verifiable rewards, in a browser with the network cut: cards and scrubber show what was recorded."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import rewards

PAGE = "book/rewards.html"
PHONE = 360

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recording():
    return rewards.load_recording(ROOT / "book" / "data" / "climb")


def test_the_cards_show_the_recorded_answers_and_their_pushes(visual_at, recording):
    shown = visual_at(PAGE, "rewards-cards")
    shown.control("skip").click()
    for step in ("Home", "End"):
        shown.press("checkpoint", step)
        group = recording.groups[0 if step == "Home" else -1]
        assert [card.inner_text() for card in shown.root.locator(".km-card-text").all()] == [a.text for a in group.answers]
        ratios = [answer.new - answer.old for answer in group.answers]
        expected = rewards.pushes([answer.reward for answer in group.answers], ratios, recording.config["tau"])
        assert [shown.value(f"push{number}") for number in range(1, 9)] == pytest.approx(expected.tolist(), abs=1e-6)


def test_one_failure_bears_as_much_as_the_other_seven(visual_at):
    shown = visual_at(PAGE, "rewards-cards")
    shown.lock(steps=6)
    shown.press("tau", "Home")
    shown.choose("marks", "one")
    assert shown.value("push1") == -7 / 8 and "as hard as the other 7 together" in shown.title
    shown.choose("marks", "all")
    assert shown.value("total") == 0 and "every arrow vanishes" in shown.title


def test_the_scrubber_reads_every_seed(visual_at, recording):
    shown = visual_at(PAGE, "rewards-run")
    assert shown.control("step").count() == 0
    shown.control("skip").click()
    for seed, run in recording.climbs.items():
        shown.control("run").select_option(run.key)
        shown.press("step", "End")
        assert shown.value("reward") == pytest.approx(run.reward[-1], rel=1e-2)
        assert shown.value("held") == pytest.approx(run.held[-1][1] / run.problems) and shown.value("held-step") == run.steps
        assert run.samples[-1].text in shown.root.locator(".km-run-sample").inner_text(), seed


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["rewards-cards", "rewards-run"])
def test_it_fits_a_phone(visual_at, name, dark):
    shown = visual_at(PAGE, name, width=PHONE, dark=dark)
    shown.control("skip").click()
    shown.check_fits(PHONE)
