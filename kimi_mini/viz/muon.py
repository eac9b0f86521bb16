"""The figures of the chapter *Muon*: a 2 x 2 momentum under the hand, and what the recorded runs of `runs.muon` say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import kernels
from . import still
from .muon_runs import GROUPS, Run, load_runs, pick, updates_to
from .quiet import Quiet, Slider, quiet
from .series import pack
from .stage import Stage, stage

__all__ = [
    "decay_gap",
    "ellipse",
    "entropy_by_group",
    "load_runs",
    "pick",
    "race",
    "through_iterations",
    "update_rms",
    "updates_to",
    "weight_growth",
]

SCATTER = 0.25  # of the gradients around the toy momentum, for Adam
SET_NAMES = {"muon": "Muon's (Jordan)", "polar_express": "Polar Express"}
QUERY = "blocks.2.attn.q_up"
OTHERS = {"blocks.0.mlp.gate": "dense gate", "blocks.2.mlp.experts.0.gate": "expert's gate", "blocks.2.mlp.router": "router"}


# ---- the ellipse -------------------------------------------------------------------------------------------------------


def ellipse(runs: Iterable[Run]) -> Stage:
    """A 2 x 2 momentum to stretch and turn, Muon's update of it beside the sign and Adam's; or a recorded spectrum instead."""
    (mini,) = pick(runs, model="mini")
    shown = [(QUERY, look, f"query matrix, update {look}") for look in mini.looks]
    shown += [(name, mini.looks[-1], f"{words}, update {mini.looks[-1]}") for name, words in OTHERS.items()]
    momenta = {
        f"{name}-{look}": {"label": label, "sigma": pack(mini.spectra[name][mini.looks.index(look)])}
        for name, look, label in shown
    }
    values = [1.0]
    for a, b, c in kernels.step_coefficients("muon", 5):
        values.append(a * values[-1] + b * values[-1] ** 3 + c * values[-1] ** 5)
    return stage(
        "ellipse",
        {
            "sets": {name: [list(triple) for triple in row] for name, row in kernels.NEWTON_SCHULZ_COEFFICIENTS.items()},
            "names": SET_NAMES, "usual": 5, "scatter": SCATTER, "momenta": momenta, "rate": mini.lr,
        },
        name="muon-ellipse",
        title=f"An axis at exactly 1 does not stay: {', '.join(f'{value:.2f}' for value in values[1:])}.",
        alt="Four ellipses: a momentum whose axes can be dragged, Muon's update of it after some iterations, which comes close "
        "to a circle, and the entrywise sign and Adam's update, which flatten to a line or open to a circle as the momentum is "
        "turned. Beneath them the length of both axes over ten iterations.",
        still=still.table(("iteration", "an axis that starts at 1"), [(i, f"{value:.4f}") for i, value in enumerate(values)]),
        height=980,
    )  # fmt: skip


# ---- Muon against AdamW ------------------------------------------------------------------------------------------------

REPORTED_SHARE = 0.52  # of AdamW's training FLOPs at equal loss (Moonlight, Fig. 1a)


def race(runs: Iterable[Run], best: Mapping[str, tuple[float, float]]) -> Stage:
    """Held-out loss of whole runs against tokens, both optimizers at the sweep's best setting; and the updates that one needs.

    `best[matrices]` is (lr, decay).
    """
    runs, table = list(runs), {}
    for matrices, (lr, decay) in best.items():
        found = pick(runs, matrices=matrices, lr=lr, decay=decay)
        lengths = sorted({run.steps for run in found if len(pick(found, steps=run.steps, decay=decay)) > 1})
        ends = {steps: [run.end for run in pick(found, steps=steps, decay=decay)] for steps in lengths}
        table[matrices] = {"lr": lr, "decay": decay, "lengths": lengths, "ends": list(ends.values())}
    longest = max(table["adamw"]["lengths"])
    need = needed(table, longest)
    rows = [
        (steps, *(f"{np.mean(table[name]['ends'][i]):.3f}" for name in ("muon", "adamw")))
        for i, steps in enumerate(table["muon"]["lengths"])
    ]
    return stage(
        "race",
        {"runs": table, "reported": REPORTED_SHARE, "tokens": runs[0].tokens_per_update},
        name="muon-race",
        title=f"To AdamW's loss after {longest} updates Muon comes in about {need:.0f}.",
        alt="Held-out loss against tokens, a line for Muon and one for AdamW with bars over three seeds. A horizontal step "
        "from AdamW's end to Muon's line shows how many updates Muon needs; a hollow diamond marks the report's 52 %.",
        still=still.table(("updates", "Muon's held-out loss", "AdamW's"), rows),
        height=640,
    )


def needed(table: Mapping[str, Any], steps: int) -> float | None:
    """Muon's updates to the mean loss at which AdamW ended after `steps`."""
    loss = float(np.mean(table["adamw"]["ends"][table["adamw"]["lengths"].index(steps)]))
    return updates_to(table["muon"]["lengths"], [float(np.mean(ends)) for ends in table["muon"]["ends"]], loss)


# ---- quiet figures -----------------------------------------------------------------------------------------------------

_MUON, _REST = still.COLOURS["optimizer"], still.COLOURS["rest"]


def _axes(above: str, below: str, **more: Any) -> dict[str, Any]:
    """Axes with what goes up written above it and what goes right beneath."""
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    x = {"title": {"text": below, "font": {"size": 14}, "standoff": 6}, **more.pop("x", {})}
    return {"xaxis": x, "yaxis": more.pop("y", {}), "annotations": [{"text": above, **place}], **more}


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
    muon, adamw = (pick(runs, matrices=how, lr=lr, decay=decay, steps=600, seed=0)[0] for how, (lr, decay) in best.items())
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


def entropy_by_group(runs: Iterable[Run], best: Mapping[str, tuple[float, float]], lengths: Iterable[int]) -> Quiet:
    """Mean SVD entropy of each group of matrices after training by either optimizer, and before; bars over the seeds."""
    runs = list(runs)
    lengths = list(lengths)

    def of(matrices: str, steps: int, field: str = "entropy") -> np.ndarray:
        lr, decay = best[matrices]
        found = pick(runs, matrices=matrices, lr=lr, decay=decay, steps=steps)
        return np.array([[getattr(run, field)[run.groups == group].mean() for group in GROUPS] for run in found])

    def trace(name: str, values: np.ndarray, colour: str, symbol: str) -> dict[str, Any]:
        middle = values.mean(0)
        return {
            "type": "scatter", "mode": "markers", "name": name, "x": [float(f"{value:.4g}") for value in middle],
            "y": list(GROUPS), "marker": {"color": colour, "size": 12, "symbol": symbol},
            "error_x": {
                "type": "data", "symmetric": False,
                "array": (values.max(0) - middle).tolist(), "arrayminus": (middle - values.min(0)).tolist(),
            },
        }  # fmt: skip

    def draw(steps: int) -> list[dict[str, Any]]:
        return [
            trace("before", of("muon", steps, "entropy_start"), _REST, "line-ns-open"),
            trace("AdamW", of("adamw", steps), _REST, "square"),
            trace("Muon", of("muon", steps), _MUON, "circle"),
        ]

    def title(steps: int) -> str:
        higher = (of("muon", steps).mean(0) > of("adamw", steps).mean(0)).sum()
        return f"After {steps} updates: Muon's entropy is the higher one in {higher} of {len(GROUPS)} groups"

    return quiet(
        draw,
        title=title,
        alt="SVD entropy of the weights by group: a circle for Muon, a square for AdamW, a stroke for fresh weights.",
        slider=Slider("updates", lengths, start=len(lengths) - 1),
        **_axes("circle Muon, square AdamW, stroke fresh", "SVD entropy", y={"automargin": True, "tickfont": {"size": 12}}),
    )


def _pairs(runs: Iterable[Run], lr: float, steps: int) -> list[tuple[Run, Run]]:
    """(without decay, with it) of each seed."""
    runs = list(runs)
    free, held = (pick(runs, matrices="muon", lr=lr, decay=decay, steps=steps) for decay in (0.0, 0.1))
    return list(zip(free, held, strict=True))


def decay_gap(runs: Iterable[Run], lr: float, steps: int) -> Quiet:
    """Held-out loss without decay minus that with it, over the updates of each seed: below zero no decay leads."""
    pairs = _pairs(runs, lr, steps)
    gaps = np.array([free.held_out - held.held_out for free, held in pairs])
    at = pairs[0][0].at
    mean = gaps.mean(0)
    traces = [
        _line(f"seed {free.seed}", at, gap, _REST, dash="dot", at=1 + 3 * i)
        for i, ((free, _), gap) in enumerate(zip(pairs, gaps, strict=True))
    ]
    traces.append(_line("mean", at, mean, _MUON))
    return quiet(
        lambda: traces,
        title=f"Without decay minus with it: {mean[0]:+.3f} at update {at[0]}, {mean[-1]:+.3f} at the end",
        alt="Difference in held-out loss between Muon without decay and with 0.1, over updates; a line for each of three seeds "
        "and their mean. Below zero the run without decay leads.",
        **_axes("nats a token; below 0 no decay leads", "update"),
    )


def weight_growth(runs: Iterable[Run], lr: float, steps: int) -> Quiet:
    """RMS of all matrices' entries over the updates, with decay and without; the mean of the seeds."""
    pairs = _pairs(runs, lr, steps)
    at = [0, *pairs[0][0].at.tolist()]
    free, held = (np.mean([pair[which].weight_rms for pair in pairs], axis=0) for which in (0, 1))
    return quiet(
        lambda: [_line("no decay", at, free, _MUON), _line("decay 0.1", at, held, _REST, low=True)],
        title=f"Weights grow from {free[0]:.3f} to {free[-1]:.3f} without decay, to {held[-1]:.3f} with it (RMS)",
        alt="RMS of the weights over updates, with decay and without.",
        **_axes("RMS of the weights", "update", y={"rangemode": "tozero"}),
    )
