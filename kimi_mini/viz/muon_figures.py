"""The quiet figures of the chapter *Muon*: iterations by shape, sizes of updates, the sweep, decay, and entropies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import still
from .muon_runs import GROUPS, Run, pick
from .quiet import Quiet, Slider, beneath, caption, quiet

_MUON, _REST = still.COLOURS["optimizer"], still.COLOURS["rest"]


def _axes(above: str, below: str, **more: Any) -> dict[str, Any]:
    """Axes with what goes up written above it and what goes right beneath."""
    x = {"title": beneath(below), **more.pop("x", {})}
    return {"xaxis": x, "yaxis": more.pop("y", {}), "annotations": caption(above), **more}


def _line(
    name: str, x: Sequence[float], y: Sequence[float], colour: str, *, dash: str = "solid", at: int = -1, low: bool = False
) -> dict[str, Any]:
    """A line with its name at point `at`."""
    texts = [""] * len(x)
    texts[at] = f"<b>{name}</b>"
    left = at in (-1, len(x) - 1)
    return {
        "type": "scatter", "mode": "lines+text", "x": [float(value) for value in x],
        "y": [float(f"{value:.5g}") for value in y],
        "line": {"color": colour, "width": 3, "dash": dash}, "text": texts,
        "textposition": ("bottom " if low else "top ") + ("left" if left else "right"),
    }  # fmt: skip


def through_iterations(values: Mapping[str, Any]) -> Quiet:
    """Singular values of random matrices, sorted, after each iteration: `values[shape][k]` has those after k, in any order."""
    dashes = dict(zip(values, ("solid", "dash", "dot"), strict=False))
    count = {len(rows) for rows in values.values()}.pop()

    def draw(step: int) -> list[dict[str, Any]]:
        traces = []
        for place, (shape, rows) in enumerate(values.items()):
            sigma = np.sort(np.asarray(rows[step]))
            share = (np.arange(len(sigma)) + 0.5) / len(sigma) * 100
            at = int(len(sigma) * (0.15 + 0.25 * place))
            traces.append(_line(shape, share, sigma, _MUON if place == 0 else _REST, dash=dashes[shape], at=at, low=place == 0))
        return traces

    def title(step: int) -> str:
        spans = [f"{shape} {np.min(rows[step]):.2f} to {np.max(rows[step]):.2f}" for shape, rows in values.items()]
        return f"After {step} iterations: {'; '.join(spans)}"

    return quiet(
        draw,
        title=title,
        alt="Singular values of random square, wide and very wide matrices in order of size, at the iteration on the slider. "
        "After five iterations those of the wide ones lie in a band around 1; the smallest of the square one have not arrived.",
        slider=Slider("iterations", range(count), start=min(5, count - 1)),
        **_axes("singular value", "share of the directions, %", y={"range": [0, 1.35]}),
    )


def update_rms(runs: Iterable[Run], best: Mapping[str, tuple[float, float]]) -> Quiet:
    """RMS of the last looked-at update of every matrix against its longer side: Muon's with its factor and without, AdamW's."""
    runs = list(runs)
    (mini,) = pick(runs, model="mini")
    muon, adamw = (pick(runs, matrices=how, lr=lr, decay=decay, steps=300, seed=0)[0] for how, (lr, decay) in best.items())
    frames = {
        "MINI's shapes, Muon": (mini, mini.update_rms),
        "MINI's shapes, one factor for all": (mini, mini.rms_without_factor()),
        "small model, Muon": (muon, muon.update_rms),
        "small model, one factor for all": (muon, muon.rms_without_factor()),
        "small model, AdamW": (adamw, adamw.update_rms),
    }

    def draw(which: str) -> list[dict[str, Any]]:
        run, rms = frames[which]
        return [
            {
                "type": "scatter", "mode": "markers", "x": run.longer.tolist(),
                "y": [float(f"{value:.4g}") for value in rms[-1]],
                "marker": {"color": _REST if "AdamW" in which else _MUON, "size": 9, "opacity": 0.55},
                "text": list(run.shapes), "hovertemplate": "%{text}<br>RMS %{y:.3f}<extra></extra>",
            }
        ]  # fmt: skip

    def title(which: str) -> str:
        run, rms = frames[which]
        means = [rms[-1][run.longer == side].mean() for side in sorted(set(run.longer))]
        return f"{which}: mean RMS {min(means):.3f} to {max(means):.3f} by shape"

    return quiet(
        draw,
        title=title,
        alt="A dot for each matrix: RMS of one update against the matrix's longer side. With Muon's factor the dots lie level "
        "near 0.18; with one factor for all they fall as the side grows; AdamW's scatter widely.",
        slider=Slider("update of", list(frames)),
        **_axes("RMS of the update", "longer side of the matrix", y={"range": [0, 0.45]}),
    )


def sweep(runs: Iterable[Run], rates: Mapping[str, Sequence[float]]) -> Quiet:
    """Held-out loss after 300 updates at each of an optimizer's `rates` in the sweep, decay 0.1, seed 0."""
    runs = list(runs)
    ends = {how: [pick(runs, matrices=how, lr=lr, steps=300, seed=0)[0].end for lr in tried] for how, tried in rates.items()}
    lines = [
        _line("AdamW", rates["adamw"], ends["adamw"], _REST, at=0) | {"mode": "lines+markers+text"},
        _line("Muon", rates["muon"], ends["muon"], _MUON, at=2, low=True) | {"mode": "lines+markers+text"},
    ]
    low, high = min(ends["muon"]), max(ends["muon"])
    return quiet(
        lambda: lines,
        title=f"At its five rates Muon ends between {low:.2f} and {high:.2f}, AdamW at {min(ends['adamw']):.2f} at best",
        alt="Held-out loss against learning rate, a line for Muon and one for AdamW. Muon's is flat and lower at every rate; "
        "AdamW's has a sharp minimum at 0.004.",
        **_axes(
            "held-out loss, nats a token", "learning rate",
            x={"type": "log", "tickvals": list(rates["muon"]), "ticktext": [f"{rate:g}" for rate in rates["muon"]]},
        ),
    )  # fmt: skip


def entropy_by_group(runs: Iterable[Run], rates: Iterable[float], best: Mapping[str, float]) -> Quiet:
    """Mean SVD entropy of each group after the sweep's runs at each of `rates` (that of `best` last), and of fresh weights."""
    runs, rates = list(runs), list(rates)
    pairs = {f"rate {lr:g}": dict.fromkeys(best, lr) for lr in rates} | {"each at its best": best}

    def of(matrices: str, which: str) -> Run:
        return pick(runs, matrices=matrices, lr=pairs[which][matrices], steps=300, seed=0)[0]

    def means(run: Run, field: str = "entropy") -> list[float]:
        return [float(getattr(run, field)[run.groups == group].mean()) for group in GROUPS]

    def trace(name: str, values: list[float], colour: str, symbol: str) -> dict[str, Any]:
        sides = {"Muon": "top left", "AdamW": "bottom right", "": "top center"}
        return {
            "type": "scatter", "mode": "markers+text", "x": [float(f"{value:.4g}") for value in values], "y": list(GROUPS),
            "text": [""] * (len(GROUPS) - 1) + [f"<b>{name}</b>"], "textposition": sides[name],
            "marker": {"color": colour, "size": 12, "symbol": symbol},
        }  # fmt: skip

    def draw(which: str) -> list[dict[str, Any]]:
        return [
            trace("", means(of("muon", which), "entropy_start"), _REST, "line-ns-open"),
            trace("AdamW", means(of("adamw", which)), _REST, "square"),
            trace("Muon", means(of("muon", which)), _MUON, "circle"),
        ]

    def title(which: str) -> str:
        share = (of("muon", which).entropy > of("adamw", which).entropy).mean()
        return f"{which[0].upper()}{which[1:]}: Muon's entropy is the higher one in {100 * share:.0f} % of the matrices"

    return quiet(
        draw,
        title=title,
        alt="SVD entropy of the weights by group: a circle for Muon, a square for AdamW, a stroke for fresh weights.",
        slider=Slider("runs", list(pairs), start=len(pairs) - 1),
        **_axes(
            "strokes: fresh weights", "SVD entropy", x={"range": [0.2, 1.03]},
            y={"automargin": True, "range": [-0.7, 6.7], "tickfont": {"size": 12}},
        ),
    )  # fmt: skip


def _pairs(runs: Iterable[Run], lr: float, steps: int) -> list[tuple[Run, Run]]:
    """The runs (without decay, with it) of each seed that has both."""
    runs = list(runs)
    free, held = ({run.seed: run for run in pick(runs, matrices="muon", lr=lr, decay=d, steps=steps)} for d in (0.0, 0.1))
    return [(free[seed], held[seed]) for seed in sorted(free.keys() & held.keys())]


def decay_gap(runs: Iterable[Run], lr: float, steps: int) -> Quiet:
    """Held-out loss without decay minus that with it over the updates: seeds thin, their mean thick."""
    pairs = _pairs(runs, lr, steps)
    gaps, at = np.array([free.held_out - held.held_out for free, held in pairs]), pairs[0][0].at
    mean, of = gaps.mean(0), "one seed" if len(pairs) == 1 else f"mean of {len(pairs)} seeds"
    lines = [_line("", at, gap, _REST) | {"line": {"color": _REST, "width": 1}} for gap in gaps]
    return quiet(
        lambda: [*lines, _line("", at, mean, _MUON)],
        title=f"Without decay minus with it, {of}: {mean.min():+.3f} at update {at[mean.argmin()]}, {mean[-1]:+.3f} at the end",
        alt="Difference in held-out loss between Muon without decay and with 0.1, over the updates; a thin line for each seed, "
        "a thick one for their mean. Below zero the run without decay leads.",
        **_axes("nats a token; below 0 no decay leads", "update"),
    )


def weight_growth(runs: Iterable[Run], lr: float, steps: int) -> Quiet:
    """RMS of all matrices' entries over the updates, with decay and without, mean of the seeds."""
    pairs = _pairs(runs, lr, steps)
    at = [0, *pairs[0][0].at.tolist()]
    free, held = (np.mean([pair[which].weight_rms for pair in pairs], axis=0) for which in (0, 1))
    return quiet(
        lambda: [_line("no decay", at, free, _MUON), _line("decay 0.1", at, held, _REST, low=True)],
        title=f"Weights grow from {free[0]:.3f} to {free[-1]:.3f} without decay, to {held[-1]:.3f} with it (RMS)",
        alt="RMS of the weights over updates, with decay and without.",
        **_axes("RMS of the weights", "update", y={"rangemode": "tozero"}),
    )
