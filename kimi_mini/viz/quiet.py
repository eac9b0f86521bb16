"""Quiet figures: one drawing function, two faces. Plotly frames under a slider in a built page, ipywidgets in a kernel.

Neither library is imported before a figure is shown live; the static face is plain JSON.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..checks import require
from .stage import book_is_built, script_json

_MIME = "application/vnd.plotly.v1+json"

Traces = list[dict[str, Any]]


@dataclass(frozen=True)
class Slider:
    """The one thing under the thumb: settings that were computed or recorded, shown by `show`. Opens at `start`."""

    label: str
    values: Sequence[Any]
    start: int = 0
    show: Callable[[Any], str] = str


@dataclass(frozen=True)
class Quiet:
    """A figure that a notebook displays; `figure` is its plotly JSON, frames and slider included."""

    draw: Callable[..., Traces]
    title: Callable[..., str]
    layout: dict[str, Any]
    alt: str
    slider: Slider | None

    @property
    def figure(self) -> dict[str, Any]:
        """Plotly's JSON. `layout.meta` has what the page draws itself (plotly-figures.js): alt text, titles, the slider."""
        if self.slider is None:
            return {"data": self.draw(), "layout": self._layout({"title": self.title()})}
        values = list(self.slider.values)
        frames = [{"name": str(place), "data": self.draw(value)} for place, value in enumerate(values)]
        titles = [self.title(value) for value in values]
        labels = [self.slider.show(value) for value in values]
        words = {"titles": titles, "slider": {"label": self.slider.label, "labels": labels, "start": self.slider.start}}
        data = frames[self.slider.start]["data"]
        return {"data": data, "layout": self._layout({"title": titles[self.slider.start], **words}), "frames": frames}

    def _layout(self, words: dict[str, Any]) -> dict[str, Any]:
        margin = {"l": 52, "r": 12, "t": 36, "b": 48}
        fixed = {"font": {"size": 14}, "height": 380, "margin": margin, "showlegend": False}
        return {**fixed, **self.layout, "meta": {"alt": self.alt, **words}}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {_MIME: self.figure, "text/plain": self.alt}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if book_is_built() or self.slider is None:
            display(self._repr_mimebundle_(), raw=True)
        else:
            display(self.widget())

    def widget(self) -> Any:
        """The live face: an ipywidgets box of a slider and the figure, drawn anew for each value in the kernel."""
        import ipywidgets
        from plotly import graph_objects

        options = [(self.slider.show(value), place) for place, value in enumerate(self.slider.values)]
        control = ipywidgets.SelectionSlider(
            options=options, value=self.slider.start, description=self.slider.label, style={"description_width": "initial"}
        )

        heading = ipywidgets.HTML()

        def redraw(place: int) -> None:
            value = self.slider.values[place]
            heading.value = f"<b>{html.escape(self.title(value))}</b>"
            graph_objects.Figure(data=self.draw(value), layout=self._layout({})).show(config={"displayModeBar": False})

        return ipywidgets.VBox([heading, control, ipywidgets.interactive_output(redraw, {"place": control})])


def caption(text: str) -> list[dict[str, Any]]:
    """plotly's `annotations`: what the vertical axis counts, written above it."""
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return [{"text": text, **place}]


def beneath(text: str) -> dict[str, Any]:
    """plotly's `title` of the horizontal axis."""
    return {"text": text, "font": {"size": 14}, "standoff": 6}


def quiet(
    draw: Callable[..., Traces],
    *,
    title: str | Callable[..., str],
    alt: str,
    slider: Slider | None = None,
    **layout: Any,
) -> Quiet:
    """Show the plotly traces that `draw(value)` returns, for each value of `slider` (`draw()` where there is none).

    `title` is the finding, as text or as a function of the value; `alt` says what is to be seen; `layout` is plotly's.
    Raises ValueError for an empty text, a slider whose start is not one of its values, or traces that JSON cannot hold.
    """
    words = title if callable(title) else lambda *_: title
    require(isinstance(alt, str) and bool(alt.strip()), "alt", alt, "a sentence")
    if slider is not None:
        inside = 0 <= slider.start < len(slider.values)
        require(inside, "slider.start", slider.start, f"an index of its {len(slider.values)} values")
    figure = Quiet(draw, words, layout, alt, slider)
    made = figure.figure  # what cannot be drawn fails here, not when the cell is displayed
    require(bool(made["layout"]["meta"]["title"].strip()), "title", title, "a sentence")
    script_json(made)
    return figure
