"""The figures of the chapter *Keeping 384 experts busy*, from the recorded runs of `runs.balance` and from toy loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..checks import require
from ..optim import device_load, max_violation
from . import still
from .balance_runs import TAIL, Run, load_mini, load_runs, pick
from .quiet import Quiet, Slider, beneath, quiet
from .series import pack
from .stage import Stage, stage

__all__ = ["NAMES", "biases", "busiest", "load_mini", "load_runs", "pick", "pooled", "pooling", "thermostat", "toy_loads"]

NAMES = {
    "rate0": "no balance at all",
    "rate0.001": "bias speed 0.001",
    "rate0.01": "bias speed 0.01",
    "rate0.1": "bias speed 0.1",
    "rate0.01-centred": "bias speed 0.01, centred",
    "alpha0.01": "balance loss times 0.01",
    "alpha0.1": "balance loss times 0.1",
    "alpha1": "balance loss times 1",
}
_THIN = 2  # of the recorded loads, the page carries every second one


# ---- the thermostat ----------------------------------------------------------------------------------------------------


def thermostat(runs: Iterable[Run]) -> Stage:
    """Load bars per expert over the updates of a run, devices around them, the violation beneath."""
    runs = sorted(runs, key=lambda run: (list(NAMES).index(run.rule), run.seed))
    opening = runs[0]
    experts = opening.load.shape[2]
    data = {
        "layers": list(opening.layers), "experts": experts, "chosen": opening.chosen, "tokens": opening.tokens,
        "steps": len(opening.loss), "every": opening.every * _THIN, "tail": TAIL, "names": NAMES,
        "devices": [n for n in range(1, experts + 1) if experts % n == 0],
        "runs": {run.key: _page_run(run) for run in runs},
    }  # fmt: skip
    rows = [
        (f"expert {expert}", float(share), f"{share:.2f}", "optimizer" if share > 2 else "experts")
        for expert, share in enumerate(opening.end_share[0])
    ]
    return stage(
        "thermostat",
        data,
        name="balance-thermostat",
        title=f"No balance at all: {opening.idle[0]} of {experts} experts end with less than a tenth of their fair share.",
        alt="Two rows of bars, one bar per expert of a layer, its load in fair shares; frames around the experts of a device; "
        "beneath them the load violation over all updates. Controls choose the run, the update and the number of devices.",
        still=f"<p>Load of the experts of layer {opening.layers[0]} in fair shares, no balance, end of the run.</p>"
        + still.bars(rows),
        height=1080,
    )


def _page_run(run: Run) -> dict[str, Any]:
    return {
        "load": pack(run.load[_THIN - 1 :: _THIN]), "violation": pack(run.violation), "held_out": run.held_out,
        "end_violation": round(run.end_violation, 4), "end_echo": round(run.end_echo, 4),
        "busiest": [round(float(share), 4) for share in run.end_share.max(1)], "idle": run.idle,
    }  # fmt: skip


# ---- fewer and fuller devices ------------------------------------------------------------------------------------------


def busiest(load: Any, devices: int) -> np.ndarray:
    """Load of the busiest of `devices` over the mean device's, for each row of loads over the last axis."""
    return max_violation(device_load(torch.as_tensor(np.asarray(load)), devices)).numpy() + 1


def pooled(load: Any, devices: Iterable[int]) -> dict[int, tuple[float, float, float]]:
    """By number of devices: the tenth, the middle and the ninetieth percentile of `busiest` over all rows of loads."""
    each = {n: np.quantile(busiest(load, n), [0.1, 0.5, 0.9]) for n in devices}
    return {n: tuple(map(float, quantiles)) for n, quantiles in each.items()}


def toy_loads(experts: int, spread: float, *, draws: int = 300, seed: int = 0) -> np.ndarray:
    """load_NE: a toy batch in each row. Experts' loads are independent, of mean 1 and standard deviation `spread` (gamma)."""
    require(spread > 0, "spread", spread, "a number > 0")
    return np.random.default_rng(seed).gamma(1 / spread**2, spread**2, (draws, experts))


def pooling(sources: Mapping[str, tuple[int, Mapping[int, Sequence[float]], str]]) -> Stage:
    """The busiest device against the number of devices. sources[name] = (experts, `pooled` of it, what it is and its class)."""
    require(bool(sources), "sources", sources, "at least one")
    data = [
        {"name": name, "experts": experts, "about": about, "points": [[n, *values] for n, values in sorted(found.items())]}
        for name, (experts, found, about) in sources.items()
    ]
    first = data[0]["points"]
    return stage(
        "pooling",
        {"sources": data},
        name="balance-pooling",
        title=f"One batch: the busiest of {first[-1][0]} devices has {first[-1][2]:.1f} times the mean, of {first[0][0]} "
        f"devices {first[0][2]:.1f} times.",
        alt="Load of the busiest device over the mean against the number of devices that share the same routed experts, with "
        "the middle 80 % of batches as bars. The fewer the devices, the nearer to 1.",
        still=still.table(("devices", "busiest over mean"), [(n, f"{middle:.2f}") for n, _, middle, _ in first]),
        height=620,
    )


# ---- where the biases go -----------------------------------------------------------------------------------------------


def biases(runs: Iterable[Run]) -> Quiet:
    """Mean bias of a layer over the updates: the plain rule drifts, the centred one stays."""
    runs = list(runs)
    pairs = list(zip(pick(runs, "rate0.01"), pick(runs, "rate0.01-centred"), strict=True))
    require(bool(pairs), "runs", len(runs), "some of rate0.01 and some of rate0.01-centred")
    layers = pairs[0][0].layers
    settings = [(pair, place) for pair in pairs for place in range(len(layers))]

    def draw(setting: tuple[tuple[Run, Run], int]) -> list[dict[str, Any]]:
        pair, place = setting
        drawn = (("plain", still.COLOURS["optimizer"], "solid"), ("centred", still.COLOURS["experts"], "dash"))
        return [_line(run, run.bias_mean[:, place], *style) for run, style in zip(pair, drawn, strict=True)]

    def title(setting: tuple[tuple[Run, Run], int]) -> str:
        (plain, centred), place = setting
        ends = plain.bias_mean[-1, place], np.abs(centred.bias_mean[:, place]).max()
        zero = "within a millionth of 0" if ends[1] < 1e-6 else f"within {ends[1]:.1g} of 0"
        return f"The mean bias ends at {ends[0]:.3f} by the plain rule; centred it stays {zero}".replace("-", "\u2212")

    return quiet(
        draw,
        title=title,
        alt="Mean selection bias of a layer's experts over the updates, by the plain and by the centred rule at the same "
        "speed; the slider picks seed and layer. The plain rule's mean wanders off, the centred one's stays at zero.",
        slider=Slider("seed and layer", settings, show=lambda s: f"seed {s[0][0].seed}, layer {layers[s[1]]}"),
        xaxis={"title": beneath("update")},
        yaxis={"title": {"text": "mean bias", "font": {"size": 14}}},
        margin={"l": 64, "r": 12, "t": 20, "b": 48},
    )


def _line(run: Run, values: np.ndarray, name: str, colour: str, dash: str) -> dict[str, Any]:
    updates = [run.bias_every * (row + 1) for row in range(len(values))]
    texts = [""] * (len(values) - 1) + [f"<b>{name}</b>"]
    return {
        "type": "scatter", "mode": "lines+text", "x": updates, "y": [float(f"{value:.4g}") for value in values],
        "text": texts, "textposition": "top left", "line": {"color": colour, "width": 3, "dash": dash},
    }  # fmt: skip
