"""The gap, in a browser with the network cut: the truth is covered until the flag stands, then all is as recorded."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import critic

PAGE = "book/critic.html"
PHONE = 360

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs():
    return critic.load_critic(ROOT / "book" / "data" / "critic")


def test_the_truth_is_covered_until_the_flag_stands(visual_at, runs):
    frozen = runs["frozen"][0]
    shown = visual_at(PAGE, "critic-gap")
    assert shown.root.get_attribute("data-value-truth") == "" == shown.root.get_attribute("data-value-peak")
    assert "the truth is covered" in shown.labels and shown.control("setting").count() == 0
    assert "covered" in shown.root.locator(".km-gap-card").inner_text()
    shown.press("guess", *["ArrowLeft"] * 3)
    assert shown.value("flag") == frozen.step[-4]
    shown.lock(confidence=50)
    assert f"The truth was highest at step {frozen.peak}" in shown.root.locator(".km-guess").inner_text()
    assert shown.value("peak") == frozen.peak and shown.value("flag") == frozen.step[-4] and "your flag" in shown.labels


def test_the_flag_can_be_dragged_in_the_picture(visual_at, runs):
    shown = visual_at(PAGE, "critic-gap")
    box = shown.root.locator(".km-picture").bounding_box()
    shown.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 60)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + 8, box["y"] + 60, steps=4)
    shown.page.mouse.up()
    assert shown.value("flag") == 0 and shown.control("guess").input_value() == "0"


def test_every_setting_and_seed_reads_as_recorded(visual_at, runs):
    shown = visual_at(PAGE, "critic-gap")
    shown.control("skip").click()
    for setting, seeds in runs.items():
        shown.control("setting").select_option(setting)
        for seed, run in seeds.items():
            shown.control("seed").select_option(str(seed))
            shown.press("step", "Home")
            for place in (0, 1):
                assert shown.value("score") == pytest.approx(run.values["score"][place])
                assert shown.value("truth") == pytest.approx(run.values["truth"][place])
                assert shown.value("praise") == pytest.approx(run.values["praise"][place])
                assert run.best[place]["text"] in shown.root.locator(".km-gap-text").inner_text()
                shown.press("step", "ArrowRight")
        assert critic.SETTINGS[setting] in shown.title


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(visual_at, dark):
    shown = visual_at(PAGE, "critic-gap", width=PHONE, dark=dark)
    shown.control("skip").click()
    shown.check_fits(PHONE)
