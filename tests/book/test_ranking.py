"""The chapter on the scoreboard, in a browser with the network cut: the machine under a hand, and tables that fit."""

import pytest

from kimi_mini.evals.reported import DISCREPANCIES, TABLES, mean_of
from kimi_mini.viz import ranking

PAGE = "book/ranking.html"
PHONE = 360

pytestmark = pytest.mark.browser


@pytest.fixture
def machine(visual_at):
    def open_machine(**look):
        shown = visual_at(PAGE, "ranking-machine", **look)
        shown.control("skip").click()
        return shown

    return open_machine


def test_the_order_waits_for_a_guess(visual_at):
    shown = visual_at(PAGE, "ranking-machine")
    assert shown.control("swe").is_visible() is False and shown.control("mean").count() == 0
    shown.lock(steps=3, confidence=50)
    assert "Kimi K2 in 816, Claude Opus 4 in 197, Claude Sonnet 4 in 5, GPT-4.1 in 1" in shown.root.inner_text()
    assert shown.control("swe").is_visible()


def test_a_chip_and_the_mean_change_the_number(machine):
    shown = machine()
    assert shown.value("mean-k2") == pytest.approx(mean_of(ranking.CHIPS, "k2"))
    for row in ranking.CHIPS:
        if row not in ranking.TAU2:
            shown.control(row.key).click()
    assert shown.value("mean-k2") == pytest.approx(64.3)
    shown.choose("mean", "weighted")
    assert round(shown.value("mean-k2"), 1) == 66.1 and shown.root.get_attribute("data-value-first") == "opus"


def test_every_table_is_on_the_page_with_its_stars_and_daggers(page_at):
    page = page_at(PAGE)
    tables = page.locator(".km-figures")
    texts = [tables.nth(place).inner_text() for place in range(tables.count())]
    assert all(row.name in "".join(texts) for table in TABLES.values() for row in table.rows)
    assert "72.7*" in texts[0] and "61.70\u2020" in texts[2] and "24.57\u2020" in texts[2]
    assert all(each.what in "".join(texts) for each in DISCREPANCIES)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(machine, dark):
    shown = machine(width=PHONE, dark=dark)
    shown.check_fits(PHONE)
    for button in shown.root.locator(".km-shelf button").all():
        assert button.bounding_box()["height"] >= 44
    ink, ground = shown.page.evaluate(
        """() => { const cell = getComputedStyle(document.querySelector(".km-figures td"));
                   return [cell.color, cell.backgroundColor]; }"""
    )
    light = [sum(map(int, colour.strip("rgba()").split(",")[:3])) for colour in (ink, ground)]
    assert abs(light[0] - light[1]) > 400, "the ink of a cell stands out from its ground"
