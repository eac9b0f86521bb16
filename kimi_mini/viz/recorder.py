"""The figures of the chapter on the run without a spike, from the recorded points of `runs.recorder`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..checks import require
from ..optim import wsd_factor
from ..train.spikes import count_spikes, find_spikes
from . import still
from .quiet import Quiet, Slider, beneath, caption, quiet
from .recorder_runs import Flight, Landing, Recording, Trunk, load_recording, smooth
from .series import pack
from .stage import Stage, stage

__all__ = [
    "WIDTHS", "against_cosine", "bad_batch", "flight_recorder", "k2_rate", "k2_schedule", "k2_schedule_figure", "landings",
    "load_recording", "smooth",
]  # fmt: skip

WIDTHS = (1, 5, 10, 20, 50, 100)  # updates that a smoothed loss is a mean of


# ---- the flight recorder -----------------------------------------------------------------------------------------------


def flight_recorder(recording: Recording, seed: int = 0) -> Stage:
    """Loss, gradient, head maxima, expert load and rate of one trunk on one axis of time, with a landing at each branch."""
    trunk = recording.trunks[seed]
    last = trunk.last
    flat = trunk.landings[min(trunk.landings, key=lambda branch: abs(branch - 2 * last.branch // 3))]
    data = {
        "kind": "trunk", "span": last.end, "tokens": recording.batch_tokens, "widths": WIDTHS,
        "flights": {"": _series(trunk.flight)},
        "landings": [_landing(landing) for landing in trunk.landings.values()],
        "samples": [{"update": update, "text": text} for update, text in trunk.samples],
        "flat": {"from": flat.branch, "before": flat.before, "end": last.before},
    }  # fmt: skip
    rows = [(one.branch, f"{one.before:.3f}", f"{one.after:.3f}") for one in trunk.landings.values()]
    return stage(
        "recorder",
        data,
        name="run-recorder",
        title=f"From update {flat.branch:,} to {last.branch:,}, at one rate, held-out loss went from {flat.before:.2f} to "
        f"{last.before:.2f}; 200 updates of a falling rate bring {last.after:.2f}.",
        alt="Five strips over the updates of one run: loss, gradient norm, the largest logit of each head, expert load and "
        "learning rate, none smoothed. Controls move the update, land the run from six points, and smooth the loss.",
        still=still.table(("landed from update", "held-out loss before", "after 200 updates"), rows),
        height=1050,
    )


def bad_batch(recording: Recording) -> Stage:
    """The run with one batch of random tokens, and the same updates without it, each with its loss smoothed."""
    bad = recording.bad
    good = _cut(recording.trunks[0].flight, len(bad.loss))
    (first, _), *_ = find_spikes(bad.loss)
    data = {
        "kind": "bad", "span": len(bad.loss), "tokens": recording.batch_tokens, "widths": WIDTHS, "at": first + 1,
        "flights": {"bad": _series(bad), "good": _series(good)}, "landings": [], "samples": [],
    }  # fmt: skip
    hidden = _hidden_from(bad.loss)
    data["hidden"] = hidden
    rows = [(f"{width} updates" if width > 1 else "every update", count_spikes(smooth(bad.loss, width))) for width in WIDTHS]
    return stage(
        "recorder",
        data,
        name="run-spike",
        title=f"Counted on every update this run has {count_spikes(bad.loss)} spike; on a mean of {hidden} it has none.",
        alt="The same strips for a run in which one batch was random tokens, and for the same run without it. Smoothing "
        "flattens the spike in the loss; the count beside it is made on every update and on the smoothed curve.",
        still=still.table(("loss smoothed over", "spikes counted"), rows),
        height=1000,
    )


def _hidden_from(loss_N: np.ndarray) -> int:
    """The smallest of WIDTHS from which on no smoothed curve has a spike by the rule."""
    counts = {width: count_spikes(smooth(loss_N, width)) for width in WIDTHS}
    clean = [width for width in WIDTHS if not any(counts[other] for other in WIDTHS if other >= width)]
    require(bool(clean), "spikes by width", counts, "a width that hides them all")
    return clean[0]


def _cut(flight: Flight, count: int) -> Flight:
    return Flight(*(getattr(flight, name)[:count] for name in ("loss", "lr", "grad", "max_logits", "violation")))


def _series(flight: Flight) -> dict[str, Any]:
    return {
        "loss": pack(flight.loss), "lr": pack(flight.lr), "grad": pack(np.arcsinh(flight.grad)),
        "heads": flight.max_logits[0].size, "maxima": pack(np.arcsinh(flight.max_logits)), "violation": pack(flight.violation),
        "spikes": [count_spikes(smooth(flight.loss, width)) for width in WIDTHS],
    }  # fmt: skip


def _landing(landing: Landing) -> dict[str, Any]:
    series = _series(landing.flight)
    return {
        "branch": landing.branch,
        "length": len(landing.flight.loss),
        "before": landing.before,
        "after": landing.after,
    } | series


# ---- quiet figures -----------------------------------------------------------------------------------------------------


def _line(
    name: str, x: Iterable[float], y: Iterable[float], colour: str, *, at: int, place: str, **more: Any
) -> dict[str, Any]:
    """A line with its name at point `at`."""
    x, y = list(x), [float(f"{value:.4g}") for value in y]
    texts = [""] * len(x)
    texts[at] = f"<b>{name}</b>"
    return {
        "type": "scatter", "mode": "lines+text", "x": x, "y": y, "text": texts, "textposition": place,
        "line": {"color": colour, "width": 2.5}, "hovertemplate": "%{x}: %{y}<extra>" + name + "</extra>",
    } | more  # fmt: skip


def _axes(above: str, x_title: str, x: Mapping[str, Any] = {}, y: Mapping[str, Any] = {}) -> dict[str, Any]:  # noqa: B006
    return {
        "xaxis": {"title": beneath(x_title), **x},
        "yaxis": dict(y), "annotations": caption(above),
    }  # fmt: skip


def landings(trunk: Trunk) -> Quiet:
    """Held-out loss at each branch point, and after the landing that began there."""
    found = list(trunk.landings.values())

    def draw() -> list[dict[str, Any]]:
        markers = {"mode": "lines+markers+text", "marker": {"size": 9}}
        return [
            _line("at the full rate", [o.branch for o in found], [o.before for o in found], still.COLOURS["rest"],
                  at=-2, place="top center", **markers),
            _line("landed", [o.end for o in found], [o.after for o in found], still.COLOURS["optimizer"],
                  at=-2, place="bottom center", **markers),
        ]  # fmt: skip

    first, last = found[0], found[-1]
    better = [one for one in found if one.after < last.before]
    return quiet(
        draw,
        title=f"Landed after {better[0].end:,} updates, the run is better than after {last.branch:,} at the full rate"
        if better
        else "No landing is better than the end of the trunk",
        alt=f"Held-out loss against updates. At the full rate it goes from {first.before:.2f} to {last.before:.2f}; each "
        f"landing lies below it, from {first.after:.2f} to {last.after:.2f}.",
        **_axes("held-out loss, nats a token", "update"),
    )


def against_cosine(recording: Recording, width: int = 100) -> Quiet:
    """Trunk and last landing against the cosine run of the same length, a seed at a time, the loss as means of `width`."""
    seeds = list(recording.trunks)
    every = 10

    def draw(seed: int) -> list[dict[str, Any]]:
        trunk, (cosine, _) = recording.trunks[seed], recording.cosines[seed]
        flown = np.concatenate([trunk.flight.loss, trunk.last.flight.loss])
        updates = range(width, len(flown) + 1, every)
        curves = [smooth(loss, width)[width - 1 :: every] for loss in (flown, cosine.loss)]
        colours = still.COLOURS["optimizer"], still.COLOURS["rest"]
        return [
            _line("constant, then landed", updates, curves[0], colours[0], at=len(updates) // 4, place="top right"),
            _line("cosine", updates, curves[1], colours[1], at=len(updates) // 2, place="bottom left"),
        ]

    def title(seed: int) -> str:
        landed, cosine = recording.trunks[seed].last.after, recording.cosines[seed][1]
        return f"Seed {seed}: held-out loss {landed:.3f} landed, {cosine:.3f} with the cosine, after the same tokens"

    return quiet(
        draw,
        title=title,
        alt="Training loss as a moving mean against updates, for a constant rate that lands at the end and for a cosine. The "
        "constant rate is higher until it lands; at the end the two meet.",
        slider=Slider("seed", seeds),
        **_axes(f"loss, mean of {width} updates", "update", y={"range": [2.5, 5]}),
    )


# K2 report, sections 2.2 and 2.5, in tokens.
_BATCH, _WARMUP, _FLAT, _DECAY, _PEAK = 16_384 * 4096, 500, 10e12, 5.5e12, 2e-4
_ANNEAL = (400e9, 60e9)  # 4,096 positions, then 32,768; the rate goes to 7e-6


def k2_schedule() -> dict[str, int]:
    """K2's schedule in updates: warmup, total and decay as `wsd_factor` takes them, and the annealing after it."""
    total = math.ceil((_FLAT + _DECAY) / _BATCH)
    return {"warmup": _WARMUP, "total": total, "decay": round(_DECAY / _BATCH), "anneal": round(sum(_ANNEAL) / _BATCH)}


def k2_rate(update: int) -> float:
    """K2's learning rate at `update` (0-based) before the annealing."""
    updates = k2_schedule()
    return _PEAK * wsd_factor(update, warmup=updates["warmup"], total=updates["total"], decay=updates["decay"], final=0.1)


def k2_schedule_figure() -> Quiet:
    """K2's learning rate against tokens; the slider names a moment."""
    updates = k2_schedule()
    trillions = _BATCH / 1e12
    grid = sorted({*np.linspace(0, updates["total"] - 1, 160).astype(int).tolist(), 0, _WARMUP - 1, _WARMUP})
    moments = {"end of the warm-up": _WARMUP - 1} | {
        f"{at:g} trillion tokens": min(round(at / trillions), updates["total"] - 1) for at in (5, 10, 11, 12, 13, 14, 15, 15.5)
    }

    def draw(moment: str) -> list[dict[str, Any]]:
        at, end = moments[moment], updates["total"]
        fall = [(end, 2e-5), (end + updates["anneal"], 7e-6)]
        return [
            _line("", [update * trillions for update in grid], [1e4 * k2_rate(update) for update in grid],
                  still.COLOURS["optimizer"], at=0, place="top center"),
            _line("annealing", [x * trillions for x, _ in fall], [1e4 * y for _, y in fall], still.COLOURS["rest"],
                  at=0, place="top center", line={"color": still.COLOURS["rest"], "width": 2.5, "dash": "dot"}),
            {"type": "scatter", "mode": "markers", "x": [at * trillions], "y": [1e4 * k2_rate(at)],
             "marker": {"size": 13, "color": still.COLOURS["optimizer"]}, "hoverinfo": "skip"},
        ]  # fmt: skip

    def title(moment: str) -> str:
        at = moments[moment]
        return (
            f"K2 at the {moment}: update {at + 1:,}, rate {k2_rate(at):.2g}"
            if "end" in moment
            else (f"K2 after {moment}: update {at + 1:,} of {updates['total']:,}, rate {k2_rate(at):.2g}")
        )

    return quiet(
        draw,
        title=title,
        alt="K2's learning rate against tokens: a warm-up too short to see, flat to 10 trillion, a cosine to a tenth of it at "
        "15.5 trillion, and a dotted line for the annealing, whose form and place the report leaves open.",
        slider=Slider("moment", list(moments), start=2),
        **_axes("learning rate, in units of 0.0001", "tokens, in trillions", y={"range": [0, 2.3]}, x={"range": [-0.4, 16.6]}),
    )
