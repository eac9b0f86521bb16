"""The scoreboard page, in a browser: as many rows as claims, the register's own counts, and it fits a phone."""

import pytest

from kimi_mini.claims import CLAIMS, count_outcomes

PAGE = "book/scoreboard.html"
PHONE = 360

pytestmark = pytest.mark.browser


def test_one_row_for_each_claim_as_the_register_has_it(page_at):
    rows = page_at(PAGE).locator(".km-board tbody tr")
    assert rows.count() == len(CLAIMS) == 33
    for row, claim in zip(rows.all(), CLAIMS, strict=True):
        cells = row.locator("td").all_inner_texts()
        assert cells[0] == str(claim.number)
        assert claim.title in cells[1] and claim.claim in cells[1] and claim.note in cells[1]
        assert cells[2] == claim.source
        assert cells[3].strip() == claim.outcome and row.locator("svg").count() == 1
        assert tuple(cells[4].split()) == (claim.evidence or ("none", "yet"))
        assert cells[5] == f"{claim.chapter.number}. {claim.chapter.title}"


def test_the_counts_are_the_registers(page_at):
    page = page_at(PAGE)
    said = page.locator(".km-board-count").inner_text()
    assert said.startswith("Of 33 claims: ")
    for outcome, number in count_outcomes().items():
        assert f" {number} {outcome}" in said
        assert page.locator(f"tr[data-outcome='{outcome}']").count() == number


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(page_at, dark):
    page = page_at(PAGE, width=PHONE, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    for box in page.locator(".km-board td").all():
        edges = box.bounding_box()
        assert edges["x"] >= 0 and edges["x"] + edges["width"] <= PHONE


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_takes_the_ink_of_the_page(page_at, dark):
    page = page_at(PAGE, dark=dark)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'")
    colour = "node => getComputedStyle(node).color"
    ink = page.locator("#scoreboard > p").first.evaluate(colour)
    assert page.locator(".km-board td").first.evaluate(colour) == ink
    ground = page.locator(".text_html:has(.km-board table)").evaluate("node => getComputedStyle(node).backgroundColor")
    assert ground == "rgba(0, 0, 0, 0)", "the theme's light ground for outputs is taken away"
