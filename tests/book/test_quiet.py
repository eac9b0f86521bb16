"""Every quiet figure of every page: its slider answers to keys, and the numbers drawn are those of the frame it names."""

import json

import pytest
import yaml

from kimi_mini.dev import ROOT

CHAPTERS = [entry["file"] for entry in yaml.safe_load((ROOT / "_toc.yml").read_text())["chapters"]]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_sliders_of_quiet_figures_change_the_numbers(page_at, chapter, dark):
    page = page_at(f"{chapter}.html", dark=dark)
    for figure in page.locator(".km-plotly").all():
        plot = figure.locator(".js-plotly-plot")
        plot.locator(".trace").first.wait_for(state="attached")
        made = json.loads(figure.locator("script").text_content())
        words = made["layout"]["meta"]
        if "slider" not in words:
            continue
        last = len(made["frames"]) - 1
        key, place = ("Home", 0) if words["slider"]["start"] == last else ("End", last)
        figure.locator("[data-control=frame]").press(key)
        assert figure.locator(".km-title").text_content() == words["titles"][place] != words["title"]
        page.wait_for_function(
            "([plot, y]) => JSON.stringify(plot.data.map(trace => Array.from(trace.y))) === JSON.stringify(y)",
            arg=[plot.element_handle(), [trace["y"] for trace in made["frames"][place]["data"]]],
        )


FIGURES = {
    "position": 3,
    "latent": 3,
    "routing": 1,
    "balance": 1,
    "bets": 3,
    "muon": 6,
    "muonclip": 3,
    "museum": 3,
    "rephrase": 1,
    "recorder": 3,
    "kernels": 3,
}


@pytest.mark.parametrize(("chapter", "figures"), FIGURES.items())
def test_the_figures_are_there(built_book, chapter, figures):
    assert (built_book / "book" / f"{chapter}.html").read_text().count('class="km-plotly ') == figures
