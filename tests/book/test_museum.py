"""The bug museum, in a browser with the network cut: frames, instruments, accusations, and the recorded numbers behind them."""

import pytest

from kimi_mini.conformance import piece
from kimi_mini.dev import ROOT
from kimi_mini.viz import museum

PAGE = "book/museum.html"
INSTRUMENTS = ("logits", "factors", "spared", "values")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recorded():
    return museum.load_runs(ROOT / "book" / "data" / "museum")


@pytest.fixture(scope="module")
def order(recorded):
    return museum.versions(recorded)


@pytest.fixture
def frames(visual_at):
    def open_frames(reveal=True, **look):
        frames = visual_at(PAGE, "museum-frames", **look)
        if reveal:
            frames.control("skip").click()
        return frames

    return open_frames


def accuse(shown, suspect):
    shown.root.locator(f"[data-control=accuse][value={suspect}]").click()


def test_no_instrument_and_no_band_before_a_guess(frames, recorded):
    covered = frames(reveal=False)
    assert covered.control("instrument").count() == covered.control("accuse").count() == 0
    assert covered.root.locator(".km-healthy-band").count() == 0 and "Which?" in covered.title
    covered.lock(steps=1, confidence=90)
    left = len(museum.leaving(recorded))
    assert f"Your guess: 7 of 11, 90\u00a0% sure. {left} of 11." in covered.root.locator(".km-guess").inner_text()
    assert covered.root.locator(".km-healthy-band").count() == 13 and covered.control("instrument").count() == 1


def test_every_frame_shows_what_was_recorded(frames, recorded, order):
    shown = frames()
    edges = museum.band(museum.healthy(recorded))
    for version in order:
        run = museum.pick(recorded, version)
        assert shown.value("end-loss") == pytest.approx(run.end_loss, abs=1e-3)
        assert shown.value("outside") == museum.outside(run, edges).sum()
        assert shown.value("largest") == pytest.approx(run.maxima.max(), rel=1e-2)
        assert (shown.value("below"), shown.value("needless")) == (run.below.sum(), run.needless.sum())
        assert shown.value("told") == pytest.approx(run.told.mean(2).sum(), abs=0.05)
        assert shown.value("values") == pytest.approx(run.factors[:, 4].sum(), abs=0.05)
        assert shown.value("lied") == pytest.approx(museum.lied(run), abs=1e-3)
        assert ("outside of the band" in shown.title) == museum.leaves(run, edges)
        shown.press("frame", "ArrowRight")


def test_a_frame_is_chosen_by_a_tap(frames, recorded, order):
    shown = frames(width=360)
    box = shown.root.locator(".km-picture").bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + 90 + 50)
    assert shown.root.get_attribute("data-state-frame") == "7"
    assert shown.value("end-loss") == pytest.approx(museum.pick(recorded, order[6]).end_loss, abs=1e-3)


def test_each_instrument_draws_something_of_its_own(frames, recorded, order):
    shown = frames()
    seen = set()
    for instrument in INSTRUMENTS:
        shown.control("instrument").select_option(instrument)
        seen.add((shown.root.locator(".km-picture svg").inner_html(), shown.root.locator(".km-note").inner_text()))
    assert len(seen) == 4
    for _ in order[: order.index("values-too")]:
        shown.press("frame", "ArrowRight")
    shown.control("instrument").select_option("factors")
    run = museum.pick(recorded, "values-too")
    (bar,) = shown.root.locator(".km-picture svg .km-optimizer-fill").evaluate_all(
        "all => [all.map(bar => parseFloat(bar.style.width))]"
    )
    due, values = bar[1], bar[6 * 3 + 1]
    assert values / due == pytest.approx(run.factors[:, 4, 1].sum() / run.due[:, 1].sum(), abs=0.02)


def test_accusations_are_scored_kept_and_forgotten(frames, order):
    shown = frames()
    for place, version in enumerate(order):
        culprit = "nobody" if version == "right" else piece(version).suspect
        accuse(shown, culprit if place else "optimizer" if culprit != "optimizer" else "place")
        box = shown.root.locator(".km-verdict").inner_text()
        if version != "right":
            assert (
                piece(version).killed_by in box and piece(version).diff[0] in shown.root.locator(".km-verdict pre").inner_text()
            )
            assert piece(version).title[1:] in shown.title
        if place + 1 < len(order):
            shown.control("next").click()
    first_counts = order[0] == "clamped-ratio"
    assert shown.value("accused") == 12 and shown.value("solved") == (12 if first_counts else 11)
    shown.page.reload()
    shown.page.wait_for_selector("#km-museum-frames.km-alive")
    shown.control("skip").click()
    assert shown.value("accused") == 12
    shown.root.get_by_role("button", name="reset", exact=True).click()
    assert shown.value("accused") == 0 and shown.control("accuse").count() == 5


def test_either_answer_counts_where_nothing_could_tell(frames, order):
    shown = frames()
    for _ in order[: order.index("clamped-ratio")]:
        shown.press("frame", "ArrowRight")
    accuse(shown, "nobody")
    assert shown.value("solved") == 1 and "No instrument could tell" in shown.root.locator(".km-verdict").inner_text()


def test_the_page_fits_a_phone(frames):
    shown = frames(width=360, dark=True)
    for instrument in INSTRUMENTS:
        shown.control("instrument").select_option(instrument)
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    accuse(shown, "place")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
