"""What every visual owes its reader, tried on K2 at a glance: looks, keys, guesses that last, links, table, code."""

import json

import pytest

import kimi_mini as km

PAGE = "book/glance.html"
VISUALS = ["pixels", "strips", "calculator", "cache", "flops", "memory"]
LOOKS = {
    "light": {"dark": False},
    "dark": {"dark": True},
    "phone": {"dark": False, "width": 360},
    "dark phone": {"dark": True, "width": 360},
}
# For each visual: a control, the keys to press on it, and a value that must change.
MOVES = {
    "pixels": ("next", ["Enter"], "touched"),
    "strips": ("model", ["ArrowRight"], "total"),
    "calculator": ("first_k_dense_replace", ["ArrowLeft"], "total"),
    "cache": ("context", ["ArrowLeft"], "mla"),
    "flops": ("context", ["ArrowRight"], "absorbed-attention"),
    "memory": ("pipeline", ["ArrowRight"], "fullest"),
}

pytestmark = pytest.mark.browser


@pytest.fixture
def open_chapter(page_at):
    def open_page(**options):
        page = page_at(PAGE, **options)
        page.wait_for_function(f"document.querySelectorAll('.km-alive').length === {len(VISUALS)}")
        return page

    return open_page


def root(page, name):
    return page.locator(f"#km-glance-{name}")


def value(page, name, key):
    return float(root(page, name).get_attribute(f"data-value-{key}"))


def address(page):
    """The page's own word: what the driver calls page.url follows a replaced state with a delay."""
    return page.evaluate("location.href")


def press(page, name, control, *keys):
    root(page, name).locator(f"[data-control={control}]").first.focus()
    for key in keys:
        page.keyboard.press(key)


def lock_a_guess(page, name="strips"):
    press(page, name, "guess", "ArrowRight")
    root(page, name).locator("[data-control=confidence][value='50']").check(force=True)
    root(page, name).locator("[data-control=lock]").click()


# ---- looks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_every_visual_answers_to_keys_in_every_look(open_chapter, look):
    page = open_chapter(**LOOKS[look])
    for name, (control, keys, key) in MOVES.items():
        before = value(page, name, key)
        press(page, name, control, *keys)
        assert value(page, name, key) != before, name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".km-failed").count() == 0


@pytest.mark.parametrize("look", LOOKS)
def test_no_label_leaves_its_picture_or_covers_another(open_chapter, look):
    page = open_chapter(**LOOKS[look])
    for name in ("pixels", "strips"):
        root(page, name).locator("[data-control=jump], [data-control=skip]").first.click()
    root(page, "pixels").locator("[data-control=skip]").click()
    for state in range(2):
        for name in VISUALS:
            assert root(page, name).evaluate(_COLLISIONS) == [], (name, state)
        page.evaluate("KM.stages.forEach(stage => 'model' in stage.state && stage.set({model: 'MOONLIGHT'}))")


_COLLISIONS = """(root) => {
    const svg = root.querySelector(".km-picture svg"), frame = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    const wrong = boxes.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1).map(([text]) => text);
    boxes.forEach(([one, a], index) => boxes.slice(index + 1).forEach(([other, b]) => {
        const apart = a.right <= b.left || b.right <= a.left || a.bottom - 3 <= b.top || b.bottom - 3 <= a.top;
        if (!apart) wrong.push(`${one} | ${other}`);
    }));
    return wrong;
}"""


@pytest.mark.parametrize("look", LOOKS)
def test_text_stands_out_from_its_ground(open_chapter, look):
    page = open_chapter(**LOOKS[look])
    ratios = page.evaluate(_CONTRASTS)
    assert len(ratios) > 40 and {text: ratio for text, ratio in ratios.items() if ratio < 4.5} == {}


# Plain text on the page's or its own background; labels inside bars are checked by their colours in the style sheet.
_CONTRASTS = """() => {
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const found = {};
    const written = ":is(p, button:not(:disabled), .km-segments span, .km-label, svg text:not(.km-on-mark))";
    for (const node of document.querySelectorAll(`.km-stage ${written}, .km-ev, .km-badge`)) {
        if (!node.getClientRects().length) continue;
        const style = getComputedStyle(node), svg = node instanceof SVGElement;
        const [a, b] = [light(parse(svg ? style.fill : style.color)), light(ground(node))].sort((x, y) => y - x);
        found[node.textContent] = (a + 0.05) / (b + 0.05);
    }
    return found;
}"""


def test_at_most_three_controls_and_each_is_44_pixels_to_the_finger(open_chapter):
    page = open_chapter(width=360)
    for name in VISUALS:
        assert 1 <= root(page, name).locator(".km-controls:not(.km-guess *) > .km-control").count() <= 3, name
    small = page.evaluate(
        """[...document.querySelectorAll(".km-stage :is(button, select, input[type=range], .km-segments label)")]
            .filter((node) => node.getClientRects().length && node.getBoundingClientRect().height < 43.5)
            .map((node) => node.outerHTML)"""
    )
    assert small == []


def test_the_theme_switch_repaints(open_chapter):
    page = open_chapter()
    corner = "() => [...KM.stages[0].canvas.getContext('2d').getImageData(200, 200, 1, 1).data]"
    light = page.evaluate(corner)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"JSON.stringify(({corner})()) !== '{json.dumps(light, separators=(',', ':'))}'")


# ---- guesses -----------------------------------------------------------------------------------------------------------


def test_a_locked_guess_outlives_the_page_and_can_be_exported(open_chapter):
    page = open_chapter()
    lock_a_guess(page)
    page.reload()
    page.wait_for_selector("#km-glance-strips.km-alive")
    assert root(page, "strips").locator("[data-control=lock]").count() == 0, "a guess is locked once"
    assert "your guess 6\u00a0%" in root(page, "strips").locator(".km-picture svg").text_content()
    with page.expect_download() as download:
        root(page, "strips").locator("[data-control=export]").click()
    exported = json.loads(download.value.path().read_text())
    guess = exported["guesses"]["glance-strips"]
    assert (exported["version"], guess["value"], guess["confidence"]) == (1, 6, 50)
    assert "attention" in guess["question"]


def test_a_device_that_does_not_keep_a_guess_is_told_apart(open_chapter):
    """Reading back is what counts: here writing reports success and stores nothing."""
    page = open_chapter()
    page.evaluate("Storage.prototype.setItem = () => {}")
    lock_a_guess(page)
    assert "did not keep it" in root(page, "strips").locator(".km-guess").inner_text()


def test_a_foreign_value_in_the_store_does_no_harm(open_chapter):
    page = open_chapter()
    for text in ("not json", "null", '{"guesses": null}', "[]"):
        page.evaluate("text => localStorage.setItem('kimi-mini-guesses', text)", text)
        page.reload()
        page.wait_for_selector("#km-glance-strips.km-alive")
        assert root(page, "strips").locator("[data-control=lock]").count() == 1


# ---- links, table, code ------------------------------------------------------------------------------------------------


def test_the_address_restores_every_visual_that_was_moved(open_chapter):
    page = open_chapter()
    root(page, "calculator").locator("[data-control=field]").select_option("num_attention_heads")
    press(page, "calculator", "num_attention_heads", "End")
    press(page, "cache", "context", "Home")
    values = [value(page, "calculator", "total"), value(page, "cache", "mla")]
    again = open_chapter(query="#" + address(page).split("#")[1])
    assert [value(again, "calculator", "total"), value(again, "cache", "mla")] == values
    assert root(again, "calculator").locator("[data-control=field]").input_value() == "num_attention_heads"
    in_view = "node => Math.abs(node.getBoundingClientRect().top) < innerHeight"
    assert root(again, "cache").evaluate(in_view), "the page opens at the one touched last"


def test_link_to_this_state_names_this_visual_only(open_chapter):
    page = open_chapter()
    press(page, "cache", "context", "Home")
    press(page, "memory", "data", "Home")
    root(page, "memory").get_by_role("button", name="link to this state").click()
    assert address(page).split("#")[1] == "km:glance-memory?data=1"


def test_a_link_that_makes_no_sense_leaves_the_defaults(open_chapter):
    page = open_chapter()
    for state in ("cache?context=abc&users=1e9&x=1", "cache?context=", "no?x=1;;glance-cache", "cache?__proto__=1", "%%%", ""):
        press(page, "cache", "context", "Home")
        page.evaluate("state => { location.hash = '#km:glance-' + state; }", state)
        page.wait_for_function("document.querySelector('#km-glance-cache').dataset.stateContext === '131072'")
    assert value(page, "cache", "mla") == km.accounting.cache_bytes(km.K2, 131072)


def test_reset_clears_the_address(open_chapter):
    page = open_chapter()
    press(page, "cache", "context", "Home")
    assert "#km:" in address(page)
    root(page, "cache").get_by_role("button", name="reset").click()
    assert "#" not in address(page) and value(page, "cache", "mla") == km.accounting.cache_bytes(km.K2, 131072)


def test_the_code_under_a_visual_gives_its_number(open_chapter):
    page = open_chapter()
    press(page, "cache", "context", "ArrowLeft")
    press(page, "memory", "expert", "ArrowRight")
    root(page, "calculator").locator("[data-control=all-moe]").click()
    expected = {
        "calculator": (value(page, "calculator", "total"), value(page, "calculator", "activated")),
        "cache": value(page, "cache", "mla"),
        "memory": value(page, "memory", "fullest"),
        "flops": value(page, "flops", "training-weights") + value(page, "flops", "training-attention"),
        "strips": value(page, "strips", "attention-of-activated"),
        "pixels": value(page, "pixels", "expected"),
    }
    for name, number in expected.items():
        root(page, name).get_by_role("button", name="code").click()
        result = _run(root(page, name).locator(".km-drawer code").inner_text())
        assert getattr(result, "total", result) == pytest.approx(number, rel=1e-12), name


def _run(code):
    """Value of the last line, as a notebook cell would show it."""
    *lines, last = code.splitlines()
    scope = {}
    exec("\n".join(lines), scope)
    return eval(last, scope)


def test_the_table_says_what_the_picture_says(open_chapter):
    page = open_chapter()
    root(page, "calculator").get_by_role("button", name="table").click()
    press(page, "calculator", "first_k_dense_replace", "ArrowRight")
    last = root(page, "calculator").locator(".km-drawer tr").last.locator("td").all_inner_texts()
    count = km.count_parameters(km.K2.replace(first_k_dense_replace=2))
    assert last == ["all", f"{count.total:,}", f"{count.activated:,}"]


def test_the_source_link_leads_to_the_line_shown(open_chapter):
    page = open_chapter()
    page.locator(".km-shown a").click()
    assert "def count_parameters" in page.locator(":target").inner_text()
