"""The map of the tools: the collection of `runs.tools` on a plane, one mark a tool, under the reader's hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checks import require
from . import still
from .stage import Stage, stage

ZOOMS = (1, 2, 4, 8)
_FIELDS = ("name", "description", "arguments", "reads", "category", "domain", "source", "x", "y")


def load_map(path: str | Path) -> dict[str, Any]:
    """The row of `runs.tools`. Raises ValueError where it lacks what the figure shows."""
    row = json.loads(Path(path).read_text(encoding="utf-8"))
    whole = isinstance(row.get("tools"), list) and len(row["tools"]) > 1 and {"nearest", "counts"} <= row.keys()
    require(whole, str(path), sorted(row), "tools, nearest and counts, as `python -m runs.tools` writes them")
    return row


def tool_map(row: Mapping[str, Any]) -> Stage:
    """Every tool at its place; a domain, a tool and a zoom are chosen, or a mark is pointed at."""
    tools = sorted(row["tools"], key=lambda tool: (tool["source"] != "served", tool["category"], tool["domain"], tool["name"]))
    data = {
        "tools": [{field: tool[field] for field in _FIELDS} for tool in tools],
        "zooms": ZOOMS, "counts": {key: row["counts"][key] for key in ("made", "valid", "unique")},
    }  # fmt: skip
    near = row["nearest"]["domain"]
    sizes: dict[str, list[Any]] = {}
    for tool in tools:
        sizes.setdefault(tool["domain"], [tool["category"], tool["source"], 0])[2] += 1
    return stage(
        "tool-map",
        data,
        name="tools-map",
        title=f"{len(tools)} tools, placed by their words: the nearest one is of the same domain for {near['map']:.0%} of "
        f"them; chance would give {near['chance']:.0%}.",
        alt="A plane with a mark for each tool, near to each other where names, descriptions and arguments are alike: dots for "
        "evolved tools, squares for those of the five worlds. A chosen domain is large, the rest grey; one tool is named.",
        still=still.table(("domain", "category", "source", "tools"), [(name, *rest) for name, rest in sizes.items()]),
        height=900,
    )
