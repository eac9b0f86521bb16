"""The figures of the chapter *Multi-head latent attention*: closed forms, logits of a real model, measurements of the page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..accounting import attention_flops_per_pair, cache_bytes, decode_flops
from ..checks import require
from ..config import ModelConfig
from ..presets import K2
from . import still
from .glance import config_fields
from .latent_paths import Paths, both_paths, shared_digits
from .quiet import Quiet, Slider, beneath, caption, quiet
from .series import pack
from .stage import Stage, stage

__all__ = ["both_paths", "cache_against_heads", "decode_costs", "logit", "merged_once", "shared_digits", "shelves"]

GPU_BYTES = 141_000_000_000  # an H200, the GPU of K2's deployment guide
KINDS = {"mha": "MHA", "gqa": "GQA-8", "mqa": "MQA", "mla": "MLA"}


def shelves() -> Stage:
    """One GPU's memory four times over: what each kind of attention has to remember, for any context, users and heads."""
    context = K2.max_position_embeddings
    gib = {kind: cache_bytes(K2, context, kind) / 2**30 for kind in KINDS}
    room = GPU_BYTES / 2**30
    rows = [("attention", f"cache at {context:,} tokens", "conversations in one GPU's memory")]
    rows += [(KINDS[kind], f"{size:.3g} GiB", int(room // size)) for kind, size in gib.items()]
    work = decode_flops(K2, context)
    return stage(
        "shelves",
        {"config": config_fields(K2), "gpu": GPU_BYTES},
        name="latent-shelves",
        title=f"One conversation of {context:,} tokens: "
        f"MHA remembers {gib['mha']:.0f}\u00a0GiB, MLA {gib['mla']:.2f}\u00a0GiB.",
        alt=f"Four shelves, each the {room:.0f} GiB of one GPU, filled by what attention remembers of one conversation of "
        "131,072 tokens: MHA 305 GiB and overflowing, GQA with 8 groups 30.5 GiB, MQA 3.81 GiB, MLA 8.58 GiB. Beneath, a "
        f"meter of the work for one token, {work.total / 1e9:,.0f} GFLOP. Sliders change context, conversations and heads.",
        still=still.table(rows[0], rows[1:]),
        height=980,
    )


def logit(paths: Paths, labels: Sequence[str], config: ModelConfig) -> Stage:
    """One logit by both paths, digit by digit; the reader picks pair, layer and head. `labels` names the pairs."""
    pairs, layers, heads, width = paths.expanded_PLHN.shape
    latent = paths.absorbed_PLHC.shape[-1]
    require(len(labels) == pairs, "labels", list(labels), f"one for each of {pairs} pairs")
    expanded_PLH, absorbed_PLH = paths.content_2PLH.tolist()
    both = list(zip(*(content_PLH.flatten().tolist() for content_PLH in paths.content_2PLH), strict=True))
    shared = [shared_digits(*pair) for pair in both]
    first = [(label, *both[place * layers * heads], shared[place * layers * heads]) for place, label in enumerate(labels)]
    rows = [(label, f"{one:.17g}", f"{other:.17g}", count) for label, one, other, count in first]
    return stage(
        "logit",
        {
            "pairs": list(labels), "layers": layers, "heads": heads,
            "products": {"expanded": width, "absorbed": latent},
            "expanded": expanded_PLH, "absorbed": absorbed_PLH, "rotary": paths.rotary_PLH.tolist(),
            "shared": {"all": len(shared), "median": statistics.median_low(shared), "least": min(shared)},
            "sums": {"expanded": pack(paths.expanded_PLHN), "absorbed": pack(paths.absorbed_PLHC)},
            "flops": {
                name: {path: attention_flops_per_pair(c, path) for path in ("expanded", "absorbed")}
                for name, c in (("mini", config), ("k2", K2))
            },
        },
        name="latent-logit",
        title=f"Two roads to one number: {rows[0][1]} and {rows[0][2]}.",
        alt=f"Two running sums that wander apart and end on one level: {width} products with an expanded key, {latent} with "
        "the latent absorbed. Below, both results with all their digits, nearly all the same. Two bars: for K2 a pair "
        "of tokens costs 640 FLOPs expanded and 2,176 absorbed. Controls choose the pair of tokens, the layer and the head.",
        still="<p>Content part of a logit, layer 0, head 0.</p>"
        + still.table(("pair", "expanded", "absorbed", "digits shared"), rows),
        height=900,
    )  # fmt: skip


# ---- quiet figures -----------------------------------------------------------------------------------------------------


def cache_against_heads(heads: Sequence[int], measured: Mapping[int, Sequence[int]], config: ModelConfig) -> Quiet:
    """Bytes of a real latent cache against heads, as measured for each context, and what MHA would need, by arithmetic."""

    def mha(count: int, context: int) -> int:
        return cache_bytes(config.replace(num_attention_heads=count), context, "mha", bytes_per_element=4)

    def draw(context: int) -> list[dict[str, Any]]:
        mib = [value / 2**20 for value in measured[context]]
        return [
            _line("MHA, by arithmetic", heads, [mha(n, context) / 2**20 for n in heads], "attention", "lines"),
            _line("MLA, the real tensor", heads, mib, "attention", "markers"),
        ]

    def title(context: int) -> str:
        low, high = min(measured[context]), max(measured[context])
        change = f"stays at {low / 2**20:.2f} MiB" if low == high else f"goes from {low / 2**20:.2f} to {high / 2**20:.2f} MiB"
        factor = mha(heads[-1], context) / mha(heads[0], context)
        return f"From {heads[0]} to {heads[-1]} heads MHA would grow {factor:.0f} times; MLA's real cache {change}"

    contexts = list(measured)
    return quiet(
        draw,
        title=title,
        alt="Cache of the small model against the number of heads, logarithmic: a rising line, what MHA would keep, and dots "
        "on one level, the bytes of the latent cache that was allocated. The slider changes the context.",
        slider=Slider("context", contexts, start=len(contexts) - 1, show=lambda context: f"{context:,} tokens"),
        **_axes("cache in MiB", _ticks("heads", heads)),
        yaxis={"type": "log", "range": [-1.5, 3], "dtick": 1},
    )


def merged_once(distances: Sequence[int], turned: Mapping[float, Sequence[float]], merged: float) -> Quiet:
    """A toy: the logit of a content key that is turned by its position, and what a query merged once would give.

    turned[angle][i] is the logit at distances[i] where each position turns by `angle`; `merged` that without a turn.
    """

    def draw(angle: float) -> list[dict[str, Any]]:
        values = turned[angle]
        lowest = min(range(len(values)), key=values.__getitem__)
        side = "left" if lowest > 0.75 * len(values) else "right" if lowest < 0.25 * len(values) else "center"
        return [
            _line("keys turned", distances, values, "attention", "lines", dash="dot", named=(lowest, f"bottom {side}")),
            _line("merged once", distances, [merged] * len(values), "rest", "lines", dash="dot", named=_apart(values, merged)),
        ]

    def title(angle: float) -> str:
        off = max(abs(value - merged) for value in turned[angle])
        return f"A turn of {angle:g} radians a position: the query merged once is off by up to {off:.2f}"

    values = [value for line in turned.values() for value in line]
    room = 0.2 * (max(values) - min(values))
    angles = list(turned)
    return quiet(
        draw,
        title=title,
        alt="Logit against the distance of two tokens in a toy: the right value waves up and down as the key is turned by its "
        "position; a query merged once with the key matrix gives one level. They meet only where there is no turn.",
        slider=Slider("turn per position", angles, start=1, show=lambda angle: f"{angle:g} rad"),
        **_axes("logit (toy)", {"title": "distance in tokens"}),
        yaxis={"range": [min(values) - room, max(values) + room]},
    )


WAYS = {"kept": "keys kept expanded", "anew": "expanded anew", "absorbed": "absorbed"}


def decode_costs(config: ModelConfig, contexts: Sequence[int], milliseconds: Mapping[str, Sequence[float]]) -> Quiet:
    """What one more token costs one attention layer in three ways, WAYS: time as measured, work and bytes by arithmetic."""
    require(set(milliseconds) == set(WAYS), "milliseconds", sorted(milliseconds), f"{', '.join(WAYS)}")
    heads, c = config.num_attention_heads, config
    expanding = 2 * c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim)
    pair = {path: heads * attention_flops_per_pair(c, path) for path in ("expanded", "absorbed")}
    layer = c.replace(num_hidden_layers=1, first_k_dense_replace=0)
    read = {kind: cache_bytes(layer, 1, kind, bytes_per_element=4) for kind in ("mha", "mla")}
    flops = {"kept": pair["expanded"], "anew": pair["expanded"] + expanding, "absorbed": pair["absorbed"]}
    stored = {"kept": read["mha"], "anew": read["mla"], "absorbed": read["mla"]}
    counts: dict[str, Callable[[str], list[float]]] = {
        "time": lambda way: list(milliseconds[way]),
        "arithmetic": lambda way: [flops[way] * context / 1e6 for context in contexts],
        "bytes kept": lambda way: [stored[way] * context / 2**20 for context in contexts],
    }
    units = {"time": "ms", "arithmetic": "MFLOP", "bytes kept": "MiB"}

    def draw(count: str) -> list[dict[str, Any]]:
        mode = "lines+markers" if count == "time" else "lines"
        names = WAYS | ({"anew": "", "absorbed": "absorbed = expanded anew"} if count == "bytes kept" else {})
        lowest = min(reversed(WAYS), key=lambda way: counts[count](way)[-1])
        # The lowest line has its name beneath: where times cross, after the crossing; else where the line begins.
        below = (len(contexts) // 2 if count == "time" else 0, "bottom right")
        return [
            _line(names[way], contexts, counts[count](way), "rest" if way == "anew" else "attention", mode,
                  dash="dash" if way == "kept" else "solid", named=below if way == lowest else (-1, "top left"))
            for way in WAYS
        ]  # fmt: skip

    def title(count: str) -> str:
        kept, absorbed = (counts[count](way)[-1] for way in ("kept", "absorbed"))
        ends = f"{absorbed:,.3g} {units[count]} absorbed, {kept:,.3g} {units[count]} with keys kept expanded"
        return f"One token after {contexts[-1]:,}, one layer: {ends}"

    every = [value for count in counts for way in WAYS for value in counts[count](way)]
    return quiet(
        draw,
        title=title,
        alt="Cost of one more token in one attention layer against the context, both logarithmic, for three ways: expanded "
        "keys kept in memory, keys expanded anew from the latent, and the latent absorbed. The slider chooses what is counted: "
        "measured milliseconds, arithmetic, or bytes of cache.",
        slider=Slider("count", list(counts), show=lambda count: f"{count} ({units[count]})"),
        **_axes("per token, in the unit of the slider", _ticks("context in tokens", contexts)),
        yaxis={"type": "log", "dtick": 1, "range": [math.log10(min(every)) - 0.5, math.log10(max(every)) + 0.4]},
    )


def _line(
    name: str,
    x: Sequence[float],
    y: Sequence[float],
    colour: str,
    mode: str,
    dash: str = "solid",
    named: tuple[int, str] = (-1, "top left"),
) -> dict[str, Any]:
    """A line with its name on it, unless that is empty: `named` is the index of a point and where the name stands to it."""
    texts = [" "] * len(x)  # not empty: plotly takes the place of an empty text away, and no later frame could use it
    texts[named[0]] = f"<b>{name}</b>" if name else " "
    drawn = "markers" if mode == "markers" else "lines+markers"  # a line's unseen points keep the name off it
    return {
        "type": "scatter", "mode": f"{drawn}+text", "x": list(x), "y": [float(f"{value:.4g}") for value in y], "text": texts,
        "textposition": named[1], "cliponaxis": False,
        "line": {"color": still.COLOURS[colour], "width": 4 if colour == "attention" else 3, "dash": dash},
        "marker": {"color": still.COLOURS[colour], "size": 10, "opacity": 0 if mode == "lines" else 1},
    }  # fmt: skip


def _apart(values: Sequence[float], level: float, reach: int = 7) -> tuple[int, str]:
    """Where a name on `level` keeps clear of a curve: the point whose surroundings are farthest, and the side away from it."""
    reach = min(reach, (len(values) - 1) // 2)
    near = {at: [value - level for value in values[at - reach : at + reach + 1]] for at in range(reach, len(values) - reach)}
    at = max(near, key=lambda at: max(min(near[at]), -max(near[at])))
    return at, "bottom center" if min(near[at]) > 0 else "top center"


def _axes(above: str, x: dict[str, Any]) -> dict[str, Any]:
    """The horizontal axis, and above the vertical one what that counts."""
    x = x | {"title": beneath(x["title"])}
    return {"xaxis": x, "annotations": caption(above)}


def _ticks(title: str, values: Sequence[int]) -> dict[str, Any]:
    return {"title": title, "type": "log", "tickvals": list(values), "ticktext": [f"{value:,}" for value in values]}
