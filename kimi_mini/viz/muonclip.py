"""The figures of the chapter *MuonClip*, from the recorded runs of `runs.muonclip` and from measurements made in the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..checks import require
from . import still
from .muonclip_runs import LIMIT, TAIL, Run, load_runs, pick
from .quiet import Quiet, Slider, beneath, caption, quiet
from .series import pack
from .stage import Stage, stage

__all__ = ["at_equal_loss", "bound_and_logits", "bricks", "decay_holds", "load_runs", "logit_at_loss", "pick", "runaway"]

_THIN = 2  # of the recorded updates, the page carries every second one


# ---- the runaway heads -------------------------------------------------------------------------------------------------


def runaway(runs: Iterable[Run]) -> Stage:
    """Largest logit of every head over the updates of a run, with the tau line, the loss and the four bricks beneath."""
    runs = pick(runs)
    (opening,) = pick(runs, optimizer="muon", lr=0.1, tau=math.inf, seed=0)
    layers, heads = opening.max_logits.shape[1:]
    largest = opening.max_logits.max(0)
    rows = [
        (f"layer {layer}, head {head}", math.log10(max(largest[layer, head], 1)), f"{largest[layer, head]:,.0f}", colour)
        for layer in range(layers)
        for head in range(heads)
        for colour in ["optimizer" if largest[layer, head] > LIMIT else "attention"]
    ]
    return stage(
        "runaway",
        _page_data(runs),
        name="muonclip-runaway",
        title=f"Muon, rate 0.1, no clip: {opening.passed} of {layers * heads} heads pass {LIMIT:.0f}; "
        f"the largest logit reaches {opening.max_logits.max():,.0f}.",
        alt="A line for each head, its largest logit over 300 updates on a log axis; beneath it the loss, and four bars "
        "for the weights of the highest head. Controls choose the run, tau and the update; the title says what is to be seen.",
        still="<p>Largest logit of the unclipped run, a bar per head on a logarithmic axis.</p>" + still.bars(rows),
        height=1050,
    )


def _page_data(runs: list[Run]) -> dict[str, Any]:
    """Every second recorded update of each run; runs in which the clip never fired share the series of the free one."""
    shared: list[dict[str, Any]] = []
    index: dict[str, int] = {}
    for run in sorted(runs, key=lambda run: -run.tau):
        series = {
            "loss": pack(run.loss[_THIN - 1 :: _THIN]),
            "maxima": pack(np.arcsinh(run.max_logits[_THIN - 1 :: _THIN])),
            "gamma": pack(run.log_gamma[_THIN - 1 :: _THIN]) if run.log_gamma.any() else None,
            "end": round(run.end_loss, 4),
        }
        if series not in shared:
            shared.append(series)
        index[f"{run.optimizer}-{run.lr:g}-{run.seed}-{run.tau:g}"] = shared.index(series)
    layers, heads = runs[0].max_logits.shape[1:]
    return {
        "layers": layers, "heads": heads, "every": runs[0].every * _THIN, "limit": LIMIT, "tail": TAIL,
        "optimizers": sorted({run.optimizer for run in runs}, reverse=True),
        "rates": sorted({run.lr for run in runs}), "seeds": sorted({run.seed for run in runs}),
        "taus": [f"{tau:g}" for tau in sorted({run.tau for run in runs}, reverse=True)],
        "runs": index, "series": shared,
    }  # fmt: skip


# ---- the fourth brick --------------------------------------------------------------------------------------------------

CLIPS = ("right", "shared", "root", "global")


def bricks(before: Any, after: Mapping[str, Any], *, gamma: float, layer: int) -> Stage:
    """What clipping one head by `gamma` does to all heads of its layer, by the right rule and by three wrong ones.

    before[h] is the largest logit of head h; after[clip][h, i] that of head i once head h was clipped by that rule, one of
    CLIPS. Both are measured with the same inputs.
    """
    require(set(after) == set(CLIPS), "clips", sorted(after), f"{', '.join(CLIPS)}")
    before_H = np.asarray(before, dtype=float)
    after_HH = {name: np.asarray(table, dtype=float) for name, table in after.items()}
    heads = len(before_H)
    rows = [("head", "before", "right", "shared key too", "root everywhere", "one factor for all")]
    rows += [(i, f"{before_H[i]:.1f}", *(f"{after_HH[clip][0, i]:.1f}" for clip in CLIPS)) for i in range(heads)]
    return stage(
        "bricks",
        {"before": before_H.tolist(), "after": {k: v.tolist() for k, v in after_HH.items()}, "gamma": gamma, "layer": layer},
        name="muonclip-bricks",
        title=f"Clipped by the report's rule, head 0 shrinks by {gamma:g} and the {heads - 1} others stay where they were.",
        alt="A bar per head of one layer: its largest logit before (outline) and after (filled) one head was clipped. By the "
        "right rule only that head shrinks; when the shared rotary key is scaled too, the other heads' bars move as well.",
        still=still.table(rows[0], rows[1:]),
        height=760,
    )


# ---- quiet figures -----------------------------------------------------------------------------------------------------

_STYLE = {
    "muon": ("Muon", still.COLOURS["optimizer"], "circle", True),
    "adamw": ("AdamW", still.COLOURS["rest"], "square", False),
}


def _named(name: str, count: int, low: bool) -> dict[str, Any]:
    """The name of a line of `count` points: above its end or, for the lower one of two, below a point within."""
    texts = [""] * count
    if count:
        texts[count // 2 if low else -1] = f"<b>{name}</b>"
    return {"text": texts, "textposition": "bottom right" if low else "top left" if count > 1 else "top right"}


def _points(name: str, colour: str, symbol: str, low: bool, groups: Mapping[float, list[float]]) -> dict[str, Any]:
    """Geometric mean over seeds with bars from the smallest to the largest, against the learning rate."""
    middle = {x: math.exp(float(np.mean(np.log(values)))) for x, values in groups.items() if values}
    return {
        "type": "scatter", "mode": "lines+markers+text", "x": list(middle), "y": list(middle.values()),
        **_named(name, len(middle), low),
        "marker": {"color": colour, "size": 10, "symbol": symbol}, "line": {"color": colour, "width": 2},
        "error_y": {
            "type": "data", "symmetric": False, "color": colour,
            "array": [max(groups[x]) - y for x, y in middle.items()],
            "arrayminus": [y - min(groups[x]) for x, y in middle.items()],
        },
        "hovertemplate": "rate %{x}<br>largest logit %{y:.3g}<extra>" + name + "</extra>",
    }  # fmt: skip


def _axes(above: str, x: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis upwards, from 10^low to 10^high, what it counts written above it."""
    x = x | {"title": beneath(x["title"])}
    return {
        "xaxis": x, "yaxis": {"type": "log", "dtick": 1, "range": [low, high]}, "annotations": caption(above),
    }  # fmt: skip


def _rates(runs: Iterable[Run]) -> dict[str, Any]:
    rates = sorted({run.lr for run in runs})
    return {"title": "learning rate", "type": "log", "tickvals": rates, "ticktext": [f"{rate:g}" for rate in rates]}


def logit_at_loss(run: Run, loss: float, window: int = 10) -> float | None:
    """Largest logit when the mean loss of `window` recorded updates first is at most `loss`; None if it never is."""
    smooth = np.convolve(run.loss, np.ones(window) / window, mode="valid")
    reached = np.flatnonzero(smooth <= loss)
    return float(run.max_logits[reached[0] + window - 1].max()) if len(reached) else None


def at_equal_loss(runs: Iterable[Run], losses: Iterable[float]) -> Quiet:
    """Largest logit, unclipped, at the moment when each run had come down to the same loss."""
    free = pick(runs, tau=math.inf)
    rates = sorted({run.lr for run in free})

    def groups(optimizer: str, loss: float) -> dict[float, list[float]]:
        found = {lr: [logit_at_loss(run, loss) for run in pick(free, optimizer=optimizer, lr=lr)] for lr in rates}
        return {lr: [value for value in values if value] for lr, values in found.items() if None not in values}

    def draw(loss: float) -> list[dict[str, Any]]:
        return [_points(*_STYLE[optimizer], groups(optimizer, loss)) for optimizer in _STYLE]

    def title(loss: float) -> str:
        counts = {optimizer: len(groups(optimizer, loss)) for optimizer in _STYLE}
        return f"Down to loss {loss:g}: {counts['muon']} of Muon's rates get there, {counts['adamw']} of AdamW's"

    return quiet(
        draw,
        title=title,
        alt="Largest attention logit against learning rate, for Muon and AdamW, at the update where the run first reached the "
        "loss on the slider. A rate is missing where not all three seeds reached it.",
        slider=Slider("loss", list(losses), show=lambda loss: f"{loss:g}"),
        **_axes("largest logit at that loss", _rates(free), -1, 4.8),
    )


def decay_holds(runs: Iterable[Run], updates: Iterable[int]) -> Quiet:
    """Largest logit up to an update of unclipped Muon, with K2's weight decay and without."""
    runs = [run for run in runs if run.optimizer == "muon" and run.tau == math.inf]
    decays = sorted({run.decay for run in runs})
    rates = sorted({run.lr for run in runs})
    style = {
        decay: (f"decay {decay:g}", still.COLOURS["rest"], "square", True)
        if decay
        else ("no decay", still.COLOURS["optimizer"], "circle", False)
        for decay in decays
    }

    def largest(decay: float, update: int) -> dict[float, list[float]]:
        count = {lr: pick(runs, lr=lr, decay=decay) for lr in rates}
        return {lr: [float(run.max_logits[: update // run.every].max()) for run in found] for lr, found in count.items()}

    def draw(update: int) -> list[dict[str, Any]]:
        return [_points(*style[decay], largest(decay, update)) for decay in decays]

    def title(update: int) -> str:
        free, held = (largest(decay, update)[max(rates)] for decay in decays)
        spans = [f"{min(values):,.0f} to {max(values):,.0f}" for values in (free, held)]
        return f"Update {update}, rate {max(rates):g}: {spans[0]} without decay, {spans[1]} with it"

    return quiet(
        draw,
        title=title,
        alt="Largest attention logit so far against learning rate, for Muon with weight decay 0.1 and without. Without it the "
        "logits at rate 0.1 run into the thousands, with it they stay near a hundred.",
        slider=Slider("update", list(updates), start=len(list(updates)) - 1, show=lambda update: f"{update}"),
        **_axes("largest logit so far", _rates(runs), 0, 4.8),
    )


def bound_and_logits(updates: Iterable[int], bounds: Any, logits: Any) -> Quiet:
    """The bound on a logit beside the largest logit: for each layer, the head where it is largest.

    bounds[u, l] is what weights and norm gains allow in layer l at update updates[u], logits[u, l] what that update saw.
    """
    x, bounds_UL, logits_UL = list(updates), np.asarray(bounds, dtype=float), np.asarray(logits, dtype=float)

    def draw(layer: int) -> list[dict[str, Any]]:
        lines = [
            (bounds_UL[:, layer], "bound", still.COLOURS["rest"], "dot", False),
            (logits_UL[:, layer], "largest logit", still.COLOURS["attention"], "solid", True),
        ]
        return [
            {
                "type": "scatter", "mode": "lines+text", "x": x, "y": [float(f"{value:.4g}") for value in values],
                "line": {"color": colour, "width": 3, "dash": dash}, **_named(name, len(x), low),
            }
            for values, name, colour, dash, low in lines
        ]  # fmt: skip

    def title(layer: int) -> str:
        return f"Layer {layer}: the bound reaches {bounds_UL[-1, layer]:.0f}, the largest logit {logits_UL[-1, layer]:.0f}"

    return quiet(
        draw,
        title=title,
        alt="The bound on a logit and the largest logit over the updates of one run, on a logarithmic axis; the slider picks "
        "the layer. In layers 1 and 2 the bound climbs into the hundreds and the logit follows; in layer 0 both stay low.",
        slider=Slider("layer", range(bounds_UL.shape[1]), start=bounds_UL.shape[1] - 1),
        **_axes("bound and largest logit", {"title": "update"}, -1.2, 3.2),
    )
