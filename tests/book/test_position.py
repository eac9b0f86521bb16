"""*Where is a word?*, in a browser with the network cut: every control is moved, and what follows is the package's number."""

import json
import math

import pytest

import kimi_mini as km
from kimi_mini.dev import ROOT
from kimi_mini.model.rope import rope_frequencies
from kimi_mini.viz import position

PAGE = "book/position.html"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recording():
    return position.load_recording(ROOT / "book" / "data" / "position")


@pytest.fixture
def clocks(visual_at):
    def open_clocks(reveal=True, **look):
        clocks = visual_at(PAGE, "position-clocks", **look)
        if reveal:
            clocks.control("skip").click()
        return clocks

    return open_clocks


def agrees(clocks, config, recording, reading="yarn"):
    """The page's numbers at its position are those of `config`, and its losses those of the recording."""
    at = int(clocks.root.get_attribute("data-state-position"))
    place = next(i for i, (_, last) in enumerate(recording.buckets) if last * 4096 >= at)
    plain_P, freq_P = rope_frequencies(config.replace(rope_scaling=None)), rope_frequencies(config)
    assert clocks.value("outside") == position.outside(config, at)
    assert clocks.value("slowed") == int((freq_P < plain_P).sum())
    assert clocks.value("slowest") == pytest.approx(float(freq_P[-1]) * at / (2 * math.pi), rel=1e-9)
    assert clocks.value("plain-loss") == pytest.approx(recording.excess("plain")[:, place].mean(), abs=1e-4)
    assert clocks.value("yarn-loss") == pytest.approx(recording.excess(reading)[:, place].mean(), abs=1e-4)
    return True


def test_nothing_is_shaded_before_a_guess(clocks):
    covered = clocks(reveal=False)
    assert covered.root.locator(".km-seen").count() == 0 and "Measured" not in covered.labels
    assert covered.control("yarn").count() == 0
    covered.press("position", "Home")
    assert covered.value("slowest") == 0 and "Position 0." in covered.title
    covered.lock(steps=3, confidence=90)
    assert "Your guess: 19 of 32, 90\u00a0% sure. 20 of K2's do" in covered.root.locator(".km-guess").inner_text()
    assert covered.root.locator(".km-seen").count() == 32 and covered.value("full") == 20
    assert covered.root.locator(".km-flag").count() == 2, "the guess stays drawn, beside the cursor of the chart"


def test_the_position_moves_every_hand_as_the_package_does(clocks, recording):
    plain = km.K2.replace(rope_scaling=None)
    shown = clocks()
    assert agrees(shown, plain, recording) and shown.value("outside") == 9
    for keys in (["ArrowLeft"] * 8, ["ArrowLeft"] * 24, ["ArrowLeft"] * 8, ["Home"]):
        shown.press("position", *keys)
        assert agrees(shown, plain, recording)
    assert shown.root.get_attribute("data-state-position") == "0"
    shown.press("position", "ArrowRight")
    assert shown.root.get_attribute("data-state-position") == "1"


def test_yarn_and_the_ramp_of_the_other_model(clocks, recording):
    shown = clocks()
    shown.choose("yarn", "on")
    assert agrees(shown, km.K2, recording) and shown.value("outside") == 0 and shown.value("slowed") == 12
    assert "clocks 20 to 31" in shown.root.locator(".km-note").inner_text()
    shown.control("model").select_option("DEEPSEEK_V3")
    assert agrees(shown, km.DEEPSEEK_V3, recording, "yarn with V3's ramp") and shown.value("slowed") == 21
    assert shown.value("full") == 23 and "V3's ramp" in shown.labels


def test_the_table_has_a_row_per_clock(clocks):
    shown = clocks()
    shown.root.get_by_role("button", name="table").click()
    rows = shown.root.locator(".km-drawer tbody tr")
    assert rows.count() == 32
    assert rows.nth(31).locator("td").all_inner_texts()[4] == "yes" and rows.nth(0).locator("td").all_inner_texts()[4] == "no"


def test_the_wrong_layout_is_guessed_and_its_logits_look_well(visual_at):
    layout = visual_at(PAGE, "position-layout")
    data = json.loads(layout.root.locator("script").text_content())
    (asked,) = (domain for domain in data["domains"] if domain["name"] == data["asked"])
    assert "wrong" not in layout.labels
    layout.lock(steps=4)
    assert f"It is {asked['wrong']:.2f}" in layout.root.locator(".km-guess").inner_text()
    assert (layout.value("right"), layout.value("wrong")) == (asked["right"], asked["wrong"])
    assert layout.labels.count("wrong") == 5
    layout.choose("show", "logit")
    assert (layout.value("right"), layout.value("wrong")) == (asked["right_logit"], asked["wrong_logit"])
    assert "No alarm" in layout.title


def test_the_page_fits_a_phone(clocks):
    shown = clocks(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    shown.choose("yarn", "on")
    assert shown.value("outside") == 0
