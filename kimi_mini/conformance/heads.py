"""A small attention layer in float64 in every layout that the suite knows, and what its heads see.

Legend: B batch, T tokens, H heads, N query/key width, M value width. Weights are [out, in], as in torch.nn.Linear.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from ..checks import require

KINDS = ("mha", "gqa", "mla")
WANTED = (7.0, 40.0, 15.0, 80.0)  # largest logit of each head; with tau = 20, two are to be clipped, one in each key group


@dataclass(frozen=True)
class Layout:
    """How a layer's weights are laid out. Every head has `nope` content rows, then `rope` rotary rows (in that order).

        mha, gqa, split   q_proj [heads * qk_dim], k_proj [kv_heads * qk_dim], v_proj [kv_heads * value], o_proj
        mha, gqa, fused   qkv_proj: the rows of q_proj, k_proj and v_proj under one another; o_proj
        mla, fused        as in Hugging Face: q_a_proj, q_a_layernorm, q_b_proj [heads * (nope + rope)], kv_a_proj_with_mqa
                          [latent, then the shared rotary key], kv_a_layernorm, kv_b_proj [heads * (nope + value)], o_proj
        mla, split        q_a_proj, q_a_layernorm, q_nope_proj, q_rope_proj, kv_a_proj, k_rope_proj (shared by all heads),
                          kv_a_layernorm, k_nope_proj, v_proj, o_proj
        without q_latent  no q_a_proj and q_a_layernorm; fused, q_b_proj is called q_proj

    In mha and gqa every row is rotary (nope is 0), values are as wide as keys, and hidden is heads * qk_dim. In gqa, query head
    h reads key head h // (heads // kv_heads). An adapter reads sizes from here (heads, kv_heads, nope, rope, qk_dim, value,
    hidden, scale), since the synthetic layer is small.
    """

    kind: str = "mla"
    fused: bool = True
    q_latent: bool = True
    heads: int = field(default=4, init=False)
    q_rank: int = field(default=12, init=False)
    kv_rank: int = field(default=8, init=False)

    def __post_init__(self) -> None:
        require(self.kind in KINDS, "layout", self.kind, " or ".join(map(repr, KINDS)))
        require(self.q_latent or self.kind == "mla", "q_latent", self.q_latent, "True: only mla has a query latent")

    @property
    def kv_heads(self) -> int:
        return self.heads // 2 if self.kind == "gqa" else self.heads

    @property
    def hidden(self) -> int:
        """Width of the inputs; in mha and gqa that of all heads together."""
        return 24 if self.kind == "mla" else self.heads * self.qk_dim

    @property
    def value(self) -> int:
        return 5 if self.kind == "mla" else self.qk_dim

    @property
    def nope(self) -> int:
        return 6 if self.kind == "mla" else 0

    @property
    def rope(self) -> int:
        return 4 if self.kind == "mla" else 8

    @property
    def qk_dim(self) -> int:
        return self.nope + self.rope

    @property
    def scale(self) -> float:
        """What a product q.k is multiplied by."""
        return self.qk_dim**-0.5

    def __str__(self) -> str:
        latent = "" if self.kind != "mla" else f", {'with' if self.q_latent else 'without'} a query latent"
        return f"{self.kind}, {'fused' if self.fused else 'split'} weights{latent}"


class Seen(NamedTuple):
    """What a forward pass computes: queries and keys (turned, one key per query head), the two parts of each logit, values."""

    q_BTHN: Tensor
    k_BTHN: Tensor
    content_BHTT: Tensor
    rotary_BHTT: Tensor
    values_BTHM: Tensor

    @property
    def logits_BHTT(self) -> Tensor:
        return self.content_BHTT + self.rotary_BHTT

    @property
    def max_logits_H(self) -> Tensor:
        """Signed, causal."""
        later_TT = torch.ones(self.content_BHTT.shape[-2:], dtype=torch.bool).triu(1)
        return self.logits_BHTT.masked_fill(later_TT, float("-inf")).amax((0, 2, 3))


def draw(layout: Layout, seed: int, maxima: tuple[float, ...] = WANTED) -> tuple[dict[str, Tensor], Tensor]:
    """Weights whose heads reach `maxima` on the inputs x_BTD that come with them, in float64."""
    gen = torch.Generator().manual_seed(seed)
    x_BTD = torch.randn(2, 7, layout.hidden, generator=gen, dtype=torch.float64)
    parts = {
        name: torch.randn(*shape, generator=gen, dtype=torch.float64) * 0.5 + (len(shape) == 1)
        for name, shape in _shapes(layout).items()
    }
    weights = _joined(parts, layout)
    factor_H11 = (torch.tensor(maxima, dtype=torch.float64) / look(weights, layout, x_BTD).max_logits_H)[:, None, None]
    for name in ("q_nope", "q_rope"):
        parts[name] = parts[name] * factor_H11
    return _joined(parts, layout), x_BTD


def look(weights: dict[str, Tensor], layout: Layout, x_BTD: Tensor) -> Seen:
    """The forward pass up to the logits and values, with a rotation by position and the norms behind the latents."""
    parts = parts_of(weights, layout)
    inner, latent = x_BTD, x_BTD
    if layout.kind == "mla":
        latent = _normed(x_BTD @ parts["kv_a"].T, parts["kv_norm"])
        if layout.q_latent:
            inner = _normed(x_BTD @ parts["q_a"].T, parts["q_norm"])
        rotary_key = (x_BTD @ parts["k_rope"].T)[:, :, None].expand(-1, -1, layout.heads, -1)
    else:
        rotary_key = torch.einsum("btd,gnd->btgn", latent, parts["k_rope"])
    q_nope, q_rope = (torch.einsum("btc,hnc->bthn", inner, parts[name]) for name in ("q_nope", "q_rope"))
    k_nope, values = (torch.einsum("btc,gnc->btgn", latent, parts[name]) for name in ("k_nope", "v"))
    q_rope, k_rope = _turned(q_rope), _turned(rotary_key)
    group = layout.heads // layout.kv_heads
    k_nope, values = (x.repeat_interleave(group, 2) for x in (k_nope, values))
    k_rope = k_rope.repeat_interleave(layout.heads // k_rope.shape[2], 2)
    content, rotary = (torch.einsum("bthn,bshn->bhts", q, k) * layout.scale for q, k in ((q_nope, k_nope), (q_rope, k_rope)))
    return Seen(torch.cat((q_nope, q_rope), -1), torch.cat((k_nope, k_rope), -1), content, rotary, values)


def parts_of(weights: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The same numbers by what they do: q_nope, q_rope [H, n, in], k_nope, v [kv heads, n, in], k_rope, latents and norms."""
    heads, groups, nope, w = layout.heads, layout.kv_heads, layout.nope, weights
    if layout.kind != "mla":
        if layout.fused:
            sizes = [heads * layout.qk_dim, groups * layout.qk_dim, groups * layout.value]
            q, k, v = w["qkv_proj"].split(sizes)
        else:
            q, k, v = w["q_proj"], w["k_proj"], w["v_proj"]
        q, k, v = _by_head(q, heads), _by_head(k, groups), _by_head(v, groups)
        return {"q_nope": q[:, :0], "q_rope": q, "k_nope": k[:, :0], "k_rope": k, "v": v, "o": w["o_proj"]}
    parts = {"kv_norm": w["kv_a_layernorm"], "o": w["o_proj"]}
    if layout.q_latent:
        parts |= {"q_a": w["q_a_proj"], "q_norm": w["q_a_layernorm"]}
    if layout.fused:
        q = _by_head(w["q_b_proj" if layout.q_latent else "q_proj"], heads)
        kv = _by_head(w["kv_b_proj"], heads)
        latent, k_rope = w["kv_a_proj_with_mqa"].split([layout.kv_rank, layout.rope])
        return parts | {
            "q_nope": q[:, :nope], "q_rope": q[:, nope:], "kv_a": latent, "k_rope": k_rope, "k_nope": kv[:, :nope],
            "v": kv[:, nope:],
        }  # fmt: skip
    by_head = {"q_nope": "q_nope_proj", "q_rope": "q_rope_proj", "k_nope": "k_nope_proj", "v": "v_proj"}
    parts |= {name: _by_head(w[key], heads) for name, key in by_head.items()}
    return parts | {"kv_a": w["kv_a_proj"], "k_rope": w["k_rope_proj"]}


def _shapes(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Shapes of the parts, [head, row, in]; of what belongs to no head, [row, in]."""
    heads, groups, hidden = layout.heads, layout.kv_heads, layout.hidden
    mla = layout.kind == "mla"
    q_in = layout.q_rank if mla and layout.q_latent else hidden
    kv_in = layout.kv_rank if mla else hidden
    shapes: dict[str, tuple[int, ...]] = {
        "q_nope": (heads, layout.nope, q_in),
        "q_rope": (heads, layout.rope, q_in),
        "k_nope": (groups, layout.nope, kv_in),
        "k_rope": (layout.rope, hidden) if mla else (groups, layout.rope, hidden),
        "v": (groups, layout.value, kv_in),
        "o": (hidden, heads * layout.value),
    }
    if mla:
        shapes |= {"kv_a": (layout.kv_rank, hidden), "kv_norm": (layout.kv_rank,)}
        if layout.q_latent:
            shapes |= {"q_a": (layout.q_rank, hidden), "q_norm": (layout.q_rank,)}
    return shapes


def _joined(parts: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Weights of the layout from its parts, each a tensor of its own: the inverse of `parts_of`."""
    flat = {name: part.flatten(0, 1) if part.ndim == 3 else part for name, part in parts.items()}
    if layout.kind != "mla":
        qkv = {"q_proj": flat["q_rope"], "k_proj": flat["k_rope"], "v_proj": flat["v"]}
        joined = {"qkv_proj": torch.cat(list(qkv.values()))} if layout.fused else qkv
    else:
        joined = {"q_a_proj": flat["q_a"], "q_a_layernorm": flat["q_norm"]} if layout.q_latent else {}
        joined["kv_a_layernorm"] = flat["kv_norm"]
        if layout.fused:
            joined["q_b_proj" if layout.q_latent else "q_proj"] = torch.cat((parts["q_nope"], parts["q_rope"]), 1).flatten(0, 1)
            joined["kv_a_proj_with_mqa"] = torch.cat((flat["kv_a"], flat["k_rope"]))
            joined["kv_b_proj"] = torch.cat((parts["k_nope"], parts["v"]), 1).flatten(0, 1)
        else:
            joined |= {"q_nope_proj": flat["q_nope"], "q_rope_proj": flat["q_rope"], "kv_a_proj": flat["kv_a"]}
            joined |= {"k_rope_proj": flat["k_rope"], "k_nope_proj": flat["k_nope"], "v_proj": flat["v"]}
    return {name: weight.clone() for name, weight in (joined | {"o_proj": flat["o"]}).items()}


def _by_head(weight: Tensor, heads: int) -> Tensor:
    return rearrange(weight, "(h n) c -> h n c", h=heads)


def _normed(x: Tensor, gain: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * gain


def _turned(x_BTHR: Tensor) -> Tensor:
    """Rotary position: pairs (i, i + R/2) turned by an angle that grows with the position."""
    half = x_BTHR.shape[-1] // 2
    angle_TR = torch.arange(x_BTHR.shape[1])[:, None] / 3.0 ** torch.arange(half, dtype=x_BTHR.dtype)
    cos, sin = angle_TR.cos()[:, None], angle_TR.sin()[:, None]
    a, b = x_BTHR[..., :half], x_BTHR[..., half:]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
