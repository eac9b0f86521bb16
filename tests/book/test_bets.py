"""The two bets in a browser with the network cut: every control is moved, and the number that follows is the package's."""

import pytest

import kimi_mini as km
from kimi_mini.accounting import count_parameters, decode_flops
from kimi_mini.dev import ROOT
from kimi_mini.viz import bets

PAGE = "book/bets.html"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shapes():
    return bets.load_shapes(ROOT / "book" / "data" / "bets")


@pytest.fixture
def desk(visual_at):
    def open_desk(**look):
        shown = visual_at(PAGE, "bets-desk", **look)
        shown.control("skip").click()
        return shown

    return open_desk


def holds(shown, shapes, experts, heads, context):
    """The needles stand at what was recorded and at what accounting counts."""
    config = shapes[16, 8].config.replace(n_routed_experts=experts, num_attention_heads=heads)
    assert shown.value("work") == decode_flops(config, context).total
    assert shown.value("bytes") == 2 * count_parameters(config).total
    shape = shapes.get((experts, heads))
    if shape is None:
        assert shown.root.get_attribute("data-value-loss") == "" == shown.root.get_attribute("data-value-reach")
        assert "not run" in shown.title and "not run" in shown.labels
    else:
        assert shown.value("loss") == pytest.approx(shape.loss_SB[:, -1].mean())
        assert shown.value("reach") == pytest.approx(shape.to_reach(bets.target_loss(shapes)).mean(), rel=1e-4)
    return True


def test_loss_waits_for_a_guess_that_stays_on_its_line(visual_at, shapes):
    shown = visual_at(PAGE, "bets-desk")
    assert "guess first" in shown.labels and shown.control("experts").count() == 0 and "And the loss?" in shown.title
    shown.lock(steps=2, confidence=90)
    least, most = (shapes[experts, 8].loss_SB[:, -1].mean() for experts in (4, 64))
    text = shown.root.locator(".km-guess").inner_text()
    assert "Your guess: 11.0\u00a0%, 90\u00a0% sure." in text and f"{100 * (1 - most / least):.1f}\u00a0% lower" in text
    assert "your guess" in shown.labels and holds(shown, shapes, 64, 8, 512)


def test_dials_snap_to_what_was_run_and_say_where_nothing_was(desk, shapes):
    shown = desk()
    shown.press("experts", "Home")
    for experts in (4, 8, 16, 32, 64):
        assert holds(shown, shapes, experts, 8, 512)
        shown.press("experts", "ArrowRight")
    shown.press("heads", "End")
    assert holds(shown, shapes, 64, 16, 512)
    shown.press("experts", "ArrowLeft", "ArrowLeft")
    assert holds(shown, shapes, 16, 16, 512)
    shown.press("heads", "Home")
    assert holds(shown, shapes, 16, 4, 512)
    shown.press("context", "Home")
    for context in bets.DESK_CONTEXTS:
        assert holds(shown, shapes, 16, 4, context)
        shown.press("context", "ArrowRight")


def test_every_convention_at_every_context(visual_at):
    shown = visual_at(PAGE, "bets-doubling")
    assert shown.control("context").count() == 0
    shown.lock(steps=5, confidence=50)
    assert "Your guess: 30\u00a0% more, 50\u00a0% sure. 83\u00a0% more" in shown.root.locator(".km-guess").inner_text()
    for convention in bets.CONVENTIONS:
        shown.control("convention").select_option(convention)
        shown.press("context", "Home")
        for context in bets.CONTEXTS:
            more = bets.extra_work(km.K2, context, convention)
            assert shown.value("extra") == pytest.approx(more) and f"{100 * more:.0f}\u00a0% more" in shown.title
            assert shown.value("twice") == pytest.approx(shown.value("work") * (1 + more))
            shown.press("context", "ArrowRight")


def test_the_report_stands_hollow_beside_the_curves(visual_at):
    shown = visual_at(PAGE, "bets-doubling")
    assert shown.root.locator("svg path.km-report").count() == 2, "its 83 % would give the answer away"
    shown.control("skip").click()
    assert shown.root.locator("svg path.km-report").count() == 3


def test_the_page_fits_a_phone(desk, shapes):
    shown = desk(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    shown.press("heads", "End")
    assert holds(shown, shapes, 64, 16, 512)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
