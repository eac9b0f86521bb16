"""The tile walk, in a browser with the network cut: every control moved, the numbers are those of the walk in Python."""

import math

import pytest

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.viz import tile_walk, tiles

PAGE = "book/kernels.html"
PHONE = 360

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def head():
    model, tokenizer = km.load_mini()
    ids = corpus.load().tokens["facts"]["held_out"][:256].tolist()
    return tiles.look_into(model, ids, [tokenizer.decode([token]) for token in ids], layer=4, head=5)


@pytest.fixture
def walked(visual_at):
    def open_walk(reveal=True, **look):
        shown = visual_at(PAGE, "tile-walk", **look)
        if reveal:
            shown.control("skip").click()
        return shown

    return open_walk


def holds(shown, head, rows, keys):
    """What the page shows of the present tile is what the walk in Python has there."""
    steps = list(tile_walk.walk(head.q_TN, head.k_TN, head.v_TM, scale=head.scale, rows=rows, keys=keys))
    at = int(shown.value("at"))
    step = steps[at - 1]
    row = int(shown.value("focus")) - step.rows.start
    assert shown.value("steps") == len(steps) and (shown.value("row"), shown.value("key")) == (step.rows.start, step.keys.start)
    assert shown.value("largest") == pytest.approx(max(one.logits_RC.max().item() for one in steps[:at]), rel=1e-9)
    assert shown.value("max") == pytest.approx(step.max_R[row].item(), rel=1e-9)
    assert shown.value("sum") == pytest.approx(step.sum_R[row].item(), rel=1e-9)
    assert shown.value("out") == pytest.approx((step.out_RM[row] / step.sum_R[row]).norm().item(), rel=1e-9)
    before = steps[at - 2].max_R[row] if at > 1 and steps[at - 2].rows == step.rows else -math.inf
    assert shown.value("shrink") == pytest.approx(math.exp(before - step.max_R[row]), rel=1e-9)
    for kind, used in tile_walk.on_chip(rows, keys).items():
        assert shown.value(kind) == used
    whole, layer = tile_walk.traffic(256, rows, keys), tile_walk.traffic(8192, rows, keys)
    for way in tile_walk.WAYS:
        assert shown.value(f"total-{way}") == whole[way] and shown.value(f"layer-{way}") == 64 * layer[way]
        assert shown.value(f"asked-{way}") <= whole[way]
    return True


def test_what_the_clip_needs_waits_for_a_guess(walked):
    covered = walked(reveal=False)
    assert covered.control("rows").count() == 0 and "256 bytes" not in covered.title and "K2" not in covered.labels
    covered.lock(steps=2, confidence=70)
    assert "256 bytes: one fp32 number for each of 64 heads" in covered.root.locator(".km-guess").inner_text()
    assert "256 bytes" in covered.title and "8.6\u00a0GB" in covered.title and "your guess" in covered.labels


def test_arrow_button_and_tap_step_through_the_tiles(walked, head):
    shown = walked()
    assert shown.value("at") == 8 and holds(shown, head, 64, 64)
    shown.press("step", "ArrowLeft")
    assert shown.value("at") == 7 and holds(shown, head, 64, 64)
    shown.press("step", "ArrowRight")
    shown.control("next").click()
    assert shown.value("at") == 9 and holds(shown, head, 64, 64)
    assert shown.value("largest") == pytest.approx(20.7, abs=0.05) and "20.7" in shown.title
    shown.press("step", "Home")
    assert shown.value("at") == 1 and holds(shown, head, 64, 64)
    canvas = shown.root.locator("canvas")
    side = canvas.bounding_box()["width"]
    canvas.click(position={"x": side * 0.6, "y": side * 0.9}, force=True)
    assert shown.value("at") == 9 and (shown.value("row"), shown.value("key")) == (192, 128)
    canvas.click(position={"x": side * 0.9, "y": side * 0.1}, force=True)
    assert shown.value("at") == 9, "what looks ahead is no tile"
    shown.press("step", "End")
    assert "All tiles done" in shown.title and all(
        shown.value(f"asked-{way}") == shown.value(f"total-{way}") for way in tile_walk.WAYS
    )
    shown.control("next").click()
    assert shown.value("at") == 1


def test_tiles_grow_until_the_chip_is_full(walked, head):
    shown = walked()
    for keys in (128, 256):
        shown.press("keys", "ArrowRight")
        assert holds(shown, head, 64, keys)
    assert "do not fit" in shown.title and "shared memory" in shown.title
    shown.press("keys", "Home")
    assert holds(shown, head, 64, 16) and "do not fit" not in shown.title
    for rows in (128, 256):
        shown.press("rows", "ArrowRight")
        assert holds(shown, head, rows, 16)
    shown.press("keys", *["ArrowRight"] * 3)
    assert holds(shown, head, 256, 128) and "262,144 bytes of shared memory" in shown.title


def test_smallest_tiles_are_many(walked, head):
    shown = walked()
    shown.press("rows", "Home")
    shown.press("keys", "Home")
    assert shown.value("steps") == 136
    shown.press("step", "End")
    assert holds(shown, head, 16, 16)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(walked, dark):
    shown = walked(width=PHONE, dark=dark)
    shown.check_fits(PHONE)
    shown.press("rows", "End")
    shown.press("keys", "End")
    shown.check_fits(PHONE)


def test_the_page_prints_the_kernel_and_says_what_was_not_measured(built_book):
    page = (built_book / PAGE).read_text(encoding="utf-8")
    assert "kimi_mini/kernels/attention_triton.html#L" in page and "tile_max" in page
    assert "not yet measured" in page or "Measured: " in page
