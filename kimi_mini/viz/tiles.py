"""The figures of the chapter *From formula to kernel*: the tile walk, bytes of three ways, tiles of uneven experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import require
from ..model import KimiMini
from ..presets import K2
from . import still
from .quiet import Quiet, Slider, beneath, caption, quiet
from .series import pack
from .stage import Stage, stage
from .tile_walk import CHIP, STAGES, traffic

__all__ = ["Head", "bytes_by_way", "expert_tiles", "look_into", "tile_walk_figure"]

SIZES = (16, 32, 64, 128, 256)  # of a tile's sides
TOKENS = 8192  # of the K2 layer that the page counts for
_START = 8  # the tile that the page opens at: a row has just forgotten most of what it kept, and does so again in the next


@dataclass(frozen=True)
class Head:
    """What one head of a model multiplies for one text, rounded to fp16 as the page carries it and held in float64."""

    q_TN: Tensor
    k_TN: Tensor
    v_TM: Tensor
    scale: float
    words: list[str]
    name: str


@torch.no_grad()
def look_into(model: KimiMini, tokens: Sequence[int], words: Sequence[str], layer: int, head: int) -> Head:
    """Queries, keys and values of one head on one text; `words` says what each token is. Raises ValueError for no such head."""
    c = model.config
    require(0 <= layer < c.num_hidden_layers, "layer", layer, f"0 to {c.num_hidden_layers - 1}")
    require(0 <= head < c.num_attention_heads, "head", head, f"0 to {c.num_attention_heads - 1}")
    require(len(words) == len(tokens), "words", f"{len(words)} of them", f"one for each of {len(tokens)} tokens")
    attn, seen = model.blocks[layer].attn, []
    hook = attn.register_forward_pre_hook(lambda module, args: seen.append(args[:2]))
    try:
        model(torch.tensor([list(tokens)]))
    finally:
        hook.remove()
    ((x_BTD, rope),) = seen
    latent_TC, k_rope_TR = attn.cache_entries(x_BTD, rope)[0].tensor_split([attn.latent_dim], -1)
    k_TN = torch.cat((latent_TC @ attn.k_up[head].mT, k_rope_TR), -1)
    parts = attn.queries(x_BTD, rope)[0, :, head], k_TN, latent_TC @ attn.v_up[head].mT
    return Head(*(part.half().double() for part in parts), attn.scale, list(words), f"layer {layer}, head {head} of MINI")


def tile_walk_figure(head: Head) -> Stage:
    """The causal square of one head in tiles, what is kept of it, and the bytes that three ways ask for."""
    tokens, heads = len(head.words), K2.num_attention_heads
    k2 = {"tokens": TOKENS, "heads": heads, "qk": K2.qk_head_dim, "v": K2.v_head_dim, "stages": STAGES}
    all_logits, needed = 2 * heads * TOKENS**2, 4 * heads
    asked = {way: count * heads for way, count in traffic(TOKENS, 64, 64).items()}
    names = {"write": "write all logits", "twice": "look twice", "fused": "fused"}
    return stage(
        "tile-walk",
        {
            "head": {
                "tokens": tokens, "width": head.q_TN.shape[1], "out_width": head.v_TM.shape[1], "scale": head.scale,
                "q": pack(head.q_TN), "k": pack(head.k_TN), "v": pack(head.v_TM), "words": head.words, "name": head.name,
            },
            "k2": k2, "chip": CHIP, "sizes": SIZES, "start": _START, "all_logits": all_logits, "needed": needed,
        },
        name="tile-walk",
        title=f"A K2 layer of {TOKENS:,} tokens has {all_logits / 1e9:.1f}\u00a0GB of logits; the clip needs {needed} bytes.",
        alt=f"The square of {tokens} queries by {tokens} keys, cut into tiles below its diagonal. One tile shows its logits, "
        "those before it are blank again. Beside it what is kept of one row: a maximum, a sum, an output that changes with "
        "each tile. Meters count the bytes that three ways ask of memory and the bytes that a tile holds on the chip. Controls "
        "step from tile to tile and set a tile's rows and columns.",
        still=still.table(
            ("way", f"bytes asked, a K2 layer of {TOKENS:,} tokens, tiles of 64 by 64"),
            [(names[way], f"{count / 1e9:.1f} GB") for way, count in asked.items()],
        ),
        height=1050,
    )  # fmt: skip


# ---- quiet figures -----------------------------------------------------------------------------------------------------


def bytes_by_way(rows: Sequence[int] = SIZES[1:], keys: int = 64) -> Quiet:
    """Bytes that one K2 layer asks of memory in three ways, logits apart from the rest, for a tile's number of rows."""
    names = {"write": "write all", "twice": "look twice", "fused": "fused"}
    heads = K2.num_attention_heads
    logits = {"write": 4 * 2 * heads * TOKENS**2 / 1e9, "twice": 0.0, "fused": 0.0}

    def asked(row: int) -> dict[str, float]:
        return {way: count * heads / 1e9 for way, count in traffic(TOKENS, row, keys).items()}

    def draw(row: int) -> list[dict[str, Any]]:
        total = asked(row)
        rest = [float(f"{total[way] - logits[way]:.4g}") for way in names]
        bar = {"type": "bar", "x": list(names.values()), "width": 0.6}
        return [
            bar | {"y": rest, "marker": {"color": still.COLOURS["attention"]}},
            bar | {"y": [float(f"{logits[way]:.4g}") for way in names], "marker": {"color": still.COLOURS["rest"]},
                   "text": [f"<b>{total[way]:.1f} GB</b>" for way in names], "textposition": "outside", "cliponaxis": False},
        ]  # fmt: skip

    def title(row: int) -> str:
        total = asked(row)
        return f"Tiles of {row} rows: {total['fused']:.1f} GB fused, {total['twice']:.1f} GB with a second look"

    return quiet(
        draw,
        title=title,
        alt=f"Three bars, the bytes asked of memory by one layer of K2 over {TOKENS:,} tokens: highest for writing all logits, "
        "of which 34 GB are trips of the logits in grey, then for looking twice, lowest for the fused way. The blue part, "
        "queries, keys, values and output, halves where the rows of a tile double.",
        slider=Slider("rows of a tile", list(rows), start=list(rows).index(128), show=lambda row: f"{row}, by {keys} keys"),
        barmode="stack",
        yaxis={"range": [0, 135]},
        annotations=caption(f"GB, {TOKENS:,} tokens; grey: logits"),
    )


def expert_tiles(load_E: Sequence[int], sizes: Sequence[int] = (16, 32, 64, 128)) -> Quiet:
    """Rows that each expert's tiles compute: those of its tokens, and what its last tile pads; experts by their load."""
    load_E = sorted(load_E, reverse=True)
    assigned = sum(load_E)

    def tiles(size: int) -> list[int]:
        return [-(-load // size) for load in load_E]

    def draw(size: int) -> list[dict[str, Any]]:
        padding = [count * size - load for count, load in zip(tiles(size), load_E, strict=True)]
        experts = list(range(len(load_E)))
        return [
            {"type": "bar", "x": experts, "y": load_E, "marker": {"color": still.COLOURS["experts"]},
             "hovertemplate": "%{y} rows<extra>tokens</extra>"},
            {"type": "bar", "x": experts, "y": padding, "marker": {"color": still.COLOURS["rest"], "opacity": 0.45},
             "hovertemplate": "%{y} rows<extra>padding</extra>"},
            {"type": "scatter", "mode": "text", "x": [len(load_E) * 0.6], "y": [0.9 * size * max(tiles(size))],
             "text": ["green: tokens, grey: padding"], "textposition": "middle center", "hoverinfo": "skip"},
        ]  # fmt: skip

    def title(size: int) -> str:
        used = sum(tiles(size))
        bound = -(-assigned // size) + min(len(load_E), assigned)  # as row_tiles_triton has it
        padding = used * size / assigned - 1
        return f"Tiles of {size} rows: {used} tiles in use, {padding:.0%} padding; the table has room for {bound}"

    return quiet(
        draw,
        title=title,
        alt="Bars, one an expert, from the busiest to the idlest: rows of its own tokens in green and, on top, the rows that "
        "its last tile computes for nothing in grey. Larger tiles pad more. Experts without tokens have no bar.",
        slider=Slider("rows of a tile", list(sizes), start=len(sizes) - 1),
        barmode="stack",
        bargap=0.15,
        xaxis={"title": beneath("expert, from the busiest")},
        annotations=caption("rows that its tiles compute"),
    )
