"""The page for a term, in a browser: its links open, notebooks come down, and it fits a phone."""

import pytest

from labs.course import find, term

PAGE = "book/term.html"
PHONE = 360

pytestmark = pytest.mark.browser


def test_every_written_chapter_has_a_link_that_opens(page_at, built_book):
    page = page_at(PAGE)
    links = page.locator("article table a.internal, article ul a.internal").evaluate_all("all => all.map(a => a.href)")
    pages = {link.rsplit("/", 1)[1].removesuffix(".html") for link in links if link.endswith(".html")}
    assert pages == set(term.written_chapters().values())
    assert all((built_book / "book" / f"{name}.html").is_file() for name in pages)


def test_every_lab_that_is_there_comes_down(page_at, built_book):
    links = page_at(PAGE).locator("article a.download").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert [link.rsplit("/", 1)[1] for link in links] == [f"{name}.ipynb" for name in find.lab_names()]
    assert all((built_book / "book" / link).resolve().is_file() for link in links)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(page_at, dark):
    page = page_at(PAGE, width=PHONE, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
