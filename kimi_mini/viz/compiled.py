"""What a compiler and a clock say of the kernels: recorded reports of the offline gate, a roofline of what was measured."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import require
from ..kernels import work
from . import still
from .quiet import Quiet, beneath, caption, quiet
from .ranking_tables import figure_table
from .scoreboard import Markup

__all__ = ["Dot", "compiler_table", "intensities", "measured", "read_gate", "roofline", "shapes"]


# ---- the compiler's report ---------------------------------------------------------------------------------------------


def read_gate(path: str | Path) -> dict[str, Any]:
    """What `python -m runs.kernels` wrote. Raises ValueError where nothing is there."""
    path = Path(path)
    require(path.is_file(), "path", str(path), "a file of `python -m runs.kernels`")
    return json.loads(path.read_text(encoding="utf-8"))


def compiler_table(content: Mapping[str, Any], shape: str = "K2", arch: int = 90) -> Markup:
    """One line for each kernel launched in the cases of `shape`: what the compiler said of its launch with most registers."""
    chosen: dict[str, dict[str, Any]] = {}
    for one in content["reports"]:
        words = one["case"].split()
        fits = one["arch"] == arch and shape in words and "fp32" not in words
        if fits and one["registers"] > chosen.get(one["kernel"], {"registers": -1})["registers"]:
            chosen[one["kernel"]] = one
    require(bool(chosen), "shape", shape, "one that the recorded cases name")
    rows = [
        [
            html.escape(name.replace("_triton", "").replace("._", ": ").replace("_", " ")),
            *(f"{one[key]:,}" for key in ("registers", "stack", "shared", "warps")),
            "yes" if one["tensor_cores"] else "MISSING" if one["dot"] else "-",
        ]
        for name, one in chosen.items()
    ]
    limit, versions = content["limits"][str(arch)], content["versions"]
    return figure_table(
        f"Compiled for sm_{arch} at {shape}'s shapes on {content['date']} with triton {versions['triton']}, on a machine "
        f"without a GPU. A thread has 255 registers, a block {limit:,} bytes of shared memory. A dash: multiplies no tiles.",
        ("kernel", "registers a thread", "spilled bytes a thread", "shared bytes a block", "warps", "tensor cores"),
        rows,
    )


# ---- the roofline ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dot:
    """One measured row of bench/results: FLOPs, bytes, median time; device, date and the ceilings of the same run."""

    name: str
    work: work.Work
    milliseconds: float
    device: str
    date: str
    ceilings: work.Ceilings

    @property
    def tflops(self) -> float:
        return self.work.flops / self.milliseconds / 1e9


def shapes() -> dict[str, work.Work]:
    """What K2 multiplies matrices for, by intensity, at the shapes of the benchmark plan: FLOPs and bytes of `kernels.work`."""
    found = {
        "attention": work.attention_forward(B=1, T=8192, H=64),
        "attention, backward": work.attention_backward(B=1, T=8192, H=64),
        "decoding": work.latent_attention(B=32, S=16_384, H=64),
        "experts, 8k tokens": work.grouped_mlp_forward(T=8192, K=8, E=384, D=7168, F=2048),
        "experts, 16k tokens": work.grouped_mlp_forward(T=16_384, K=8, E=384, D=7168, F=2048),
        "Newton-Schulz": work.newton_schulz(2048, 7168, form="gram"),
        "output and loss": work.linear_cross_entropy_forward(T=4096, D=7168, V=163_840),
    }
    return dict(sorted(found.items(), key=lambda item: item[1].intensity))


def measured(folder: str | Path) -> list[Dot]:
    """The rows of bench/results that a GPU ran and that say their FLOPs and bytes; none where no GPU has run yet."""
    found = []
    for path in sorted(Path(folder).glob("*.json")):
        for record in json.loads(path.read_text(encoding="utf-8")).values():
            if not record.get("gpu") or not record.get("work") or not record["work"]["flops"]:
                continue
            ours, done = next(iter(record["contenders"].values())), work.Work(**record["work"])
            reached = work.Ceilings(1e9 * record["gemm_gflops"], 1e9 * record["copy_gbytes"])
            found.append(Dot(record["row"], done, ours["median_ms"], record["gpu"], record["date"][:10], reached))
    return found


def roofline(dots: Sequence[Dot], planned: Mapping[str, work.Work]) -> Quiet:
    """Two roofs by name, measured dots, and a thin line from each planned operation's derived intensity up to its roof.

    The roofs are those that were measured with the first dot; without one, the published figures of an H100.
    """
    ceilings, source = (dots[0].ceilings, "measured") if dots else (work.H100, "published")
    ridge = ceilings.flops / ceilings.bytes
    low, high = 20.0, 40_000.0
    edge = 10.0  # TFLOP/s: the lower edge of the picture

    limits = [(w.intensity, min(w.intensity * ceilings.bytes, ceilings.flops) / 1e12) for w in planned.values()]

    def draw() -> list[dict[str, Any]]:
        slope, flat = ceilings.bytes / 1e12, ceilings.flops / 1e12
        quiet_text = {"type": "scatter", "mode": "text", "hoverinfo": "skip"}
        traces = [
            {"type": "scatter", "mode": "lines", "x": [low, ridge, high], "y": [low * slope, flat, flat], "hoverinfo": "skip",
             "line": {"color": still.COLOURS["rest"], "width": 2.5}},
            {**quiet_text, "x": [48, 14_000], "y": [12 * slope, flat * 0.7], "textposition": "middle center",
             "text": [f"{slope:.3g} TB/s", f"{flat:.0f}"]},
            {"type": "scatter", "mode": "lines", "x": [x for at, _ in limits for x in (at, at, None)],
             "y": [y for _, most in limits for y in (edge, most, None)], "hoverinfo": "skip",
             "line": {"color": still.COLOURS["rest"], "width": 1}},
            {**quiet_text, "x": [at for at, _ in limits],
             "y": [most * (1.45, 2.5)[place % 2] for place, (_, most) in enumerate(limits)],  # two rows: numbers keep apart
             "text": [str(place) for place in range(1, len(limits) + 1)], "textposition": "middle center"},
        ]  # fmt: skip
        if dots:
            traces.append({
                "type": "scatter", "mode": "markers+text", "x": [dot.work.intensity for dot in dots],
                "y": [float(f"{dot.tflops:.4g}") for dot in dots], "text": [dot.name for dot in dots],
                "textposition": "bottom center",
                "marker": {"size": 11, "color": still.COLOURS["attention"]},
                "hovertemplate": [f"{dot.name}: {dot.device}, {dot.date}<extra></extra>" for dot in dots],
            })  # fmt: skip
        return traces

    where = _listed(f"{dot.device}, {dot.date}" for dot in dots)
    return quiet(
        draw,
        title=f"Measured: {len(dots)} rows ({where})" if dots else "The roofs are known, the dots are not yet measured",
        alt=f"A roofline on logarithmic axes: a slope of {ceilings.bytes / 1e12:g} TB/s that meets a level of "
        f"{ceilings.flops / 1e12:g} TFLOP/s at {ridge:.0f} FLOP a byte. Thin lines rise from the intensity of "
        f"{len(planned)} operations of K2, from {min(w.intensity for w in planned.values()):.0f} to "
        f"{max(w.intensity for w in planned.values()):,.0f}, to the roof that is their limit. "
        + (f"Dots: {len(dots)} measured rows." if dots else "There is no measured dot."),
        xaxis={"title": beneath("FLOP for each byte moved"), "type": "log", "range": [1.3, 4.6],
               "tickvals": [100, 1000, 10_000], "ticktext": ["100", "1,000", "10,000"]},
        yaxis={"type": "log", "range": [1.0, 3.4], "dtick": 1},
        annotations=caption(f"TFLOP/s; the roofs are {source}"),
    )  # fmt: skip


def _listed(words: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(words))


def intensities(planned: Mapping[str, work.Work], ceilings: work.Ceilings = work.H100) -> Markup:
    """The operations behind the thin lines: work, bytes, intensity, and which roof is above them."""
    rows = [
        [f"{place} {html.escape(name)}", f"{w.flops / 1e12:.3g}", f"{w.bytes / 1e9:.2g}", f"{w.intensity:,.0f}",
         {"math": "products", "bytes": "bytes"}[w.bound(ceilings)], f"{w.floor_ms(ceilings):.3g}"]
        for place, (name, w) in enumerate(planned.items(), 1)
    ]  # fmt: skip
    return figure_table(
        f"Derived for {ceilings.flops / 1e12:g} TFLOP/s in bf16 and {ceilings.bytes / 1e12:g} TB/s, published for one H100. "
        "Decoding: 32 texts of 16k tokens; attention: 8k tokens; output and loss: 4k; Newton-Schulz: 2,048 by 7,168.",
        ("operation, K2's widths", "TFLOP", "GB at least", "FLOP a byte", "limit", "floor, ms"),
        rows,
    )
