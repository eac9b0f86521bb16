"""MuonClip, in a browser with the network cut: every control is moved, and the number that follows is the recording's."""

import json
import math

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import muonclip

PAGE = "book/muonclip.html"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recorded():
    return muonclip.load_runs(ROOT / "book" / "data" / "muonclip")


@pytest.fixture
def heads(visual_at):
    def open_heads(reveal=True, **look):
        heads = visual_at(PAGE, "muonclip-runaway", **look)
        if reveal:
            heads.control("skip").click()
        return heads

    return open_heads


def at(recorded, optimizer, lr, tau, seed, update):
    """Largest logit, heads that have passed 100, and loss, as drawn: of the recorded updates every second."""
    (run,) = muonclip.pick(recorded, optimizer=optimizer, lr=lr, tau=tau, seed=seed)
    drawn = run.max_logits[1 : update // 2 : 2]
    return {
        "largest": float(drawn[-1].max()),
        "passed": int((drawn.max(0) > 100).sum()),
        "loss": float(run.loss[update // 2 - 1]),
        "end-loss": run.end_loss,
    }


def agrees(heads, expected):
    for name, value in expected.items():
        assert heads.value(name) == pytest.approx(value, rel=0.01), name
    return True


def test_nothing_is_shown_before_a_guess(heads, recorded):
    covered = heads(reveal=False)
    assert agrees(covered, at(recorded, "muon", 0.1, math.inf, 0, 40)) and covered.value("passed") == 0
    assert covered.control("run").count() == 0 and "guess first" in covered.labels
    covered.lock(steps=2, confidence=90)
    assert "Your guess: 5 of 24, 90\u00a0% sure. 16 of 24 did" in covered.root.locator(".km-guess").inner_text()
    assert "your guess: 5 pass here" in covered.labels
    assert agrees(covered, at(recorded, "muon", 0.1, math.inf, 0, 300))


def test_the_update_follows_arrow_keys_and_a_drag_on_the_picture(heads, recorded):
    shown = heads()
    shown.press("update", *["ArrowLeft"] * 25)
    assert agrees(shown, at(recorded, "muon", 0.1, math.inf, 0, 200))
    shown.control("update").scroll_into_view_if_needed()
    box = shown.root.locator(".km-picture").bounding_box()
    mouse, y = shown.page.mouse, box["y"] + 200
    mouse.move(box["x"] + box["width"] * 0.9, y)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 0.25, y, steps=5)
    mouse.up()
    update = int(shown.root.get_attribute("data-state-update"))
    assert abs(update - 75) <= 4 and agrees(shown, at(recorded, "muon", 0.1, math.inf, 0, update))
    mouse.move(box["x"] + box["width"] * 0.8, y)
    assert int(shown.root.get_attribute("data-state-update")) == update, "the hand has let go"


@pytest.mark.parametrize(("optimizer", "lr", "seed"), [("muon", 0.03, 2), ("adamw", 0.1, 1), ("adamw", 0.003, 0)])
def test_every_run_and_tau_is_the_recorded_one(heads, recorded, optimizer, lr, seed):
    shown = heads()
    shown.control("run").select_option(f"{optimizer}/{lr}/{seed}")
    for tau in (math.inf, 100.0, 30.0):
        assert agrees(shown, at(recorded, optimizer, lr, tau, seed, 300))
        assert (f"\u03c4 = {tau:g}" if tau < math.inf else "no clip") in shown.title
        shown.press("tau", "ArrowRight")
    free = at(recorded, optimizer, lr, math.inf, seed, 300)["end-loss"]
    assert shown.value("free-end-loss") == pytest.approx(free, abs=1e-3)


def test_tau_is_dragged_down_by_its_handle(heads, recorded):
    shown = heads()
    handle = shown.root.locator(".km-handle")
    shown.control("update").scroll_into_view_if_needed()
    for tau, logit in ((100.0, 2), (30.0, math.log10(30))):
        grip, box = handle.bounding_box(), shown.root.locator(".km-picture").bounding_box()
        shown.page.mouse.move(grip["x"] + 22, grip["y"] + 22)
        shown.page.mouse.down()
        shown.page.mouse.move(grip["x"] + 22, box["y"] + 22 + 250 * (1 - logit / 5), steps=5)
        shown.page.mouse.up()
        assert agrees(shown, at(recorded, "muon", 0.1, tau, 0, 300))
    (run,) = muonclip.pick(recorded, optimizer="muon", lr=0.1, tau=30.0, seed=0)
    top = run.max_logits[-1].argmax()
    assert math.log(shown.value("gamma")) == pytest.approx(run.log_gamma[-1].flat[top], rel=1e-2)


def test_each_rule_and_head_shows_what_was_measured(visual_at):
    bricks = visual_at(PAGE, "muonclip-bricks")
    data = json.loads(bricks.root.locator("script").text_content())
    for rule in muonclip.CLIPS:
        bricks.control("rule").select_option(rule)
        for head in range(8):
            after, before = data["after"][rule][head], data["before"]
            change = [abs(a / b - 1) for i, (a, b) in enumerate(zip(after, before, strict=True)) if i != head]
            assert bricks.value("moved") == sum(c > 0.001 for c in change)
            assert bricks.value("largest-change") == pytest.approx(max(change), abs=1e-9)
            assert bricks.value("clipped") == pytest.approx(after[head])
            bricks.press("head", "ArrowRight")
        bricks.press("head", "Home")
    bricks.control("rule").select_option("right")
    assert bricks.value("moved") == 0 and bricks.value("clipped") == pytest.approx(bricks.value("target"), rel=1e-3)
    bricks.control("rule").select_option("shared")
    assert bricks.value("moved") == 7 and "Shared key too: 7 heads moved" in bricks.title


def test_the_page_fits_a_phone(heads):
    shown = heads(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    shown.press("tau", "ArrowRight")
    assert shown.value("largest") < 400
