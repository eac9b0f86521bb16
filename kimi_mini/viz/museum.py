"""The figures of the chapter *The bug museum*, from the recorded runs of `runs.museum`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..conformance import SUSPECTS, piece
from ..corpus.draw import Draw
from ..optim import wsd_factor
from . import still
from .museum_runs import WINDOW, Run, band, healthy, identical, leaves, lied, load_runs, outside, pick
from .quiet import Quiet, Slider, beneath, caption, quiet
from .series import pack
from .stage import Stage, stage

__all__ = [
    "WINDOW", "band", "by_name", "frames", "healthy", "identical", "leaves", "lied", "leaving", "load_runs", "one_factor",
    "outside", "pick", "retires",
]  # fmt: skip

HEALTHY = "right"
_DRAWN = 2  # of the running mean, the page carries every second update
_NOT_FRAMED = ("nudged", "retire")


# ---- twelve frames -----------------------------------------------------------------------------------------------------


def versions(runs: Iterable[Run]) -> list[str]:
    """What hangs in the museum, in the order of the frames, which says nothing: the right version and the wrong ones."""
    return Draw("the frames of the museum", 1).shuffled(
        sorted(run.version for run in runs if run.seed == 0 and run.version not in _NOT_FRAMED)
    )


def leaving(runs: Iterable[Run]) -> list[str]:
    """The framed versions whose loss leaves the band of healthy seeds."""
    runs = list(runs)
    edges = band(healthy(runs))
    return [version for version in versions(runs) if leaves(pick(runs, version), edges)]


def frames(runs: Iterable[Run]) -> Stage:
    """Twelve runs without names; instruments for the chosen one, four suspects to accuse, and the label behind the frame."""
    runs = list(runs)
    names = versions(runs)
    edges = band(healthy(runs))
    left = leaving(runs)
    shown = [_frame(pick(runs, name), pick(runs, HEALTHY), edges) for name in names]
    ends = [(f"frame {i}", run.end_loss, f"{run.end_loss:.2f} nats", "rest") for i, run in _numbered(runs, names)]
    any_run = pick(runs, HEALTHY)
    layers, heads = any_run.maxima.shape[1:]
    return stage(
        "museum",
        {
            "layers": layers, "heads": heads, "every": any_run.every, "tau": any_run.tau, "lr": any_run.lr, "window": WINDOW,
            "drawn": _DRAWN, "steps": len(any_run.loss), "seeds": len(healthy(runs)), "compared": len(edges[0]),
            "suspects": SUSPECTS, "band": [pack(edge[::_DRAWN]) for edge in edges],
            "left": len(left), "wrong": len(names) - 1, "frames": shown, "reference": _reference(healthy(runs)[1]),
        },
        name="museum-frames",
        title=f"{len(names)} runs from one seed: {len(names) - 1} by wrong code, one by the right one. Which?",
        alt=f"{len(names)} small frames, each with the loss curve of one training run; the chosen run is drawn large beneath: "
        "its loss in the band of healthy seeds, and one of four instruments. Buttons accuse a part of the code; then title and "
        "label say what was changed in the run.",
        still="<p>Mean loss of the last 50 updates of each run.</p>" + still.bars(ends),
        height=1300,
    )  # fmt: skip


def _numbered(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[int, Run]]:
    return [(place, pick(runs, name)) for place, name in enumerate(names, 1)]


def _frame(run: Run, right: Run, edges: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    wrong = None if run.version == HEALTHY else piece(run.version)
    away = outside(run, edges)
    return {
        "version": run.version, "broke": run.broke_at, "loss": pack(run.running[::_DRAWN]), "end": round(run.end_loss, 4),
        "outside": int(away.sum()), "leaves": leaves(run, edges), "identical": wrong is not None and identical(run, right),
        "maxima": pack(np.arcsinh(run.maxima)), "lied": round(lied(run), 4),
        "told": _total(run.told.mean(2)), "due": _total(run.due), "factors": np.round(run.factors.sum(0), 3).tolist(),
        "below": _total(run.below, 0), "needless": _total(run.needless, 0), "touched": pack(run.needless.cumsum(0)),
        "drift": _total(run.drift), "values": pack(run.values),
        "piece": wrong and {
            "title": wrong.title, "suspect": wrong.suspect, "function": wrong.function, "diff": wrong.diff,
            "explanation": wrong.explanation, "killed": wrong.killed_by,
        },
    }  # fmt: skip


def _total(series_NL: np.ndarray, digits: int = 3) -> list[float]:
    return np.round(series_NL.sum(0), digits).tolist()


def _reference(run: Run) -> dict[str, Any]:
    """A healthy run of another seed, to lay beside a suspect's."""
    return {"seed": run.seed, "maxima": pack(np.arcsinh(run.maxima.max(2))), "values": pack(run.values)}


# ---- quiet figures -----------------------------------------------------------------------------------------------------

_AXIS = {"rangemode": "tozero", "fixedrange": True}


def _line(x: Sequence[float], y: Any, colour: str, name: str, *, dash: str = "solid", at: int = -1) -> dict[str, Any]:
    texts = [""] * len(x)
    texts[at] = f"<b>{name}</b>"
    return {
        "type": "scatter", "mode": "lines+text", "x": list(x), "y": [float(f"{value:.5g}") for value in y], "text": texts,
        "textposition": "top left" if at < 0 else "top center",
        "line": {"color": still.COLOURS[colour], "width": 2.5, "dash": dash}, "cliponaxis": False,
        "hovertemplate": "%{x}: %{y:.3g}<extra>" + name + "</extra>",
    }  # fmt: skip


def _axes(above: str, top: float | None = None) -> dict[str, Any]:
    return {
        "xaxis": {"title": beneath("update"), **_AXIS},
        "yaxis": _AXIS | ({"range": [0, top]} if top else {}),
        "annotations": caption(above),
    }


def updates(run: Run) -> list[int]:
    """The last update of each window."""
    return [run.every * (row + 1) for row in range(len(run.maxima))]


def by_name(runs: Iterable[Run], updates: Iterable[int]) -> Quiet:
    """Mean loss of the WINDOW updates up to one, a row per run with its name, and the band of healthy seeds."""
    runs = list(runs)
    edges = band(healthy(runs))
    wrong = sorted((pick(runs, name) for name in versions(runs) if name != HEALTHY), key=lambda run: -run.end_loss)
    rows = [(run, run.version, "optimizer") for run in wrong] + [(pick(runs, "nudged"), "right, nudged", "attention")]
    rows += [(run, f"right, seed {run.seed}", "attention") for run in reversed(healthy(runs))]

    def at(run: Run, update: int) -> float:
        return float(run.running[update - WINDOW])

    def draw(update: int) -> list[dict[str, Any]]:
        edge = [
            {
                "type": "scatter", "mode": "lines", "x": [float(side[update - WINDOW])] * 2, "y": [rows[0][1], rows[-1][1]],
                "line": {"color": still.COLOURS["rest"], "dash": "dash", "width": 2}, "hoverinfo": "skip",
            }
            for side in edges
        ]  # fmt: skip
        dots = {
            "type": "scatter", "mode": "markers", "x": [round(at(run, update), 4) for run, _, _ in rows],
            "y": [name for _, name, _ in rows],
            "marker": {"size": 11, "color": [still.COLOURS[colour] for _, _, colour in rows]},
            "hovertemplate": "%{y}: %{x:.3f} nats<extra></extra>",
        }  # fmt: skip
        return [*edge, dots]

    def title(update: int) -> str:
        low, high = (side[update - WINDOW] for side in edges)
        out = sum(not low <= at(run, update) <= high for run in wrong)
        return f"At update {update}: {out} of {len(wrong)} wrong runs are outside of the band of healthy seeds"

    return quiet(
        draw,
        title=title,
        alt="A dot for each run at its mean loss over the last 50 updates, named; two dashed lines mark the edges of the band "
        "of healthy seeds. Most dots of wrong runs lie between the lines.",
        slider=Slider("update", list(updates), start=len(list(updates)) - 1, show=lambda update: f"{update}"),
        height=520, margin={"l": 112, "r": 12, "t": 28, "b": 48},
        xaxis={"title": beneath("loss, nats"), "nticks": 5, "fixedrange": True},
        yaxis={"type": "category", "categoryarray": [name for _, name, _ in rows], "fixedrange": True},
    )  # fmt: skip


def one_factor(runs: Iterable[Run]) -> Quiet:
    """How often heads at or below tau were shrunk all the same, by one factor a layer and by one a head; seed by seed."""
    runs = list(runs)
    seeds = sorted(run.seed for run in runs if run.version == "one-for-all")

    def lines(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return tuple(pick(runs, name, seed).needless.sum(1).cumsum() for name in ("one-for-all", HEALTHY))

    def draw(seed: int) -> list[dict[str, Any]]:
        one, per_head = lines(seed)
        x = updates(pick(runs, HEALTHY, seed))
        return [
            _line(x, one, "optimizer", "one factor a layer"),
            _line(x, per_head, "attention", "one factor a head"),
        ]

    def title(seed: int) -> str:
        run = pick(runs, "one-for-all", seed)
        hit, all_below = run.needless[:, 1:].sum(), run.below[:, 1:].sum()
        return f"Seed {seed}: one factor shrank heads at or below the threshold in {hit:,.0f} of {all_below:,.0f} cases"

    return quiet(
        draw,
        title=title,
        alt="How often heads whose largest logit was at or below the threshold were shrunk, counted over 300 updates. With one "
        "factor for a layer the count climbs into the thousands; with one factor for a head it stays at zero.",
        slider=Slider("seed", seeds, show=lambda seed: f"{seed}"),
        **_axes("heads shrunk without need, so far", 1.15 * float(max(lines(seed)[0][-1] for seed in seeds))),
    )


def retires(runs: Iterable[Run], smooth: int = 5) -> Quiet:
    """Share of heads that the clip shrinks over a long run whose rate comes down, and the rate beside it; seed by seed."""
    long = {run.seed: run for run in runs if run.version == "retire"}

    def share(run: Run) -> np.ndarray:
        return 100 * np.convolve(run.clipped, np.ones(smooth) / smooth, mode="valid")

    def draw(seed: int) -> list[dict[str, Any]]:
        run = long[seed]
        x, total = updates(run), len(run.loss)
        rate = [100 * wsd_factor(update - 1, warmup=20, total=total, decay=run.falling) for update in x]
        return [
            _line(x[smooth - 1 :], share(run), "optimizer", "heads clipped", at=30),
            _line(x, rate, "rest", "learning rate", dash="dot", at=60),
        ]

    def title(seed: int) -> str:
        run = long[seed]
        flat = (len(run.loss) - run.falling) // run.every
        last = np.flatnonzero(run.clipped)[-1]
        return (
            f"Seed {seed}: {100 * run.clipped[flat // 2 : flat].mean():.0f} % of heads clipped while the rate is high, "
            f"{100 * run.clipped[-10:].mean():.0f} % at the end; the last clip falls into update {run.every * (last + 1)}"
        )

    return quiet(
        draw,
        title=title,
        alt="Share of heads that were clipped, and the learning rate, over the updates of a run with weight decay whose rate "
        "comes down over its second half.",
        slider=Slider("seed", sorted(long), show=lambda seed: f"{seed}"),
        **_axes("% of heads, % of the highest rate", 112),
    )
