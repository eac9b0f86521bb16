"""The empty frames, in a browser: the counts of the register, every wish, every piece by hand and by key."""

import pytest

from kimi_mini.unpublished import PIECES, WISHES, count_states

PAGE = "book/unpublished.html"
PHONE = 360

pytestmark = pytest.mark.browser


@pytest.fixture
def frames(visual_at):
    return lambda **look: visual_at(PAGE, "unpublished-frames", **look)


def counted(shown):
    return {state: shown.value(state) for state in count_states("run")}


def test_other_wishes_wait_for_a_guess(frames):
    shown = frames()
    assert shown.control("wish").count() == 0 and counted(shown) == count_states("run")
    shown.lock(steps=2, confidence=50)
    assert f"It is {count_states('pretrain')['nowhere']}." in shown.root.locator(".km-guess").inner_text()
    for wish in WISHES:
        shown.control("wish").select_option(wish)
        assert counted(shown) == count_states(wish) and WISHES[wish] in shown.title


def test_every_piece_is_reached_by_key_and_told(frames):
    shown = frames()
    shown.control("skip").click()
    shown.control("wish").select_option("posttrain")
    wanted = [piece for piece in PIECES if piece.wish == "posttrain"]
    shown.press("piece", "Home")
    for index, piece in enumerate(wanted):
        assert shown.value("at") == index
        note = shown.root.locator(".km-note").inner_text()
        assert note.startswith(f"{piece.name}: ") and piece.said in note
        assert not piece.here or piece.chosen_here() in note
        shown.press("piece", "ArrowRight")


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_a_touched_frame_is_chosen(frames, width):
    shown = frames(width=width)
    box = shown.root.locator(".km-frames-pad").bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] - 20, box["y"] + 20)
    assert shown.value("at") == (1 if width == PHONE else 3)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone(frames, dark):
    shown = frames(width=PHONE, dark=dark)
    shown.control("skip").click()
    for wish in WISHES:
        shown.control("wish").select_option(wish)
        shown.check_fits(PHONE)
