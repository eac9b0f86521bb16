"""The live face of a visual, an iframe with everything inside, answers to keys with no page around it."""

import pytest

import kimi_mini as km
from kimi_mini import accounting
from kimi_mini.dev import ROOT
from kimi_mini.presets import K2
from kimi_mini.viz import glance, touch

pytestmark = pytest.mark.browser


@pytest.fixture
def notebook(chromium, tmp_path, monkeypatch):
    """`notebook(visual, body="")` opens the visual as a notebook would show it; returns its frame."""
    monkeypatch.delenv("KIMI_BOOK", raising=False)
    complaints = []
    context = chromium.new_context(offline=True, reduced_motion="reduce")
    page = context.new_page()
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def open_page(visual, body=""):
        path = tmp_path / "notebook.html"
        path.write_text(f"<!doctype html><meta charset='utf-8'><body {body}>{visual._repr_html_()}", encoding="utf-8")
        page.goto(path.as_uri())
        frame = page.frames[1]
        frame.wait_for_selector(".km-alive")
        return frame

    open_page.complaints = complaints
    yield open_page
    context.close()
    assert complaints == []


def test_keys_move_the_number(notebook):
    frame = notebook(glance.cache_sizes())
    frame.locator("[data-control=context]").press("ArrowLeft")
    assert int(frame.locator(".km-stage").get_attribute("data-value-mla")) == accounting.cache_bytes(K2, 131072 // 2)


def test_a_frame_grows_with_its_table_and_shrinks_again(notebook):
    frame = notebook(glance.cache_sizes())
    height = lambda: frame.frame_element().bounding_box()["height"]  # noqa: E731
    frame.page.wait_for_timeout(200)
    before = height()
    button = frame.get_by_role("button", name="table")
    button.click()
    frame.page.wait_for_function("before => document.querySelector('iframe').offsetHeight > before + 50", arg=before)
    button.click()
    frame.page.wait_for_function("before => document.querySelector('iframe').offsetHeight === before", arg=round(before))


@pytest.mark.parametrize(("body", "theme"), [('data-jp-theme-light="false"', "dark"), ('data-jp-theme-light="true"', "light")])
def test_the_notebooks_theme_is_taken_over(notebook, body, theme):
    assert notebook(glance.cache_sizes(), body).locator("html").get_attribute("data-theme") == theme


def test_a_visual_that_breaks_falls_back_to_its_still_and_says_so(notebook):
    frame = notebook(glance.cache_sizes())
    assert not frame.locator(".km-still").is_visible()
    frame.evaluate("KM.stages[0].spec.draw = () => { throw new Error('out of ink'); }; KM.stages[0].update()")
    assert frame.locator(".km-still svg").is_visible() and not frame.locator(".km-picture").is_visible()
    assert "out of ink" in frame.locator(".km-failed").inner_text()
    notebook.complaints.clear()


def test_there_is_no_link_where_there_is_no_address(notebook):
    names = notebook(glance.cache_sizes()).locator(".km-row button").all_inner_texts()
    assert names == ["table", "code", "reset"]


def test_the_model_s_frame_has_no_weights_and_shows_recordings(notebook):
    model, tokenizer = km.load_mini()
    measured = touch.load_ablation(ROOT / "book" / "data" / "ablation.json")
    frame = notebook(touch.touch(model, tokenizer, measured))
    root = frame.locator("#km-touch")
    tokens = int(root.get_attribute("data-value-tokens"))
    assert "recorded sentences" in frame.locator(".km-touch-status").inner_text()
    frame.locator("[data-control=write]").click()
    frame.wait_for_selector(f"#km-touch[data-value-tokens='{tokens + 1}']")
    assert frame.locator("[data-control=text]").get_attribute("readonly") is not None
