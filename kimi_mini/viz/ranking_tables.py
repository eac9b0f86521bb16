"""The evaluation tables of the chapter on the scoreboard: cells as printed, with stars, daggers and the highest of each row."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..checks import require
from ..evals.reported import ACCOUNT, DISCREPANCIES, MODELS, TABLES, Table
from .scoreboard import Markup

DAGGER = "\u2020"


def evaluation(name: str) -> Markup:
    """One of TABLES. * the vendor's own figure, a dagger another value elsewhere, bold the highest of a row of several."""
    require(name in TABLES, "name", name, f"one of {', '.join(TABLES)}")
    table = TABLES[name]
    disputed = {each.cell for each in DISCREPANCIES}
    columns = ("benchmark", "measure", "questions", *(MODELS[model] for model in table.models))
    rows = []
    for row in table.rows:
        best = max(row.values.values()) if len(row.values) > 1 else None
        cells = []
        for model in table.models:
            mark = DAGGER if (name, row.key, model) in disputed else ""
            text = html.escape(row.cell(model, table.digits) + mark)
            cells.append(f"<strong>{text}</strong>" if row.values.get(model) == best else text)
        known = [html.escape(row.metric or "unknown"), f"{row.questions:,}" if row.questions else "unknown"]
        rows.append((html.escape(row.name), *known, *cells))
    keep = [0, *(place for place in (1, 2) if _says(table, place)), *range(3, len(columns))]
    return figure_table(
        f"{table.title}: {table.source}. {table.note}".strip(),
        [columns[place] for place in keep],
        [[row[place] for place in keep] for row in rows],
    )


def _says(table: Table, place: int) -> bool:
    """Whether a column of the measure or of the number of questions has anything in it."""
    return any(row.metric if place == 1 else row.questions for row in table.rows)


def discrepancies(*kinds: str) -> Markup:
    """Where two sources differ, both values with their sources."""
    rows = [
        [html.escape(each.what), *(_valued(*side) for side in (each.first, each.second))]
        for each in DISCREPANCIES
        if each.kind in kinds
    ]
    return figure_table("Two sources, two answers.", ("what", "one says", "the other says"), rows)


def _valued(value: Any, source: str) -> str:
    return f"<strong>{html.escape(str(value))}</strong>, {html.escape(source)}"


def account() -> Markup:
    """The sentences of a popular account beside what the sources say."""
    rows = [[html.escape(each.says), html.escape(each.found), html.escape(each.source)] for each in ACCOUNT]
    return figure_table("A popular account, sentence by sentence.", ("it says", "the sources say", "where"), rows)


def read_own(path: str | Path) -> dict[str, Any]:
    """What `python -m runs.evals` wrote. Raises ValueError where nothing is there."""
    path = Path(path)
    require(path.is_file(), "path", str(path), "a file of `python -m runs.evals`")
    return json.loads(path.read_text(encoding="utf-8"))


def own_benchmarks(content: dict[str, Any]) -> Markup:
    """A model on the book's own benchmarks: Avg@k with its interval over problems, and what was cut off."""
    rows = []
    for row in content["benchmarks"]:
        mean = row["average"]
        rows.append(
            [
                html.escape(row["benchmark"]), f"{row['asked']}", f"{row['samples']}", f"{100 * mean['value']:.1f}",
                f"{100 * mean['low']:.1f} to {100 * mean['high']:.1f}", f"{row['truncated']} of {row['answers']}",
            ]
        )  # fmt: skip
    columns = ("benchmark", "problems", "answers each", "right, percent", "95 %", "cut off")
    return figure_table(f"{content['subject'].partition('@')[0].upper()}, measured here.", columns, rows)


def figure_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table that scrolls in its own box; cells are HTML, columns and title are text."""
    rows = list(rows)
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    lines = (f'<th scope="row">{row[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return Markup(
        f'<p class="km-figures-title">{html.escape(title)}</p>'
        f'<div class="km-figures" role="region" aria-label="{html.escape(title)}" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
        title,
    )
