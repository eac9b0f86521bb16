"""The what-if player: one agent's run as a film strip whose outcomes are flipped by hand, from recorded trees."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..checks import require
from ..tools import OUTCOMES
from . import still
from .stage import Stage, stage

FLIPS = 2  # at most, in the page; the recorded trees go one deeper
SERVERS = ("shop", "airline", "files", "calendar")
HABITS = ("careful", "believes failures", "repeats acts")
_KEPT = ("made", "valid", "passed", "kept")


def load_trees(folder: str | Path) -> list[dict[str, Any]]:
    """The recorded trees of `runs.trajectories`, by habit and server. Raises ValueError where one is missing."""
    paths = [Path(folder) / f"{server}-{habit.replace(' ', '-')}.json" for habit in HABITS for server in SERVERS]
    missing = [path.name for path in paths if not path.is_file()]
    require(not missing, str(folder), ", ".join(missing), "all trees that `python -m runs.trajectories` writes")
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def load_funnel(folder: str | Path) -> dict[str, Any]:
    """What became of the larger batch: {"funnel", "habits", "items"}, as `runs.trajectories` writes it."""
    return json.loads((Path(folder) / "funnel.json").read_text(encoding="utf-8"))


def what_if(trees: Iterable[Mapping[str, Any]], funnel: Mapping[str, Any]) -> Stage:
    """Flip the outcome of a call, and the recorded run that went on from there is shown, with its verdict."""
    small = [_small(tree) for tree in trees]
    first = next(tree for tree in small if (tree["server"], tree["habit"]) == ("shop", "believes failures"))
    run = first["runs"]["2:error"]
    failed = sum(not first["items"][place]["passed"] for place in run["items"])
    rows = [(frame["who"], _words(frame)) for frame in (first["frames"][place] for place in run["frames"])]
    return stage(
        "what-if",
        {"trees": small, "outcomes": list(OUTCOMES), "funnel": {key: funnel["funnel"][key] for key in _KEPT}, "limit": FLIPS},
        name="trajectories-what-if",
        title=f"One flipped outcome, and {failed} of {len(run['items'])} items of the rubric fail: the agent says it is done.",
        alt="An agent's run as a strip of frames: user, agent, tool. Each answer of a tool has buttons for four outcomes; "
        "choosing another shows the run that went on from there. Below, the rubric with a tick or a cross for each item, "
        "and a funnel of how many runs of a larger batch were made, valid, passed and kept.",
        still=still.table(("who", "what"), rows),
        height=1500,
    )


def _small(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree with at most FLIPS flips, and only what its runs show."""
    runs = {flips: run for flips, run in tree["runs"].items() if not flips or flips.count(",") < FLIPS}
    found: dict[str, Any] = {name: tree[name] for name in ("server", "habit", "wish")}
    for kind in ("frames", "items"):
        used = sorted({place for run in runs.values() for place in run[kind]})
        found[kind] = [tree[kind][place] for place in used]
        places = {place: number for number, place in enumerate(used)}
        runs = {flips: {**run, kind: [places[place] for place in run[kind]]} for flips, run in runs.items()}
    found["runs"] = {flips: {name: run[name] for name in ("frames", "calls", "items", "passed")} for flips, run in runs.items()}
    return found


def _words(frame: Mapping[str, Any]) -> str:
    call = frame.get("call")
    return f"{call['tool']} {json.dumps(call['arguments'])}" if call else frame["text"]
