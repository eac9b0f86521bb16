"""Latent attention, in a browser with the network cut: every control is moved, and the number that follows is the package's."""

import json

import pytest

import kimi_mini as km
from kimi_mini.accounting import cache_bytes, decode_flops
from kimi_mini.viz import latent

PAGE = "book/latent.html"

pytestmark = pytest.mark.browser


@pytest.fixture
def shelves(visual_at):
    def open_shelves(reveal=True, **look):
        shelves = visual_at(PAGE, "latent-shelves", **look)
        if reveal:
            shelves.control("skip").click()
        return shelves

    return open_shelves


def holds(shelves, context, users, heads):
    """What the shelves show is what accounting counts."""
    config = km.K2.replace(num_attention_heads=heads)
    for kind in latent.KINDS:
        one = cache_bytes(config, context, kind)
        assert shelves.value(kind) == one * users and shelves.value(f"fits-{kind}") == latent.GPU_BYTES // one, kind
    work = decode_flops(config, context).total
    assert shelves.value("flops") == work
    assert shelves.value("growth") == pytest.approx(work / decode_flops(km.K2, context).total)
    return True


def test_heads_wait_for_a_guess_that_stays_on_the_shelf(shelves):
    covered = shelves(reveal=False)
    assert holds(covered, 131_072, 1, 64) and covered.control("heads").count() == 0
    covered.lock(steps=5, confidence=90)
    text = covered.root.locator(".km-guess").inner_text()
    assert "Your guess: 2.5 times, 90\u00a0% sure. It does not grow at all" in text
    assert "your guess" in covered.labels and holds(covered, 131_072, 1, 128)
    assert "128 heads: MHA needs 610\u00a0GiB, MLA still 8.58\u00a0GiB" in covered.title and "96\u00a0%" in covered.title


def test_every_slider_moves_the_numbers_of_accounting(shelves):
    shown = shelves()
    assert holds(shown, 131_072, 1, 128)
    shown.press("heads", "Home")
    assert holds(shown, 131_072, 1, 64)
    for users in (2, 4, 8, 16, 32, 64):
        shown.press("users", "ArrowRight")
        assert holds(shown, 131_072, users, 64)
    for heads in (80, 96, 112, 128):
        shown.press("heads", "ArrowRight")
        assert holds(shown, 131_072, 64, heads)
    for power in range(6, -1, -1):
        shown.press("context", "ArrowLeft")
        assert holds(shown, 1024 * 2**power, 64, 128)


def test_what_overflows_is_drawn_gpu_by_gpu(shelves):
    shown = shelves()
    squares = lambda kind: shown.root.locator(".km-picture .km-optimizer-fill").evaluate_all(  # noqa: E731
        "(marks, at) => marks[at].getAttribute('d').split('Z').length - 1", list(latent.KINDS).index(kind)
    )
    for heads, key in ((128, "End"), (64, "Home")):
        shown.press("heads", key)
        gpus = cache_bytes(km.K2.replace(num_attention_heads=heads), 131_072, "mha") / latent.GPU_BYTES
        assert squares("mha") == -(-(gpus - 1) // 1) and squares("mla") == 0
        assert f"{gpus:.1f} GPUs" in shown.labels


def test_each_logit_is_the_recorded_one_by_both_paths(visual_at):
    card = visual_at(PAGE, "latent-logit")
    data = json.loads(card.root.locator("script").text_content())
    assert card.root.get_attribute("data-value-absorbed") == "" and "guess first" in card.labels
    card.lock(steps=7, confidence=50)
    assert f"half share {data['shared']['median']} digits" in card.root.locator(".km-guess").inner_text()
    for pair in range(len(data["pairs"])):
        card.control("pair").select_option(str(pair))
        for layer in range(data["layers"]):
            for head in range(data["heads"]):
                one, other = (data[path][pair][layer][head] for path in ("expanded", "absorbed"))
                assert (card.value("expanded"), card.value("absorbed")) == (one, other)
                assert card.value("logit") == one + data["rotary"][pair][layer][head]
                shared = latent.shared_digits(one, other)
                assert card.value("shared") == shared and f"the first {shared} are" in card.title
                written = card.root.locator("svg text.km-digits").all_text_contents()
                assert [float(a + b) for a, b in zip(written[::2], written[1::2], strict=True)] == [one, other]
                assert all(len(text.strip("-0.").replace(".", "")) <= shared for text in written[::2])
                card.press("head", "ArrowRight")
            card.press("head", "Home")
            card.press("layer", "ArrowRight")
        card.press("layer", "Home")


def test_the_page_fits_a_phone(shelves):
    shown = shelves(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    shown.press("users", "End")
    assert holds(shown, 131_072, 64, 128)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
