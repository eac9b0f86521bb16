"""The ranking machine under a hand: its numbers are the package's, no missing cell is a 0, and four models can be first."""

import math

import pytest

from kimi_mini.evals.reported import TABLES, first_of, mean_of
from kimi_mini.evals.statistics import mean_error
from kimi_mini.viz import ranking

MODELS = TABLES["instruct"].models
CHIPS = {row.key: row for row in ranking.CHIPS}


def test_the_machine_carries_the_tables_cells_and_no_made_up_ones():
    data = ranking.ranking_machine().data
    assert len(data["chips"]) == 10 and data["choices"] == 1023
    swe = data["chips"][0]
    assert swe["values"] == {"k2": 65.8, "deepseek": 38.8, "qwen": 34.4, "sonnet": 72.7, "opus": 72.5, "gpt": 54.6}
    assert data["firsts"] == [("k2", 816), ("opus", 197), ("sonnet", 5), ("gpt", 1)] and data["shared"] == 4


def test_the_quiet_figures_say_what_the_package_computes():
    by_task, by_domain = (ranking.two_means().draw(weighted)[0] for weighted in (True, False))
    assert (by_task["text"][0], by_domain["text"][0]) == ("66.1", "64.3")
    assert "8.7 points on 30 questions, to 2.1 on 500" in ranking.errors_by_questions().title()
    line, marks = ranking.errors_by_questions().draw()
    assert marks["x"] == [30, 50, 114, 198, 500] and marks["y"][0] == pytest.approx(8.66, abs=0.01)
    assert line["y"] == sorted(line["y"], reverse=True)


# ---- under a hand ------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(chromium, tmp_path):
    """`opened()` is the machine in a browser, the guess skipped; nothing may be complained about."""
    context, complaints = chromium.new_context(offline=True, reduced_motion="reduce"), []
    (tmp_path / "page.html").write_text(ranking.ranking_machine().page, encoding="utf-8")

    def open_stage(*, skip=True, width=760, hash=""):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri() + hash)
        if skip:
            page.locator("[data-control=skip]").click()
        return page.locator("#km-ranking-machine.km-alive")

    yield open_stage
    context.close()
    assert complaints == []


def keep(root, *wanted):
    """Count these chips and no others."""
    for key in CHIPS:
        if (root.get_attribute(f"data-state-{key}") == "in") != (key in wanted):
            root.locator(f"button[data-control={key}]").click()


def means(root):
    said = {model: root.get_attribute(f"data-value-mean-{model}") for model in MODELS}
    return {model: float(text) if text else None for model, text in said.items()}


def agrees(root, keys, weighted):
    """Means, errors, places and the first are those of the package."""
    rows = [CHIPS[key] for key in keys]
    expected = {model: mean_of(rows, model, weighted=weighted) for model in MODELS}
    assert means(root) == pytest.approx(expected)
    assert root.get_attribute("data-value-first").split() == list(first_of(rows, MODELS, weighted=weighted))
    known = all(row.questions for row in rows)
    for model, mean in expected.items():
        error = root.get_attribute(f"data-value-error-{model}")
        assert bool(error) == (known and mean is not None)
        if error:
            scores = [row.values[model] / 100 for row in rows]
            assert float(error) == pytest.approx(100 * mean_error(scores, [r.questions for r in rows], weighted=weighted))
    return True


@pytest.mark.browser
def test_chips_wait_for_the_guess(opened):
    root = opened(skip=False)
    assert root.locator(".km-shelf:visible").count() == 0 and root.locator("[data-control=mean]").count() == 0
    assert "How many of the 7 can be" in root.locator(".km-title").inner_text()


@pytest.mark.browser
def test_means_and_errors_are_the_packages(opened):
    root = opened()
    assert agrees(root, CHIPS, weighted=False)
    keep(root, "retail", "airline", "telecom")
    assert agrees(root, ("retail", "airline", "telecom"), weighted=False)
    assert f"{means(root)['k2']:.1f}" == "64.3"
    root.locator("[data-control=mean][value=weighted]").check(force=True)
    assert agrees(root, ("retail", "airline", "telecom"), weighted=True)
    assert f"{means(root)['k2']:.1f}" == "66.1"
    root.locator("[data-control=intervals][value=on]").check(force=True)
    assert "the two intervals overlap" in root.locator(".km-title").inner_text()
    assert root.locator("rect.km-lane-span").count() == 7


@pytest.mark.browser
def test_four_models_are_put_first(opened):
    root = opened()
    wins = {"k2": tuple(CHIPS), "opus": ("retail", "airline", "telecom"), "sonnet": ("swe", "ace"), "gpt": ("ace",)}
    for model, keys in wins.items():
        keep(root, *keys)
        assert root.get_attribute("data-value-first") == model
    assert root.get_attribute("data-value-found") == "4"
    assert "4 of 4" in root.locator(".km-ranking-tally").inner_text()


@pytest.mark.browser
def test_a_missing_figure_is_told_and_ranks_nobody(opened):
    root = opened()
    keep(root, "swe")
    assert means(root)["gemini"] is None and root.get_attribute("data-value-place-gemini") == "7"
    assert "no figure: SWE-bench Verified" in root.locator(".km-picture svg").text_content()
    root.locator("[data-control=lcb]").click()
    root.locator("[data-control=swe]").click()
    assert means(root)["gemini"] == 44.7
    keep(root)
    assert "Nothing is counted" in root.locator(".km-title").inner_text() and set(means(root).values()) == {None}


@pytest.mark.browser
def test_without_a_number_of_questions_there_is_no_interval_and_no_weight(opened):
    root = opened()
    root.locator("[data-control=intervals][value=on]").check(force=True)
    assert root.locator("rect.km-lane-span").count() == 0
    assert "unknown here for LiveCodeBench v6, OJBench and ACEBench (En)" in root.locator(".km-note").inner_text()
    root.locator("[data-control=mean][value=weighted]").check(force=True)
    assert agrees(root, [key for key, row in CHIPS.items() if row.questions], weighted=True)
    assert root.locator("button.km-uncounted").count() == 3


@pytest.mark.browser
def test_a_chip_goes_by_key_and_by_drag_and_keeps_the_focus(opened):
    root = opened()
    chip = root.locator("[data-control=aime]")
    chip.focus()
    root.page.keyboard.press("Enter")
    assert root.locator(".km-shelf-out [data-control=aime]").count() == 1
    root.page.keyboard.press("Enter")
    assert root.locator(".km-shelf-in [data-control=aime]").count() == 1, "the focus went along"
    mouse, target = root.page.mouse, root.locator(".km-shelf-out").bounding_box()
    box = chip.bounding_box()
    mouse.move(box["x"] + 20, box["y"] + 20)
    mouse.down()
    mouse.move(target["x"] + 60, target["y"] + 30, steps=4)
    mouse.up()
    assert root.get_attribute("data-state-aime") == "out" and root.get_attribute("data-value-counted") == "9"
    assert box["height"] >= 44


@pytest.mark.browser
def test_lanes_move_and_are_the_same_marks(opened):
    root = opened()
    mark = root.locator("rect.km-lane-mean").first.element_handle()
    before = mark.bounding_box()
    keep(root, "ace")
    after = mark.bounding_box()
    assert mark.evaluate("node => node.isConnected") and not math.isclose(before["y"], after["y"], abs_tol=1)


@pytest.mark.browser
def test_a_link_brings_the_choice_back_and_reset_takes_it(opened):
    root = opened(hash="#km:ranking-machine?swe=out&mean=weighted&aime=nonsense")
    assert (root.get_attribute("data-state-swe"), root.get_attribute("data-state-aime")) == ("out", "in")
    root.get_by_role("button", name="reset").click()
    assert root.get_attribute("data-state-swe") == "in" and root.get_attribute("data-value-found") == "1"


@pytest.mark.browser
def test_it_fits_a_phone(opened):
    root = opened(width=360)
    for keys in (tuple(CHIPS), ("swe", "lcb", "oj", "aime"), ()):
        keep(root, *keys)
        assert root.page.evaluate("document.documentElement.scrollWidth") <= 360
        for text in root.locator(".km-picture text").all():
            edges = text.bounding_box()
            assert edges["x"] >= 0 and edges["x"] + edges["width"] <= 360, text.text_content()
