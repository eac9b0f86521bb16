"""The quiet figures of the chapter *Two bets*: curves with bands, FLOPs saved at equal loss, and the study of heads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..laws import draws, fit_law, law_band
from . import still
from .bets_runs import USUAL, Shape, Shapes, saved
from .quiet import Quiet, Slider, beneath, caption, quiet

REPORT_SAVED = {8: 1.69, 16: 1.39, 32: 1.15}  # K2 report, section 2.3: sparsity 48 against these, at validation loss 1.5
REPORT_SPARSITY = 48
REPORT_HEADS = (0.5, 1.2)  # percent of validation loss that twice the heads gain, the same section
_GFLOP = [100, 200, 500, 1000, 2000]  # ticks


def curves(shapes: Shapes, level: float = 0.8) -> Quiet:
    """Held-out loss against training FLOPs: the fewest experts, and the number on the slider; fits with bands over seeds."""
    line = {experts: shape for (experts, heads), shape in shapes.items() if heads == USUAL[1]}
    least, *others = sorted(line)

    def draw(experts: int) -> list[dict[str, Any]]:
        return [*_curve(line[least], "rest", True, level), *_curve(line[experts], "experts", False, level)]

    def title(experts: int) -> str:
        ends = [line[count].loss_SB[:, -1].mean() for count in (least, experts)]
        return f"{experts} experts end at loss {ends[1]:.3f}, {least} at {ends[0]:.3f}, with equal tokens and two at work"

    every = np.concatenate([shape.loss_SB.ravel() for shape in line.values()])
    return quiet(
        draw,
        title=title,
        alt="Held-out loss against training FLOPs, for the model with the fewest experts and for the number on the slider. "
        "Dots are means of the seeds with bars from lowest to highest; lines are fitted laws, shaded bands their spread when "
        "the seeds are resampled, wider beyond the runs.",
        slider=Slider("experts", others, start=len(others) - 1),
        xaxis=_axis("training GFLOP", type="log", tickvals=_GFLOP, ticktext=[f"{value:,}" for value in _GFLOP]),
        yaxis={"range": [every.min() - 0.15, every.max() + 0.2]},
        annotations=caption("held-out loss, nats a token"),
    )


def _curve(shape: Shape, colour: str, upper: bool, level: float) -> list[dict[str, Any]]:
    """Band, fitted line and measured dots of one shape; the name stands at the upper or lower side of the line."""
    flops_B, ink = shape.flops_B, still.COLOURS[colour]
    at_M = np.geomspace(flops_B[0] / 1.15, flops_B[-1] * 1.6, 40)
    low_M, high_M = law_band(flops_B, shape.loss_SB, draws(len(shape.seeds)), at_M, level=level)
    mean_B = shape.loss_SB.mean(0)
    x = (at_M / 1e9).round(2)
    band = {
        "type": "scatter", "mode": "lines", "x": [*x, *x[::-1]], "y": [*low_M.round(4), *high_M[::-1].round(4)],
        "fill": "toself", "fillcolor": ink, "opacity": 0.25, "line": {"width": 0}, "hoverinfo": "skip",
    }  # fmt: skip
    fit = {
        "type": "scatter", "mode": "lines", "x": list(x), "y": list(fit_law(flops_B, mean_B).loss(at_M).round(4)),
        "line": {"color": ink, "width": 2}, "hoverinfo": "skip",
    }  # fmt: skip
    return [
        band,
        fit,
        _dots(f"{shape.experts} experts", flops_B / 1e9, shape.loss_SB, ink, "top right" if upper else "bottom left"),
    ]


def _dots(name: str, x: Iterable[Any], value_SN: np.ndarray, ink: str, side: str, named: int = 2) -> dict[str, Any]:
    """Means over seeds with bars from the lowest to the highest; the name stands beside dot number `named`."""
    mean_N = value_SN.mean(0)
    texts = [" "] * len(mean_N)
    texts[named] = f"<b>{name}</b>"
    return {
        "type": "scatter", "mode": "markers+text", "x": list(x), "y": [float(f"{value:.5g}") for value in mean_N],
        "text": texts, "textposition": side, "marker": {"color": ink, "size": 9}, "cliponaxis": False,
        "error_y": {
            "type": "data", "symmetric": False, "color": ink,
            "array": (value_SN.max(0) - mean_N).round(5).tolist(), "arrayminus": (mean_N - value_SN.min(0)).round(5).tolist(),
        },
        "hovertemplate": "%{x}<br>%{y:.4g}<extra>" + name + "</extra>",
    }  # fmt: skip


def savings(shapes: Shapes, targets: Iterable[float]) -> Quiet:
    """FLOPs that the most experts save at equal loss, against how many times fewer the other shape has; the report's hollow."""
    line = {experts: shape for (experts, heads), shape in shapes.items() if heads == USUAL[1]}
    most = max(line)
    fewer = sorted(set(line) - {most}, reverse=True)

    def draw(target: float) -> list[dict[str, Any]]:
        found = np.array([saved(line[experts], line[most], target) for experts in fewer])
        mean, low, high = found.T.round(3)
        ink = still.COLOURS["experts"]
        ours = {
            "type": "scatter", "mode": "markers+text", "x": [most / experts for experts in fewer], "y": mean.tolist(),
            "text": [f"<b>{experts}</b>" for experts in fewer], "textposition": "top left",
            "marker": {"color": ink, "size": 10}, "cliponaxis": False,
            "error_y": {
                "type": "data", "symmetric": False, "color": ink,
                "array": (high - mean).clip(0).round(3).tolist(), "arrayminus": (mean - low).clip(0).round(3).tolist(),
            },
        }  # fmt: skip
        told = {
            "type": "scatter", "mode": "markers+text", "x": [REPORT_SPARSITY / sparsity for sparsity in REPORT_SAVED],
            "y": list(REPORT_SAVED.values()), "text": [f"{factor}" for factor in REPORT_SAVED.values()],
            "textposition": "bottom right", "cliponaxis": False,
            "marker": {"symbol": "diamond-open", "size": 12, "line": {"width": 2}, "color": still.COLOURS["rest"]},
        }  # fmt: skip
        return [ours, told]

    def title(target: float) -> str:
        mean, low, high = saved(line[min(line)], line[most], target)
        seeds = f"{low:.2f} to {high:.2f}"
        return f"To loss {target:g}, {min(line)} experts need {mean:.2f} times the FLOPs that {most} need (seeds {seeds})"

    targets = list(targets)
    highest = max(saved(line[experts], line[most], target)[2] for experts in fewer for target in targets)
    ratios = [1.5, 2, 3, 4, 6, 8, 16]
    return quiet(
        draw,
        title=title,
        alt="How many times the training FLOPs are needed to the same loss, against how many times fewer experts there are. "
        "Green dots, measured: 32, 16, 8 and 4 experts against 64, bars from the lowest to the highest seed. Hollow "
        "diamonds, the report: sparsity 32, 16 and 8 against 48. The slider changes the loss that is reached.",
        slider=Slider("loss", targets, start=0, show=lambda target: f"{target:g} nats"),
        xaxis=_axis("times fewer experts", type="log", tickvals=ratios, ticktext=[f"{ratio:g}" for ratio in ratios]),
        yaxis={"range": [0.85, max(highest, 1.8) + 0.15]},
        annotations=caption("times the FLOPs to that loss"),
    )


def head_study(shapes: Shapes) -> Quiet:
    """Percent of held-out loss that twice the heads gain, at each budget of tokens, beside the report's range, hollow."""
    line = {heads: shape for (experts, heads), shape in shapes.items() if experts == USUAL[0]}
    counts = sorted(line)
    steps = list(zip(counts, counts[1:], strict=False))

    def gain_SB(step: tuple[int, int]) -> np.ndarray:
        few, many = (line[heads].loss_SB for heads in step)
        return 100 * (1 - many / few)

    def ticks(step: tuple[int, int]) -> list[str]:
        return [f"{tokens / 1e3:.0f}k" for tokens in line[step[0]].tokens_B]

    def draw(step: tuple[int, int]) -> list[dict[str, Any]]:
        ours = _dots("", ticks(step), gain_SB(step), still.COLOURS["attention"], "top center")
        told = {
            "type": "scatter", "mode": "markers+text", "x": ["report", "report"], "y": list(REPORT_HEADS),
            "text": [f"{value}" for value in REPORT_HEADS], "textposition": "middle left", "cliponaxis": False,
            "marker": {"symbol": "diamond-open", "size": 12, "line": {"width": 2}, "color": still.COLOURS["rest"]},
        }  # fmt: skip
        return [ours, told]

    def title(step: tuple[int, int]) -> str:
        last_S = gain_SB(step)[:, -1]
        spread = f"{last_S.min():.1f} to {last_S.max():.1f}"
        return f"{step[0]} to {step[1]} heads, most tokens: loss lower by {last_S.mean():.1f} % (seeds {spread})"

    every = np.concatenate([gain_SB(step).ravel() for step in steps])
    return quiet(
        draw,
        title=title,
        alt="Percent of held-out loss that twice the heads gain, against training tokens: dots are means of the seeds, bars "
        "reach from the lowest to the highest. Two hollow diamonds at the right: the report's 0.5 and 1.2 percent.",
        slider=Slider("heads", steps, start=0, show=lambda step: f"{step[0]} to {step[1]}"),
        xaxis=_axis("training tokens", type="category", categoryorder="array", categoryarray=[*ticks(steps[0]), "report"]),
        yaxis={"range": [min(every.min(), 0) - 0.4, max(every.max(), 1.2) + 0.6], "zeroline": True, "zerolinewidth": 2},
        annotations=caption("loss lower by, in percent"),
    )


def _axis(title: str, **axis: Any) -> dict[str, Any]:
    return {"title": beneath(title), "tickangle": 0, **axis}
