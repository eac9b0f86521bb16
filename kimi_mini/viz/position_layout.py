"""The side door of *Where is a word?*: the same weights with their rotary pairs in the other layout, and what shows of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import require
from ..model import KimiMini
from ..model.mla import MLA
from ..model.rope import Rope, rope_table
from . import still
from .quiet import Quiet, Slider, beneath, quiet
from .stage import Stage, stage

__all__ = ["attention_by_distance", "heads_by_distance", "read_half_split_", "wrong_layout"]


@torch.no_grad()
def read_half_split_(model: KimiMini) -> None:
    """Make `model` turn the pairs (0, R/2), (1, R/2 + 1), ... and not neighbours: the same as moving its rotary rows."""
    width = model.config.qk_rope_head_dim
    order_R = torch.arange(width).view(2, -1).T.flatten()
    for block in model.blocks:
        attn = block.attn
        attn.q_up_rope.copy_(attn.q_up_rope[:, order_R].clone())
        k_rope = attn.kv_down.weight[attn.latent_dim :]
        k_rope.copy_(k_rope[order_R].clone())


@torch.inference_mode()
def attention_by_distance(model: KimiMini, tokens_BT: Tensor, distances: int = 32) -> np.ndarray:
    """attention[layer, head, distance]: the mean weight that a token's query gives to the key `distance` tokens before it.

    Only queries with at least `distances` tokens before them count.
    """
    T = tokens_BT.shape[1]
    require(distances < T, "distances", distances, f"less than the {T} tokens of a window")
    rope = rope_table(model.config, torch.arange(T)[None], torch.float32)
    seen: list[Tensor] = []
    hooks = [block.attn_norm.register_forward_hook(lambda _, __, out: seen.append(out)) for block in model.blocks]
    model.trunk(tokens_BT)
    for hook in hooks:
        hook.remove()
    return np.stack([_by_distance(block.attn, x, rope, distances) for block, x in zip(model.blocks, seen, strict=True)])


def _by_distance(attn: MLA, x_BTD: Tensor, rope: Rope, distances: int) -> np.ndarray:
    T = x_BTD.shape[1]
    weights_BHTT = _logits(attn, x_BTD, rope).masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf).softmax(-1)
    queries = torch.arange(distances, T)
    return np.stack([weights_BHTT[:, :, queries, queries - far].mean((0, 2)).numpy() for far in range(distances)], axis=1)


def _logits(attn: MLA, x_BTD: Tensor, rope: Rope) -> Tensor:
    """What the kernels never write down: every scaled logit of a layer, the future included, [B, H, query, key]."""
    latent, k_rope = attn.cache_entries(x_BTD, rope).tensor_split([attn.latent_dim], -1)
    nope, rotary = attn.queries(x_BTD, rope).tensor_split([attn.nope], -1)
    content = torch.einsum("bthn,hnc,bsc->bhts", nope, attn.k_up, latent)
    return (content + torch.einsum("bthr,bsr->bhts", rotary, k_rope)) * attn.scale


def wrong_layout(domains: Mapping[str, Mapping[str, float]], *, asked: str, tokens: int, vocabulary: int) -> Stage:
    """MINI's loss by domain with its pairs read right and wrong, guessed first for the domain `asked`.

    A domain has `right` and `wrong` (nats a token) and `right_logit` and `wrong_logit` (the largest of all heads).
    """
    require(asked in domains, "asked", asked, " or ".join(domains))
    was, now = domains[asked]["right"], domains[asked]["wrong"]
    rows = [
        (name, *(f"{d[key]:.2f}" for key in ("right", "wrong", "right_logit", "wrong_logit"))) for name, d in domains.items()
    ]
    return stage(
        "layout",
        {
            "domains": [{"name": name, **values} for name, values in domains.items()],
            "asked": asked, "tokens": tokens, "uniform": math.log(vocabulary),
        },
        name="position-layout",
        title=f"The wrong layout takes MINI from {was:.2f} to {now:.2f} nats a token of {asked}.",
        alt="Two bars for each of five domains of text: MINI's loss with its rotary pairs read right and read wrong. Read "
        "wrong it is higher everywhere and far below a uniform guess; a switch shows the largest logits, which hardly differ.",
        still=still.table(("domain", "loss, right", "loss, wrong", "largest logit, right", "largest logit, wrong"), rows),
        height=640,
    )  # fmt: skip


def heads_by_distance(right: np.ndarray, wrong: np.ndarray, largest: Mapping[str, Sequence[Sequence[float]]]) -> Quiet:
    """Where each head looks, by distance, when its pairs are read right and wrong.

    `right` and `wrong` are of `attention_by_distance`; largest["right"][layer][head] is the largest logit, and so "wrong".
    """
    layers, heads, distances = right.shape
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    start = int(np.abs(right - wrong).sum(-1).argmax())  # the head that changes most
    styles = {"right": (still.COLOURS["attention"], "circle"), "wrong": (still.COLOURS["optimizer"], "square-open")}

    def draw(place: tuple[int, int]) -> list[dict[str, Any]]:
        return [
            {
                "type": "scatter", "mode": "lines+markers", "name": name,
                "x": list(range(distances)), "y": table[place].tolist(),
                "marker": {"color": styles[name][0], "symbol": styles[name][1], "size": 8}, "line": {"color": styles[name][0]},
            }
            for name, table in (("right", right), ("wrong", wrong))
        ]  # fmt: skip

    def title(place: tuple[int, int]) -> str:
        layer, head = place
        was, now = (largest[name][layer][head] for name in ("right", "wrong"))
        return f"Layer {layer}, head {head}: largest logit {was:.1f} read right (dots), {now:.1f} read wrong (squares)"

    return quiet(
        draw,
        title=title,
        alt="Mean attention weight against distance for one head, with the pairs read right and read wrong.",
        slider=Slider("head", every, start, show=lambda place: f"layer {place[0]}, head {place[1]}"),
        xaxis={"title": beneath("tokens back")},
        yaxis={"title": {"text": "mean attention weight", "font": {"size": 14}}, "rangemode": "tozero"},
    )
