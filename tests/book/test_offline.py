"""Every built page works from a folder on disk: no request leaves it, nothing errs, it fits a phone, search answers."""

import re

import pytest
import yaml

from kimi_mini.dev import ROOT

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PHONE = 360
ADDRESSES_THAT_LOAD = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|link)\b[^>]*\b(?:src|href)=["'](?:https?:)?//[^"']+"""
)


def _chapters(entry=TOC):
    """Pages of the table of contents, in reading order."""
    pages = [f"{entry[key]}.html" for key in ("root", "file") if key in entry]
    for part in entry.get("parts", []) + entry.get("chapters", []) + entry.get("sections", []):
        pages += _chapters(part)
    return pages


CHAPTERS = _chapters()
PAGES = [*CHAPTERS, "index.html", "search.html", "genindex.html", "_modules/index.html", "_modules/kimi_mini/config.html"]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", PAGES)
def test_a_page_stays_offline_and_errs_nowhere(page_at, path):
    page_at(path).wait_for_load_state("networkidle")


def test_a_page_that_misbehaves_is_caught(page_at, complaints, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('logged'); throw new Error('raised')</script>")
    page_at(bad).wait_for_load_state("networkidle")
    text = "\n".join(complaints)
    assert "asked for http://127.0.0.1:9/x.png" in text and "logged: logged" in text and "raised: raised" in text
    complaints.clear()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone(page_at, path):
    page = page_at(path, width=PHONE)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_no_page_names_a_thing_to_load_from_elsewhere(built_book):
    """Also what a click or a slow machine would load later."""
    pages = [path for path in built_book.rglob("*.html") if "_static" not in path.parts]
    found = {path.name: ADDRESSES_THAT_LOAD.findall(path.read_text(encoding="utf-8")) for path in pages}
    assert {name: links for name, links in found.items() if links} == {}
    modules = [path.name for path in pages if re.search(r"""type=["']?module""", path.read_text(encoding="utf-8"))]
    assert modules == []


def test_no_page_links_to_a_repository_while_none_is_set(built_book):
    if yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]:
        pytest.skip("the repository's address is set")
    linked = [
        p.name for p in built_book.rglob("*.html") if re.search(r'href="https?://(www\.)?git(hub|lab)\.com', p.read_text())
    ]
    assert linked == []


def test_internal_links_lead_to_pages_and_lines_that_exist(built_book):
    missing = set()
    for chapter in CHAPTERS:
        page = built_book / chapter
        for link in re.findall(r'<a [^>]*\bhref="([^"#?:]+\.html)(#[^"]*)?"', page.read_text(encoding="utf-8")):
            target = (page.parent / link[0]).resolve()
            if not target.exists() or (link[1] and f'id="{link[1][1:]}"' not in target.read_text(encoding="utf-8")):
                missing.add(f"{chapter} -> {link[0]}{link[1]}")
    assert missing == set()


def test_search_finds_a_word_and_leads_to_its_page(page_at):
    page = page_at("search.html", query="?q=miniature")
    results = page.locator("#search-results li a")
    page.get_by_text("Search finished").wait_for()  # results come one by one, the summary last
    results.first.click()
    page.wait_for_url(re.compile(r"/book/\w+\.html"))
    assert "miniature" in page.inner_text("main").lower()


def test_the_search_field_of_a_chapter_opens_the_results(page_at):
    page = page_at("book/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("mixture")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"search\.html\?q=mixture"))
    page.locator("#search-results li a").first.wait_for()


@pytest.mark.parametrize("path", CHAPTERS)
def test_the_switch_changes_the_colours_and_is_remembered(page_at, path):
    page = page_at(path)
    seen = {}
    for _ in range(3):
        page.locator(".theme-switch-button").first.click()
        seen[page.evaluate("document.documentElement.dataset.mode")] = _background(page)
    assert set(seen) == {"light", "dark", "auto"}
    assert seen["light"] == seen["auto"] != seen["dark"]
    while page.evaluate("document.documentElement.dataset.mode") != "dark":
        page.locator(".theme-switch-button").first.click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_system_setting_decides_until_the_reader_does(page_at):
    assert _background(page_at("book/index.html", dark=True)) != _background(page_at("book/index.html"))


def test_icons_are_drawn(page_at):
    """An icon whose font was refused is an empty box of the fallback font."""
    page = page_at("book/index.html")
    page.wait_for_function("document.fonts.status === 'loaded'")
    assert page.evaluate("document.fonts.check('900 16px \"Font Awesome 6 Free\"')")
    loaded = page.evaluate("[...document.fonts].filter(font => font.status === 'loaded').map(font => font.family)")
    assert any("Font Awesome 6 Free" in family for family in loaded)


def test_a_link_into_the_source_marks_its_line(page_at):
    page = page_at("book/index.html")
    page.locator("a.km-src", has_text="ModelConfig").click()
    marked = page.locator(".km-line:target")
    marked.wait_for()
    assert "class ModelConfig" in marked.inner_text()
    assert marked.bounding_box()["y"] > 0


def _background(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")
