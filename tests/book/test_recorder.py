"""The flight recorder, in a browser with the network cut: every control moved, the number that follows is the recorded one."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.train.spikes import count_spikes
from kimi_mini.viz import recorder

PAGE = "book/recorder.html"
PHONE = 360

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recording():
    return recorder.load_recording(ROOT / "book" / "data" / "recorder")


def reads(shown, flight, index):
    """The readings are those of update `index`, counted from 0."""
    assert shown.value("loss") == pytest.approx(flight.loss[index], rel=1e-3)
    assert shown.value("gradient") == pytest.approx(flight.grad[index], rel=1e-2)
    assert shown.value("logit") == pytest.approx(flight.max_logits[index].max(), rel=1e-2)
    assert shown.value("load") == pytest.approx(flight.violation[index], rel=1e-2, abs=1e-3)
    assert shown.value("rate") == pytest.approx(flight.lr[index], rel=1e-2)
    return True


def test_landings_wait_for_a_guess(visual_at, recording):
    last = recording.trunks[0].last
    covered = visual_at(PAGE, "run-recorder")
    assert covered.control("land").count() == 0 and "Is that stagnation?" in covered.title
    assert f"{last.after:.2f}" not in covered.title
    covered.lock(steps=3, confidence=50)
    assert f"At {last.after:.2f} nats." in covered.root.locator(".km-guess").inner_text()
    assert covered.control("land").count() == 1 and f"{last.after:.2f}" in covered.title


def test_the_line_reads_the_recorded_update(visual_at, recording):
    shown = visual_at(PAGE, "run-recorder")
    flight = recording.trunks[0].flight
    assert reads(shown, flight, 999)
    shown.press("update", "ArrowRight")
    assert reads(shown, flight, 1000)
    shown.press("update", "Home")
    assert reads(shown, flight, 0) and "it has written nothing yet" in shown.labels
    shown.press("update", "End")
    assert reads(shown, flight, 1499)


def test_every_landing_plays(visual_at, recording):
    shown = visual_at(PAGE, "run-recorder")
    shown.control("skip").click()
    for branch, landing in recording.trunks[0].landings.items():
        shown.control("land").select_option(str(branch))
        assert (shown.value("before"), shown.value("after")) == (landing.before, landing.after)
        assert f"{landing.after:.2f} after 200 updates" in shown.title
    shown.press("update", "End")
    assert reads(shown, recording.trunks[0].last.flight, 199) and "landing" in shown.labels


def test_smoothing_hides_the_spike_and_the_count_says_so(visual_at, recording):
    shown = visual_at(PAGE, "run-spike")
    assert shown.control("smooth").count() == 0
    shown.control("skip").click()
    for width in recorder.WIDTHS:
        smoothed = recorder.smooth(recording.bad.loss, width)
        assert shown.value("spikes") == count_spikes(smoothed) and shown.value("raw") == 1
        assert shown.value("smoothed") == pytest.approx(smoothed[400], rel=1e-3)
        shown.press("smooth", "ArrowRight")
    assert "no spikes" in shown.title
    shown.choose("flight", "good")
    assert shown.value("raw") == 0 and reads(shown, recording.trunks[0].flight, 400)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["run-recorder", "run-spike"])
def test_it_fits_a_phone(visual_at, name, dark):
    shown = visual_at(PAGE, name, width=PHONE, dark=dark)
    shown.control("skip").click()
    shown.check_fits(PHONE)
