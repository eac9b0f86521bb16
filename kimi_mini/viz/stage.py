"""One interactive visual, two faces: a plain element inside a built page, an iframe inside a running notebook.

The drawing itself is a classic script in `static/`; both faces run the same one on the same data.
"""

from __future__ import annotations

import html
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..checks import require

_STATIC = Path(__file__).parent / "static"


def book_is_built() -> bool:
    """Whether this kernel runs for the built book (its Sphinx extension sets KIMI_BOOK=static) and not for a person."""
    return os.environ.get("KIMI_BOOK") == "static"


def static_files() -> list[Path]:
    """Scripts and style sheets of the stage, in the order in which a page must load them."""
    return sorted(path for path in _STATIC.iterdir() if path.suffix in (".js", ".css"))


@cache
def components() -> frozenset[str]:
    """Names of the visuals that the scripts define."""
    scripts = (path.read_text(encoding="utf-8") for path in static_files() if path.suffix == ".js")
    return frozenset(name for script in scripts for name in re.findall(r'(?m)^  KM\.component\("([a-z0-9-]+)", \{', script))


@dataclass(frozen=True)
class Stage:
    """A visual that a notebook displays; `element` is its HTML, `page` the same as a document of its own."""

    component: str
    name: str
    data: Any
    title: str
    alt: str
    still: str
    height: int

    @property
    def element(self) -> str:
        attributes = {
            "class": "km-stage",
            "id": f"km-{self.name}",
            "role": "group",
            "aria-labelledby": f"km-{self.name}-title",
            "data-component": self.component,
            "data-name": self.name,
            "data-alt": self.alt,
        }
        opening = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
        return (
            f'<div {opening}><p class="km-title" id="km-{self.name}-title">{html.escape(self.title)}</p>'
            f'<script type="application/json">{script_json(self.data)}</script>'
            f'<div class="km-still">{self.still}</div></div>'
        )

    @property
    def page(self) -> str:
        styles = "".join(f"<style>{p.read_text(encoding='utf-8')}</style>" for p in static_files() if p.suffix == ".css")
        scripts = "".join(f"<script>{p.read_text(encoding='utf-8')}</script>" for p in static_files() if p.suffix == ".js")
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'{styles}</head><body class="km-live">{self.element}{scripts}</body></html>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": f"{self.title} {self.alt}"}

    def _repr_html_(self) -> str:
        if book_is_built():
            return self.element
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="{html.escape(self.title)}" width="100%" '
            f'height="{self.height}" style="border:0" loading="lazy"></iframe>'
        )


def stage(
    component: str, data: Any, *, title: str, alt: str, still: str = "", name: str | None = None, height: int = 640
) -> Stage:
    """Show `data` with the visual `component` (a `KM.component` of static/).

    `title` is the finding as one sentence; `alt` says what is to be seen, for readers who cannot see it; `still` is trusted
    HTML that stands where no script runs (print, EPUB); `name` is the visual's key in links and saved guesses, unique in the
    book; `height` is the iframe's first height in pixels. Raises ValueError for an unknown component or an empty text.
    """
    require(component in components(), "component", component, f"one of {', '.join(sorted(components()))}")
    for field, text in (("title", title), ("alt", alt)):
        require(isinstance(text, str) and bool(text.strip()), field, text, "a sentence")
    name = name or component
    require(bool(re.fullmatch(r"[a-z][a-z0-9-]*", name)), "name", name, "lower-case letters, digits and hyphens")
    script_json(data)  # data that JSON cannot hold fails here, not when the cell is displayed
    return Stage(component, name, data, title, alt, still, height)


def script_json(data: Any) -> str:
    """`data` as JSON that cannot end the script element it is put in. Raises ValueError for NaN and foreign objects."""
    try:
        text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"data cannot be written as JSON ({error}); expected numbers, text, lists and dicts") from None
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
