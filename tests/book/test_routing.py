"""Routing, in a browser with the network cut: every control is moved, and the number that follows is the package's."""

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import routing

PAGE = "book/routing.html"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recorded():
    return routing.load_routes(ROOT / "book" / "data" / "routes")


@pytest.fixture
def sentence(visual_at):
    def open_sentence(reveal=True, **look):
        visual = visual_at(PAGE, "routing-sentence", **look)
        if reveal:
            visual.control("skip").click()
            visual.root.get_by_role("button", name="reset").click()
        return visual

    return open_sentence


@pytest.fixture
def foretold(visual_at):
    return lambda **look: visual_at(PAGE, "routing-foretold", **look)


def state(visual, name):
    return visual.root.get_attribute(f"data-state-{name}")


def agrees(visual, recorded):
    """The page's numbers are those of the package's router for the state that the page is in."""
    domain, index = state(visual, "sentence").split("/")
    word, layer, expert = (int(state(visual, name)) for name in ("word", "layer", "expert"))
    place = {"domain": domain, "index": int(index), "layer": layer, "expert": expert}
    usual, lifted = (routing.reroute(recorded[0], **place, lift=lift) for lift in (0.0, float(state(visual, "lift"))))
    word = min(word, len(usual.score_TE) - 1)
    for routes, suffix in ((usual, "-before"), (lifted, "")):
        loud = routes.weight_TK[routes.expert_TK == expert]
        assert visual.value(f"chosen{suffix}") == len(loud)
        assert visual.value(f"voice{suffix}") == pytest.approx(float(loud.mean()) if len(loud) else 0, abs=1e-9)
    team = dict(zip(lifted.expert_TK[word].tolist(), lifted.weight_TK[word].tolist(), strict=True))
    assert visual.root.get_attribute("data-value-team") == ",".join(map(str, sorted(team)))
    assert visual.value("weight") == pytest.approx(team.get(expert, 0), abs=1e-9)
    assert visual.value("score") == pytest.approx(float(lifted.score_TE[word, expert]), abs=1e-9)
    return True


def test_a_guess_is_locked_before_a_bias_can_be_lifted(sentence, recorded):
    shown = sentence(reveal=False)
    assert shown.control("lift").count() == 0 and agrees(shown, recorded)
    shown.lock(steps=2, confidence=70)
    assert "Your guess: 110\u00a0%, 70\u00a0% sure. 31\u00a0%" in shown.root.locator(".km-guess").inner_text()
    assert "your guess: 110\u00a0% on average" in shown.labels
    assert float(state(shown, "lift")) == 1 and shown.value("chosen") == 16 and agrees(shown, recorded)


def test_the_lift_follows_arrow_keys_and_the_title_says_what_happened(sentence, recorded):
    shown = sentence()
    assert agrees(shown, recorded) and shown.value("chosen") == 3
    for presses in (5, 5, 10):
        shown.press("lift", *["ArrowRight"] * presses)
        assert agrees(shown, recorded)
    assert shown.title.startswith("Expert 16 lifted by 0.40: chosen by 16 of 16 words instead of 3")
    shown.press("lift", "End")
    assert agrees(shown, recorded) and shown.root.locator(".km-words .km-chose").count() == 16


def test_words_are_tapped_and_walked_with_arrow_keys(sentence, recorded):
    shown = sentence()
    shown.root.locator("[data-control=word][value='9']").check(force=True)
    assert agrees(shown, recorded) and shown.value("weight") > 0 and "\u201c;\u201d" in shown.title
    shown.page.keyboard.press("ArrowRight")
    assert state(shown, "word") == "10" and agrees(shown, recorded) and shown.value("weight") == 0


@pytest.mark.parametrize("key", ["plays/0", "code/4", "maths/1", "facts/9"])
def test_every_domain_shows_its_recorded_routes(sentence, recorded, key):
    shown = sentence()
    shown.press("lift", *["ArrowRight"] * 8)
    shown.control("sentence").select_option(key)
    domain, index = key.split("/")
    words = {row["domain"]: row for row in recorded[0]}[domain]["sentences"][int(index)]["words"]
    assert shown.control("word").count() == len(words) == shown.value("words")
    assert agrees(shown, recorded)
    shown.root.locator(f"[data-control=word][value='{len(words) - 1}']").check(force=True)
    assert agrees(shown, recorded)


def test_the_grid_answers_to_arrow_keys_and_to_taps(sentence, recorded):
    shown = sentence()
    shown.press("grid", "ArrowUp", "ArrowRight", "ArrowRight")
    assert (state(shown, "layer"), state(shown, "expert")) == ("2", "18") and agrees(shown, recorded)
    shown.press("grid", *["ArrowUp"] * 5, *["ArrowLeft"] * 40)
    assert (state(shown, "layer"), state(shown, "expert")) == ("1", "0") and agrees(shown, recorded)
    box = shown.control("grid").bounding_box()
    cell = (box["width"] - 59) / 32
    shown.control("grid").click(position={"x": 58 + 30.5 * cell, "y": 26 + 3.5 * 30})
    assert (state(shown, "layer"), state(shown, "expert")) == ("4", "30") and agrees(shown, recorded)
    shown.control("grid").click(position={"x": 58 + 4.5 * cell, "y": 26 + 200})
    assert (state(shown, "layer"), state(shown, "expert")) == ("4", "4"), "a bar below the grid keeps the layer"
    mouse, y = shown.page.mouse, box["y"] + 200
    mouse.move(box["x"] + 58 + 4.5 * cell, y)
    mouse.down()
    mouse.move(box["x"] + 58 + 9.5 * cell, y, steps=4)
    mouse.up()
    assert state(shown, "expert") == "9" and agrees(shown, recorded)
    mouse.move(box["x"] + 58 + 20.5 * cell, y)
    assert state(shown, "expert") == "9", "the hand has let go"


def test_the_table_holds_the_weights_of_the_word(sentence, recorded):
    shown = sentence()
    shown.root.get_by_role("button", name="table").click()
    cells = shown.root.locator(".km-drawer td").all_inner_texts()
    team = routing.reroute(recorded[0], "plays", 7, layer=3, expert=16)
    weights = {row[0]: row[4] for row in (cells[at : at + 5] for at in range(0, len(cells), 5)) if row[4] != "not chosen"}
    expected = zip(team.expert_TK[8].tolist(), team.weight_TK[8].tolist(), strict=True)
    assert weights == {str(expert): f"{weight:.3f}" for expert, weight in expected}


def test_a_share_below_zero_is_not_cut_off_at_the_edge(foretold):
    shown = foretold()
    shown.control("skip").click()
    dots = shown.root.locator(".km-picture path.km-rest-fill").evaluate_all("(all) => all.map((dot) => dot.style.transform)")
    assert len(dots) == 1 and float(dots[0].removeprefix("translate(").split("px")[0]) > 10


@pytest.mark.parametrize("width", [360, 1280])
def test_the_label_of_the_door_lies_above_the_bars_on_a_phone(sentence, width):
    shown = sentence(width=width)
    label = shown.root.get_by_text("the 4 highest are chosen").bounding_box()
    mark = shown.root.locator("path.km-entry").bounding_box()
    first = shown.root.locator(".km-picture text").filter(has_text="1.0").first.bounding_box()
    assert label["y"] < mark["y"]
    assert (label["y"] + label["height"] <= first["y"] + 6) == (width == 360)


def test_what_foretells_a_choice_is_what_was_measured(foretold, recorded):
    shown = foretold()
    assert "the domain" not in shown.labels and shown.control("layer").count() == 0
    assert "Share of variance: 0\u00a0% = no better than the averages" in shown.root.inner_text()
    shown.lock(steps=5, confidence=50)
    assert shown.title.endswith("all layers together.")
    assert "your guess 35\u00a0%" in shown.labels and "10\u00a0%; told the token itself, 40\u00a0%" in shown.root.inner_text()
    for windows in (60, 30, 10):
        for layer in (4, 3, 2, 1, 0):
            for name, layers in recorded[1][windows]["shares"].items():
                if name in ("kind and domain", "shuffled domain"):
                    continue
                assert shown.value(name.replace(" ", "-")) == pytest.approx(layers[layer]["value"], abs=1e-12)
            shown.press("layer", "ArrowLeft")
        shown.press("layer", "End")
        shown.press("windows", "ArrowLeft")


def test_the_page_fits_a_phone(sentence, recorded):
    shown = sentence(width=360, dark=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360
    shown.press("lift", "End")
    assert shown.value("chosen") == 16 and agrees(shown, recorded)
