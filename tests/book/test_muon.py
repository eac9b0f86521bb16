"""Muon, in a browser with the network cut: both visuals answer to hand and keys, and their numbers are the package's."""

import math

import numpy as np
import pytest
import torch

from kimi_mini import kernels
from kimi_mini.dev import ROOT
from kimi_mini.viz import muon
from runs.muon import BEST, K2_DECAY, LENGTHS

PAGE = "book/muon.html"
SETTINGS = {how: (lr, K2_DECAY) for how, lr in BEST.items()}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recorded():
    return muon.load_runs(ROOT / "book" / "data" / "muon")


@pytest.fixture
def ellipse(visual_at):
    def open_ellipse(reveal=True, **look):
        shown = visual_at(PAGE, "muon-ellipse", **look)
        if reveal:
            shown.control("skip").click()
        return shown

    return open_ellipse


def turn(degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def agrees(shown, coefficients="muon"):
    """The page's axes against the package's iteration and the definitions of the sign and of Adam's limit."""
    first, second, by, steps = (
        float(shown.root.get_attribute(f"data-state-{name}")) for name in ("first", "second", "turn", "steps")
    )
    m = turn(by) @ torch.diag(torch.tensor([first, second], dtype=torch.float64)) @ turn(20).T
    out = kernels.newton_schulz(m, steps=int(steps), coefficients=coefficients)
    expected = {
        ("long", "short"): out,
        ("sign-long", "sign-short"): m.sign() / 2**0.5,
        ("adam-long", "adam-short"): m / (m**2 + muon.SCATTER**2).sqrt() / 2**0.5,
    }
    for names, matrix in expected.items():
        found = [shown.value(name) for name in names]
        assert found == pytest.approx(torch.linalg.svdvals(matrix).tolist(), abs=1e-9), names
    return True


def test_nothing_is_shown_before_a_guess(ellipse):
    covered = ellipse(reveal=False)
    assert covered.control("iterate").count() == 0 and "guess first" in covered.labels and "sign" not in covered.labels
    covered.lock(steps=2, confidence=90)
    assert (
        "Your guess: 1.10, 90\u00a0% sure. An axis of exactly 1 becomes 0.70, then 1.11, then 0.72"
        in covered.root.locator(".km-guess").inner_text()
    )
    assert "your guess: 1.10" in covered.labels and "Adam" in covered.labels


@pytest.mark.parametrize("coefficients", ["muon", "polar_express"])
def test_every_iteration_is_the_packages(ellipse, coefficients):
    shown = ellipse()
    shown.control("set").select_option(coefficients)
    for steps in range(11):
        assert shown.root.get_attribute("data-state-steps") == str(steps) and agrees(shown, coefficients)
        shown.control("iterate").click()
    assert shown.root.get_attribute("data-state-steps") == "0"


def test_the_ends_of_the_axes_answer_to_arrow_keys(ellipse):
    shown = ellipse()
    for _ in range(5):
        shown.control("iterate").click()
    grip = shown.root.locator("[data-grip=first]")
    assert shown.value("sign-short") == pytest.approx(0, abs=1e-9) and "a line" in shown.title
    before = shown.value("long"), shown.value("short")
    grip.focus()
    for _ in range(8):
        shown.page.keyboard.press("ArrowLeft")
    assert shown.root.get_attribute("data-state-turn") == "70" and agrees(shown)
    assert (shown.value("long"), shown.value("short")) == pytest.approx(before), "Muon's update only turns"
    assert shown.value("sign-short") == pytest.approx(1) and "a circle" in shown.title
    shown.root.locator("[data-grip=second]").focus()
    for _ in range(5):
        shown.page.keyboard.press("ArrowDown")
    assert shown.root.get_attribute("data-state-second") == "0" and agrees(shown)
    after = kernels.newton_schulz(torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64)), steps=5)
    assert shown.value("long") == pytest.approx(float(after[0, 0])) and shown.value("short") == pytest.approx(0, abs=1e-9)


def test_the_ends_of_the_axes_can_be_dragged(ellipse):
    shown = ellipse()
    shown.control("iterate").click()
    grip = shown.root.locator("[data-grip=first]")
    grip.scroll_into_view_if_needed()
    box, mouse = grip.bounding_box(), shown.page.mouse
    mouse.move(box["x"] + 22, box["y"] + 22)
    mouse.down()
    mouse.move(box["x"] - 38, box["y"] - 18, steps=4)
    mouse.up()
    assert float(shown.root.get_attribute("data-state-turn")) > 60 and agrees(shown)
    state = shown.root.get_attribute("data-state-turn")
    mouse.move(box["x"] + 60, box["y"] + 60)
    assert shown.root.get_attribute("data-state-turn") == state, "the hand has let go"


def test_every_recorded_momentum_goes_through_the_packages_polynomial(ellipse, recorded):
    shown = ellipse()
    for _ in range(5):
        shown.control("iterate").click()
    (mini,) = muon.pick(recorded, model="mini")
    for key in muon.ellipse(recorded).data["momenta"]:
        shown.control("source").select_option(key)
        name, look = key.rsplit("-", 1)
        sigma = mini.spectra[name][mini.looks.index(int(look))].astype(np.float16).astype(float)
        for a, b, c in kernels.step_coefficients("muon", 5):
            sigma = a * sigma + b * sigma**3 + c * sigma**5
        assert shown.value("inside") == ((sigma >= 0.65) & (sigma <= 1.25)).sum() and shown.value("directions") == len(sigma)
        assert shown.value("least") == pytest.approx(sigma.min()) and shown.value("most") == pytest.approx(sigma.max())
    assert shown.root.locator("[data-grip=first]").is_hidden()


def test_the_race_asks_first_and_then_says_what_the_rows_say(visual_at, recorded):
    shown = visual_at(PAGE, "muon-race")
    data = muon.race(recorded, SETTINGS, LENGTHS).data["runs"]
    longest = max(data["adamw"]["lengths"])
    assert "Muon" not in shown.labels
    shown.lock(steps=3, confidence=50)
    ends = {how: [np.mean(seeds) for seeds in data[how]["ends"]] for how in data}
    loss = ends["adamw"][data["adamw"]["lengths"].index(longest)]
    need = muon.updates_to(LENGTHS, ends["muon"], loss)
    assert shown.value("loss") == pytest.approx(loss) and shown.value("need") == pytest.approx(need)
    assert shown.value("share") == pytest.approx(need / longest)
    assert (
        f"about {need:.0f}: {100 * need / longest:.0f}\u00a0% of the tokens" in shown.title
        and "report: 52\u00a0%" in shown.labels
    )
    assert f"Your guess: {longest + 30} updates, 50" in shown.root.locator(".km-guess").inner_text()


def test_the_page_fits_a_phone(ellipse):
    shown = ellipse(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    shown.control("iterate").click()
    assert agrees(shown)
