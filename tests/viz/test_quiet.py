"""A quiet figure: the same drawing as plotly frames in a page and as ipywidgets in a kernel."""

import subprocess
import sys

import pytest

from kimi_mini.viz.quiet import Slider, quiet

SLIDER = Slider("power", [1, 2, 3], start=1)


def powers(exponent=1):
    return [{"type": "scatter", "x": [1, 2, 3], "y": [x**exponent for x in (1, 2, 3)]}]


def figure(**changes):
    settings = {"title": lambda exponent: f"Power {exponent}", "alt": "Three points.", "slider": SLIDER} | changes
    return quiet(powers, **settings)


def test_frames_hold_one_drawing_per_value_and_the_slider_names_them():
    made = figure().figure
    assert [frame["data"][0]["y"] for frame in made["frames"]] == [[1, 2, 3], [1, 4, 9], [1, 8, 27]]
    assert made["layout"]["meta"]["titles"] == ["Power 1", "Power 2", "Power 3"]
    assert made["layout"]["meta"]["slider"] == {"label": "power", "labels": ["1", "2", "3"], "start": 1}
    assert made["data"][0]["y"] == [1, 4, 9] and made["layout"]["meta"]["title"] == "Power 2"
    assert made["layout"]["meta"]["alt"] == "Three points."


def test_without_a_slider_there_is_one_drawing():
    made = figure(slider=None, title="A line").figure
    assert "frames" not in made and made["data"] == powers() and made["layout"]["meta"]["title"] == "A line"


def test_the_static_face_is_plotlys_json(monkeypatch):
    monkeypatch.setenv("KIMI_BOOK", "static")
    bundle = figure()._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.plotly.v1+json", "text/plain"} and bundle["text/plain"] == "Three points."


def test_the_live_face_draws_again_for_each_value(monkeypatch):
    graph_objects = pytest.importorskip("plotly.graph_objects")
    shown = []
    monkeypatch.setattr(graph_objects.Figure, "show", lambda self, **_: shown.append(self))
    heading, control, _ = figure().widget().children
    assert control.index == 1
    control.index = 2
    assert [tuple(one.data[0].y) for one in shown] == [(1, 4, 9), (1, 8, 27)]
    assert heading.value == "<b>Power 3</b>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alt": " "}, "alt = "),
        ({"title": ""}, "title = "),
        ({"slider": Slider("power", [1, 2], start=2)}, "slider.start = 2 .*2 values"),
        ({"slider": Slider("power", [])}, "slider.start"),
    ],
)
def test_what_cannot_be_shown_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        figure(**changes)


def test_a_drawing_that_is_not_numbers_is_refused():
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        quiet(lambda: [{"y": [float("nan")]}], title="A hole", alt="A hole.")


def test_nothing_is_imported_before_a_figure_is_shown_live():
    code = (
        "import sys; from kimi_mini.viz.quiet import quiet; quiet(lambda: [], title='t', alt='a.').figure;"
        "print([m for m in ('plotly', 'ipywidgets', 'IPython') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
