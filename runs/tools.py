"""The map of the book's tools: those of the five worlds, read over the Model Context Protocol, and those that were evolved.

Each tool is placed by its words alone (name, description, arguments). One file, book/data/tools/map.json; a second call finds
it there and does nothing.

examples:
  python -m runs.tools --list            whether it is done
  python -m runs.tools                   about a minute on one core
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kimi_mini.corpus.files import Corpus
from kimi_mini.tools import WORLDS
from kimi_mini.tools.client import ToolClient
from kimi_mini.tools.domains import DOMAINS
from kimi_mini.tools.evolve import ALIKE, PER_DOMAIN, evolve
from kimi_mini.tools.map import SIZE, features, principal, same_neighbour, told, tsne
from kimi_mini.tools.world import Tool
from runs.output import made_here
from runs.points import run_points

FOLDER = Path("book/data/tools")
AXES, PERPLEXITY, STEPS = 30, 15.0, 500  # principal axes that t-SNE starts from, neighbours it looks for, its steps
CATEGORY = {"calculator": "work", "calendar": "work", "files": "work", "shop": "commerce", "airline": "travel"}


@dataclass(frozen=True)
class Point:
    """One collection of tools, from one seed."""

    seed: int = 0
    name: str = "map"


def served() -> list[dict[str, Any]]:
    """The tools of the worlds as their servers list them."""
    rows = []
    for name in WORLDS:
        with ToolClient.world(name, 0) as client:
            rows += [_row(tool, CATEGORY[name], name, "served") for tool in client.tools]
    return rows


def _row(tool: Tool, category: str, domain: str, source: str) -> dict[str, Any]:
    return {
        "name": tool.name, "description": tool.description, "arguments": list(tool.parameters["properties"]),
        "reads": tool.reads, "category": category, "domain": domain, "source": source, "told": told(tool),
    }  # fmt: skip


def record(point: Point, text: Corpus) -> dict[str, Any]:
    """Evolve, read the worlds' tools from their servers, place all of them, and say how near their like they are."""
    began = time.perf_counter()
    evolved, counts = evolve(point.seed)
    rows = served() + [
        {
            **_row(one.tool, DOMAINS[one.recipe.domain].category, one.recipe.domain, "evolved"),
            "operation": one.recipe.operation,
        }
        for one in evolved
    ]
    found_ND = features([row.pop("told") for row in rows])
    place_N2 = tsne(principal(found_ND, AXES), perplexity=PERPLEXITY, steps=STEPS)
    place_N2 = place_N2 - (place_N2.max(0) + place_N2.min(0)) / 2
    place_N2 = place_N2 / np.abs(place_N2).max()  # the box around all of them is centred and at most 2 wide
    for row, (x, y) in zip(rows, place_N2, strict=True):
        row["x"], row["y"] = round(float(x), 4), round(float(y), 4)
    labels = {key: [row[key] for row in rows] for key in ("domain", "category")}
    return {
        "made_by": "python -m runs.tools", "seed": point.seed, "tools": rows, "counts": counts._asdict(),
        "nearest": {
            key: {
                "words": round(same_neighbour(found_ND, values), 4), "map": round(same_neighbour(place_N2, values), 4),
                "chance": round(_chance(values), 4),
            }
            for key, values in labels.items()
        },
        "features": SIZE, "axes": AXES, "perplexity": PERPLEXITY, "steps": STEPS, "per_domain": PER_DOMAIN, "alike": ALIKE,
        **made_here(), "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _chance(labels: list[str]) -> float:
    """Share of pairs of different tools that have the same label."""
    sizes = [labels.count(label) for label in set(labels)]
    return sum(size * (size - 1) for size in sizes) / (len(labels) * (len(labels) - 1))


def main(argv: list[str] | None = None) -> None:
    """Make the map where it is missing."""
    run_points(argv, doc=__doc__, points=[Point()], record=record, folder=FOLDER, seconds=60)


if __name__ == "__main__":
    main()
