"""The thermostat, in a browser with the network cut: every control moved, and the number that follows is the recorded one."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import balance

PAGE = "book/balance.html"
PHONE = 360

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs():
    return balance.load_runs(ROOT / "book" / "data" / "balance")


@pytest.fixture
def thermostat(visual_at):
    def open_thermostat(reveal=True, **look):
        shown = visual_at(PAGE, "balance-thermostat", **look)
        if reveal:
            shown.control("skip").click()
        return shown

    return open_thermostat


def shows(shown, run, update, devices=32):
    """The numbers are those of the load recorded at `update`."""
    load = run.load[update // run.every - 1]
    for place, layer in enumerate(run.layers):
        assert shown.value(f"busiest-{layer}") == pytest.approx(balance.busiest(load[place], 32), rel=1e-4)
        assert shown.value(f"device-{layer}") == pytest.approx(balance.busiest(load[place], devices), rel=1e-4)
    assert shown.value("held-out") == run.held_out
    return True


def test_the_run_waits_for_a_guess(thermostat, runs):
    covered = thermostat(reveal=False)
    assert covered.control("run").count() == covered.control("update").count() == 0 and "What next?" in covered.title
    covered.lock(steps=4, confidence=50)
    assert "times its share on average" in covered.root.locator(".km-guess").inner_text()
    assert "your guess" in covered.labels and shows(covered, balance.pick(runs, "rate0")[0], 320)


def test_every_rule_shows_its_own_loads(thermostat, runs):
    shown = thermostat()
    for rule in balance.NAMES:
        run = balance.pick(runs, rule)[1]
        shown.control("run").select_option(run.key)
        assert shows(shown, run, 320) and shown.title.startswith(balance.NAMES[rule])
        assert shown.value("end-violation") == pytest.approx(run.end_violation, abs=1e-3)
        assert shown.value("end-echo") == pytest.approx(run.end_echo, abs=1e-3)


def test_update_and_devices_are_dragged(thermostat, runs):
    shown = thermostat()
    run = balance.pick(runs, "rate0")[0]
    shown.press("update", "Home")
    assert shows(shown, run, 8)
    shown.press("update", "ArrowRight")
    assert shows(shown, run, 16)
    for devices in (16, 8, 4, 2, 1):
        shown.press("devices", "ArrowLeft")
        assert shows(shown, run, 16, devices)


def test_fewer_devices_are_calmer_with_the_same_routes(visual_at):
    mini, _ = balance.load_mini(ROOT / "book" / "data" / "balance")
    shown = visual_at(PAGE, "balance-pooling")
    assert shown.control("place").count() == 0
    shown.control("skip").click()
    shown.press("place", "Home")
    seen = []
    for devices in (2, 4, 8, 16, 32):
        low, middle, high = balance.pooled(mini, [devices])[devices]
        assert shown.value("devices") == devices
        assert (shown.value("low"), shown.value("middle"), shown.value("high")) == pytest.approx((low, middle, high))
        seen.append(middle)
        shown.press("place", "ArrowRight")
    assert seen == sorted(seen)
    shown.control("source").select_option("1")
    assert "toy" in shown.title and "Toy" in shown.root.locator(".km-note").inner_text()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["balance-thermostat", "balance-pooling"])
def test_it_fits_a_phone(visual_at, name, dark):
    shown = visual_at(PAGE, name, width=PHONE, dark=dark)
    shown.control("skip").click()
    shown.check_fits(PHONE)
