"""Stills: what stands in a figure's place where no script runs. SVG that inherits the page's ink, and plain tables."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

COLOURS = {
    "attention": "#0072B2",
    "experts": "#009E73",
    "optimizer": "#D55E00",
    "reward": "#CC79A7",
    "rest": "#767676",
}


def bars(rows: Iterable[tuple[str, float, str, str]]) -> str:
    """Horizontal bars as SVG from (label, value, text of the value, colour name), on one axis from 0."""
    rows = list(rows)
    longest = max(value for _, value, _, _ in rows)
    drawn = []
    for index, (label, value, text, colour) in enumerate(rows):
        y = 44 * index
        drawn.append(
            f'<text x="0" y="{y + 14}">{html.escape(label)}</text>'
            f'<text x="640" y="{y + 14}" text-anchor="end">{html.escape(text)}</text>'
            f'<rect x="0" y="{y + 20}" width="{640 * value / longest:.1f}" height="16" fill="{COLOURS[colour]}"/>'
        )
    return _svg(640, 44 * len(rows), 640, "".join(drawn))


def rectangles(side: float, parts: Iterable[tuple[float, float, float, float, str]]) -> str:
    """Coloured rectangles (x, y, width, height, colour name) in a square of `side` units, as SVG."""
    drawn = (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{COLOURS[colour]}"/>'
        for x, y, width, height, colour in parts
    )
    return _svg(side, side, 480, "".join(drawn))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; every cell is escaped."""
    head = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _svg(width: float, height: float, shown_width: float, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" aria-hidden="true" viewBox="0 0 {width:.2f} {height:.2f}" '
        f'width="{shown_width:.0f}" font-size="14" fill="currentColor">{body}</svg>'
    )
