"""The built book in a headless Chromium, from disk, with the network cut. Shared by every browser test.

`make test` builds the book before these tests and names it in KIMI_BOOK_BUILT; run alone, they build it themselves.
"""

import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from kimi_mini import dev

LOCAL_SCHEMES = ("file:", "data:", "blob:", "about:")


class Visual:
    """One visual on the page: its controls by name, its numbers as the test hook writes them."""

    def __init__(self, page, name):
        self.page, self.root = page, page.locator(f"#km-{name}")
        page.wait_for_selector(f"#km-{name}.km-alive")

    def control(self, name):
        return self.root.locator(f"[data-control={name}]")

    def value(self, name):
        return float(self.root.get_attribute(f"data-value-{name}"))

    def choose(self, name, option):
        self.root.locator(f"[data-control={name}][value='{option}']").check(force=True)

    def press(self, name, *keys):
        self.control(name).focus()
        for key in keys:
            self.page.keyboard.press(key)

    def lock(self, steps=0, confidence=70):
        self.press("guess", *["ArrowRight"] * steps)
        self.choose("confidence", confidence)
        self.control("lock").click()

    def check_fits(self, width):
        """Nothing makes the page wider than `width`, and no label of the picture leaves it."""
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
        for text in self.root.locator(".km-picture text").all():
            edges = text.bounding_box()
            assert edges["x"] >= 0 and edges["x"] + edges["width"] <= width, text.text_content()

    @property
    def title(self):
        return self.root.locator(".km-title").inner_text()

    @property
    def labels(self):
        """All text written on the marks."""
        return self.root.locator(".km-picture svg").text_content()


@pytest.fixture(scope="session")
def built_book():
    """Folder of the built pages."""
    if "KIMI_BOOK_BUILT" in os.environ:
        return Path(os.environ["KIMI_BOOK_BUILT"])
    lock = dev.ROOT / "_build" / "book.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):  # several test processes, one build; unchanged pages are not built again
        dev.build_book(sys.executable)
    return dev.FIRST_PAGE.parent


@pytest.fixture
def complaints():
    """What the pages of one test did wrong; page_at fills it and fails the test unless it ends empty."""
    return []


@pytest.fixture
def page_at(chromium, built_book, complaints):
    """`page_at("book/index.html", dark=False, width=1280)` opens a page of the book as a playwright Page.

    The network is cut. When the test ends, it fails if any page asked for anything outside its folder, wrote an
    error to the console, or raised one.
    """
    contexts = []

    def open_page(path, *, dark=False, width=1280, height=900, query=""):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: _is_local(request.url) or complaints.append(f"{path} asked for {request.url}"))
        page.on("console", lambda message: message.type == "error" and complaints.append(f"{path} logged: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{path} raised: {error}"))
        page.goto((built_book / path).as_uri() + query, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def visual_at(page_at):
    """`visual_at("book/glance.html", "glance-pixels", dark=True)` opens a page and returns one of its visuals."""
    return lambda path, name, **look: Visual(page_at(path, **look), name)


def _is_local(url: str) -> bool:
    return url.startswith(LOCAL_SCHEMES)
