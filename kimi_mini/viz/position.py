"""The figures of the chapter *Where is a word?*: closed forms of released configs and recorded readings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..config import ModelConfig
from ..model.rope import rope_frequencies, yarn_range
from ..presets import DEEPSEEK_V3, K2
from . import still
from .position_runs import Recording, load_recording
from .quiet import Quiet, Slider, beneath, caption, quiet
from .stage import Stage, stage

__all__ = ["clocks", "load_recording", "outside", "reach", "second_phase"]

LAST = 131072  # the end of the picture's axis: K2's context
_MODELS = {"K2": ("K2", K2), "DEEPSEEK_V3": ("DeepSeek-V3", DEEPSEEK_V3)}
_RECORDED = {"K2": "yarn", "DEEPSEEK_V3": "yarn with V3's ramp"}  # the small model's reading with that model's kind of ramp
_TURN = 2 * math.pi


# ---- the clocks --------------------------------------------------------------------------------------------------------


def clocks(recording: Recording) -> Stage:
    """32 hands at any position, where they went in training, with YaRN or without; the small model's loss beneath."""
    plain, slowed = outside(K2.replace(rope_scaling=None), LAST), outside(K2, LAST)
    facts = _clocks(K2)
    rows = [
        (
            pair,
            f"{_TURN / freq:,.1f}",
            f"{4096 * freq / _TURN:.2f}",
            f"{LAST * freq / _TURN:,.2f}",
            f"{LAST * slow / _TURN:,.2f}",
        )
        for pair, (freq, slow) in enumerate(zip(facts["plain"], facts["yarn"], strict=True))
    ]
    return stage(
        "clocks",
        {
            "models": {key: {"name": name, **_clocks(config)} for key, (name, config) in _MODELS.items()},
            "last": LAST,
            "trained": K2.rope_scaling.original_max_position_embeddings,
            "runs": _runs(recording),
        },
        name="position-clocks",
        title=f"Position {LAST:,} without YaRN: {plain} of 32 hands point where training never went; with it, {slowed}.",
        alt="32 clock faces, one per rotary pair of K2. The first twenty are shaded all round: within 4,096 tokens they finish "
        "a lap. The last twelve are shaded only in part, and at far positions their hands leave the shade; with YaRN switched "
        "on all hands stay in it. Beneath, the measured loss of a small model against length, plain and with YaRN.",
        still=still.table(("clock", "tokens a lap", "laps in 4,096", f"laps in {LAST:,}", "the same with YaRN"), rows),
        height=1000,
    )


def outside(config: ModelConfig, position: int) -> int:
    """Hands that at `position` point where no position of the original length put them, a whole lap having shown everything."""
    yarn = config.rope_scaling
    length = yarn.original_max_position_embeddings if yarn else K2.rope_scaling.original_max_position_embeddings
    trained_P = rope_frequencies(config.replace(rope_scaling=None)) * length
    angle_P = rope_frequencies(config) * position % _TURN
    return int(((trained_P < _TURN) & (angle_P > trained_P * (1 + 1e-9))).sum())


def _clocks(config: ModelConfig) -> dict[str, Any]:
    yarn = config.rope_scaling
    low, high = yarn_range(config)
    return {
        "plain": rope_frequencies(config.replace(rope_scaling=None)).tolist(), "yarn": rope_frequencies(config).tolist(),
        "factor": yarn.factor, "low": low, "high": high,
    }  # fmt: skip


def _runs(recording: Recording) -> dict[str, Any]:
    """What the loss chart draws: per bucket of length each seed's excess, plain and with either model's kind of ramp."""
    series = {"plain": "plain", **_RECORDED}
    return {
        "times": [last for _, last in recording.buckets], "short": recording.short, "seeds": recording.seeds,
        "excess": {name: recording.excess(reading).round(4).tolist() for name, reading in series.items()},
    }  # fmt: skip


# ---- reading far beyond the training -----------------------------------------------------------------------------------

_WORDS = {
    "yarn by 4": "YaRN by 4", "yarn by 8": "YaRN by 8", "yarn by 16": "YaRN by 16", "yarn": "YaRN by 32",
    "yarn without temperature": "by 32, no temperature", "yarn with V3's ramp": "by 32, V3's ramp", "all slowed": "all slowed",
}  # fmt: skip


def reach(recording: Recording) -> Quiet:
    """Excess loss against length: plain, and one other way of reading, chosen by the slider."""

    def title(reading: str) -> str:
        last, plain = (recording.excess(name)[:, -1].mean() for name in (reading, "plain"))
        return f"{_WORDS[reading]}: {last:+.2f} nats a token beyond 16 times the trained length, plain {plain:+.2f}"

    return _lengths(
        recording,
        lambda reading: [("plain", "plain", "short"), (_WORDS[reading], reading, "short")],
        title=title,
        alt="Loss per token more than in pieces of 64 tokens, against how many times the trained length a token lies from the "
        "start. Plain RoPE climbs as soon as the trained length is left; the reading on the slider is drawn beside it.",
        slider=Slider("read with", list(_WORDS), start=3, show=_WORDS.__getitem__),
        xaxis=_axis("times the trained length", [last for _, last in recording.buckets], "x"),
    )


def second_phase(recording: Recording) -> Quiet:
    """Plain and YaRN before and after some updates at eight times the length, where YaRN may count from either length."""
    short, longer, times = recording.short, recording.longer, recording.long // recording.longer
    ends = [last * short for _, last in recording.buckets]
    settings = {
        f"{short} only": ("short", "yarn", f"YaRN by {recording.long // short}"),
        f"{short}, then {longer}; YaRN from {longer}": ("longer", f"yarn from {longer}", f"YaRN by {times}"),
        f"{short}, then {longer}; YaRN from {short}": ("longer", "yarn", f"YaRN by {recording.long // short}"),
    }

    def lines(setting: str) -> list[tuple[str, str, str]]:
        stage_name, reading, name = settings[setting]
        return [("plain", "plain", stage_name), (name, reading, stage_name)]

    def title(setting: str) -> str:
        plain, yarn = (recording.excess(reading, stage_name)[:, -1].mean() for _, reading, stage_name in lines(setting))
        return f"Trained at {setting}: plain {plain:+.2f}, YaRN {yarn:+.2f} nats a token at the far end"

    return _lengths(
        recording,
        lines,
        title=title,
        alt="Loss per token more than in pieces of 64 tokens against position, plain and with YaRN: for the model that saw "
        "only 64 positions, and for the same model after some updates at 512, with YaRN counted from 512 or from 64. "
        "A line marks position 512.",
        slider=Slider("trained at", list(settings), start=1),
        xaxis=_axis("position in the text, up to", ends),
        marked=longer,
    )


def _axis(title: str, ends: Sequence[int], unit: str = "") -> dict[str, Any]:
    ticks = {"tickvals": list(ends), "ticktext": [f"{end}{unit}" for end in ends], "tickangle": 0, "tickfont": {"size": 12}}
    return {"title": beneath(title), "type": "log", **ticks}


def _lengths(
    recording: Recording,
    lines: Callable[[str], list[tuple[str, str, str]]],
    *,
    xaxis: dict[str, Any],
    marked: int | None = None,
    **words: Any,
) -> Quiet:
    """Two lines over the ends of the stretches, named behind their last points; `marked` is a position of the axis."""
    styles = ((still.COLOURS["rest"], "square"), (still.COLOURS["attention"], "circle"))

    def draw(setting: str) -> list[dict[str, Any]]:
        drawn = [(name, recording.excess(reading, stage_name)) for name, reading, stage_name in lines(setting)]
        plain, other = (excess[:, -1].mean() for _, excess in drawn)
        sides = ("top", "bottom") if plain > other else ("bottom", "top")  # so that the two names never meet
        return [
            _line(name, xaxis, excess, *style, side) for (name, excess), style, side in zip(drawn, styles, sides, strict=True)
        ]

    notes = caption("nats a token more than in pieces of 64")
    shapes = []
    if marked is not None:
        rule = {"color": still.COLOURS["rest"], "width": 1.5, "dash": "dot"}
        shapes = [{"type": "line", "x0": marked, "x1": marked, "yref": "paper", "y0": 0, "y1": 0.93, "line": rule}]
        named = {"yref": "paper", "y": 0.93, "xanchor": "center", "yanchor": "bottom", "showarrow": False}
        notes.append({"text": f"second training: {marked}", "x": math.log10(marked), **named})
    return quiet(
        draw,
        xaxis=xaxis,
        yaxis={"range": _range(recording), "zeroline": True},
        annotations=notes,
        shapes=shapes,
        margin={"l": 52, "r": 78, "t": 36, "b": 48},  # the names of the lines stand at the right
        **words,
    )


def _range(recording: Recording) -> list[float]:
    every = [recording.excess(name, at) for at in ("short", "longer") for name in recording.rows[0]["losses"][at]]
    drawn = [excess for excess in every if excess.max() < 3]
    low, high = min(e.min() for e in drawn), max(e.max() for e in drawn)
    return [math.floor(10 * low) / 10 - 0.1, math.ceil(10 * high) / 10 + 0.3]  # room for a name of two lines


def _line(name: str, axis: dict[str, Any], excess: np.ndarray, colour: str, symbol: str, side: str) -> dict[str, Any]:
    """Mean over seeds with bars from the smallest to the largest; the name stands behind the last point, in short lines."""
    middle, x = excess.mean(0), axis["tickvals"]
    label = name.replace("temperature", "temp.").replace(", ", ",<br>").replace("YaRN ", "YaRN<br>").replace("all ", "all<br>")
    return {
        "type": "scatter", "mode": "lines+markers+text", "x": x, "y": middle.tolist(),
        "text": [*[""] * (len(x) - 1), f"<b>{label}</b>"], "textposition": f"{side} right", "cliponaxis": False,
        "marker": {"color": colour, "size": 10, "symbol": symbol}, "line": {"color": colour, "width": 2},
        "error_y": {
            "type": "data", "symmetric": False, "color": colour,
            "array": (excess.max(0) - middle).tolist(), "arrayminus": (middle - excess.min(0)).tolist(),
        },
        "customdata": axis["ticktext"], "hovertemplate": "up to %{customdata}<br>%{y:+.2f} nats<extra>" + name + "</extra>",
    }  # fmt: skip
