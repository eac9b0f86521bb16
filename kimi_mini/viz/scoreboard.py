"""The scoreboard: the register of claims as a count and a table, which stacks on a phone."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..claims import CLAIMS, Claim, count_outcomes
from .stage import book_is_built

_STYLE = Path(__file__).parent / "static" / "12-board.css"
_COLUMNS = ("No.", "Claim", "Source", "Outcome", "Evidence", "Chapter")
_SHAPES = {  # drawn in ink inside a 12 x 12 frame: the outcome is told by word and shape, never by colour
    "reproduced": "M0 0H12V12H0Z",
    "partly": "M0 12V0L12 12Z",
    "not at this scale": "M0 5H12V7H0Z",
    "not yet": "",
}


@dataclass(frozen=True)
class Markup:
    """A piece of a page: its HTML, and what to say where only text is shown."""

    body: str
    text: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        style = "" if book_is_built() else f"<style>{_STYLE.read_text(encoding='utf-8')}</style>"
        return {"text/html": style + self.body, "text/plain": self.text}


def sentence(claims: Iterable[Claim] = CLAIMS) -> str:
    """The count by outcome, in words a reader can check: every outcome is named, those with none too."""
    counts = count_outcomes(claims)
    parts = [f"{number} {outcome}" for outcome, number in counts.items()]
    return f"Of {sum(counts.values())} claims: {', '.join(parts[:-1])} and {parts[-1]}."


def counts(claims: Iterable[Claim] = CLAIMS) -> Markup:
    """`sentence` as the page's headline."""
    text = sentence(claims)
    return Markup(f'<p class="km-board km-board-count">{html.escape(text)}</p>', text)


def table(claims: Iterable[Claim] = CLAIMS) -> Markup:
    """One row per claim, in the register's order; every text is escaped."""
    claims = tuple(claims)
    head = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in _COLUMNS)
    body = "".join(map(_row, claims))
    return Markup(
        '<div class="km-board" role="region" aria-label="Claims" tabindex="0"><table role="table">'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{body}</tbody></table></div>',
        "\n".join(f"{each.number:2} {each.outcome:17} {each.title}" for each in claims),
    )


def _path(named: str) -> str:
    """Code that may break where a reader would break it."""
    return f"<p><code>{html.escape(named).replace('::', '<wbr>::').replace('_', '_<wbr>')}</code></p>"


def _row(claim: Claim) -> str:
    note = f'<p class="km-board-note">{html.escape(claim.note)}</p>' if claim.note else ""
    shape = _SHAPES[claim.outcome]
    cells = (
        f"{claim.number}",
        f"<strong>{html.escape(claim.title)}.</strong> {html.escape(claim.claim)}{note}",
        html.escape(claim.source),
        f'<svg aria-hidden="true" viewBox="-1 -1 14 14" width="14" height="14"><path d="M0 0H12V12H0Z" fill="none" '
        f'stroke="currentColor" stroke-width="1.5"/><path d="{shape}" fill="currentColor"/></svg> {html.escape(claim.outcome)}',
        "".join(map(_path, claim.evidence)) or "none yet",
        f"{claim.chapter.number}. {html.escape(claim.chapter.title)}",
    )
    labelled = zip(_COLUMNS, cells, strict=True)
    drawn = "".join(f'<td role="cell" data-label="{name}">{cell}</td>' for name, cell in labelled)
    return f'<tr role="row" data-claim="{claim.number}" data-outcome="{html.escape(claim.outcome)}">{drawn}</tr>'
