"""Plotly figures in notebook outputs, drawn by the one plotly.min.js in `_static` (see kimi_book.py)."""

from __future__ import annotations

import html
import json

from docutils import nodes
from sphinx.util import logging

MIME_TYPE = "application/vnd.plotly.v1+json"
CONFIG = {"responsive": True, "displayModeBar": False}

logger = logging.getLogger(__name__)


class PlotlyOutput:
    """A myst-nb MIME renderer; myst-nb finds it through the entry point in kimi_book_plotly-1.dist-info."""

    mime_priority_overrides = [("html", MIME_TYPE, 1)]

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """A div that plotly-figures.js fills, or None for any other type. A figure without alt text is a warning."""
        if inline or data.mime_type != MIME_TYPE:
            return None
        figure = data.content
        alt = (figure["layout"].get("meta") or {}).get("alt", "")
        if not alt:
            logger.warning(
                "a plotly figure has no alt text: set layout.meta = {'alt': ...}", location=renderer.document["source"]
            )
        fields = {"data": figure["data"], "layout": figure["layout"], "frames": figure.get("frames"), "config": CONFIG}
        payload = json.dumps(fields).replace("</", r"<\/")  # a string in the figure must not end the script
        markup = (
            f'<div class="km-plotly km-stage km-alive"><script type="application/json">{payload}</script>'
            f'<div class="km-picture" role="img" aria-label="{html.escape(alt)}"></div></div>'
        )
        return [nodes.raw(text=markup, format="html")]
