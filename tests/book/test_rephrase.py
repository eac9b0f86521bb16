"""Saying it ten ways, in a browser without network: every control is moved, the numbers that follow are recorded ones."""

import json

import numpy as np
import pytest

from kimi_mini.corpus.villages import LEVELS, VALUES
from kimi_mini.dev import ROOT
from kimi_mini.viz import rephrase

PAGE = "book/rephrase.html"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def rows():
    return rephrase.load_runs(ROOT / "book" / "data" / "rephrase")


@pytest.fixture
def asked(visual_at):
    def open_asked(reveal=True, **look):
        asked = visual_at(PAGE, "rephrase-askings", **look)
        if reveal:
            asked.control("skip").click()
        return asked

    return open_asked


def agrees(asked, rows, level, reading):
    for student in rephrase.STUDENTS:
        mine = rephrase.pick(rows, student=student, readings=40)
        place = mine[0].at(reading)
        assert asked.value(student) == pytest.approx(np.mean([r.probability[place, level].mean() for r in mine]), abs=1e-3)
        assert asked.value(f"{student}-loss") == pytest.approx(np.mean([r.loss(reading) for r in mine]), abs=1e-3)
        right, total = rephrase.counted(rows, student, level, reading, readings=40)
        assert f"wrote {right} of {total}" in asked.root.get_attribute("data-value-written")
    return True


def test_nothing_is_shown_before_a_guess(asked, rows):
    covered = asked(reveal=False)
    assert agrees(covered, rows, 0, 40) and covered.control("wording").count() == 0
    covered.lock(steps=5, confidence=90)
    assert "Your guess: 68\u00a0%, 90\u00a0% sure. It is 85\u00a0%" in covered.root.locator(".km-guess").inner_text()
    assert "your guess" in covered.labels and agrees(covered, rows, 1, 40)


def test_wordings_and_readings_are_the_recorded_ones(asked, rows):
    shown = asked()
    shown.press("wording", "Home")
    for level, name in enumerate(LEVELS):
        assert shown.title.lower().startswith(name) and agrees(shown, rows, level, 40)
        shown.press("wording", "ArrowRight")
    for reading in (30, 20, 10):
        shown.press("readings", "ArrowLeft")
        assert agrees(shown, rows, 4, reading)


def test_a_single_fact_is_that_of_the_first_seed(asked, rows):
    shown = asked()
    data = json.loads(shown.root.locator("script").text_content())
    fact = 7
    name, kind = (data["facts"][fact][key] for key in ("village", "kind"))
    assert kind == list(VALUES)[fact % 4]
    shown.control("fact").select_option(f"{name}: {kind}")
    for student in rephrase.STUDENTS:
        (row,) = rephrase.pick(rows, student=student, readings=40, seed=0)
        assert shown.value(student) == pytest.approx(row.probability[-1, 1, fact], abs=1e-3)
    assert name in shown.root.locator(".km-asked").inner_text()


def test_one_cut_loses_the_name_for_good(visual_at):
    chunks = visual_at(PAGE, "rephrase-chunks")
    assert chunks.value("named") == chunks.value("chunks") == 6 and chunks.control("cut").count() == 0
    chunks.lock(steps=0, confidence=50)
    assert chunks.value("named") == 2 and "2 of 6." in chunks.root.locator(".km-guess").inner_text()
    for cut in range(4, 7):
        chunks.press("cut", "ArrowRight")
        assert chunks.value("named") == cut - 1
        assert chunks.root.locator("mark.km-lost").count() == 7 - cut
    chunks.press("cut", "Home")
    assert chunks.value("named") == 6 and chunks.root.locator("mark.km-lost").count() == 0


def test_the_page_fits_a_phone(asked):
    shown = asked(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    shown.press("wording", "ArrowRight")
    assert shown.value("level") == 2
