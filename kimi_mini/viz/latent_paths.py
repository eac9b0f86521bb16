"""Attention logits of a real model by both paths, product after product: expanded keys, and the latent absorbed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import require
from ..model import MLA, KimiMini
from ..model.rope import Rope


@dataclass(frozen=True)
class Paths:
    """Scaled logits of pairs of tokens in float64, P pairs, L layers, H heads; the two paths differ in the content part only.

    The content part as running sums, so that the last column is its result: expanded_PLHN over the products of query and key,
    absorbed_PLHC over those of absorbed query and latent. rotary_PLH is what both paths add to it.
    """

    expanded_PLHN: Tensor
    absorbed_PLHC: Tensor
    rotary_PLH: Tensor

    @property
    def content_2PLH(self) -> Tensor:
        """Results of the expanded path, then of the absorbed one."""
        return torch.stack((self.expanded_PLHN[..., -1], self.absorbed_PLHC[..., -1]))


@torch.no_grad()
def both_paths(model: KimiMini, tokens: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Paths:
    """Logits of `pairs` (place of the query, place of the key) of one text in every layer and head, by both paths.

    Raises ValueError for a model that is not in float64 and for a pair that looks ahead or beyond the text.
    """
    require(model.embed.weight.dtype == torch.float64, "dtype", model.embed.weight.dtype, "torch.float64; call model.double()")
    for pair in pairs:
        require(0 <= pair[1] <= pair[0] < len(tokens), "pair", pair, f"(query, key) with 0 <= key <= query < {len(tokens)}")
    seen: list[tuple[MLA, Tensor, Rope]] = []
    hooks = [block.attn.register_forward_pre_hook(lambda attn, args: seen.append((attn, *args[:2]))) for block in model.blocks]
    try:
        model(torch.tensor([list(tokens)]))
    finally:
        for hook in hooks:
            hook.remove()
    layers = [_sums(attn, x_BTD, rope, pairs) for attn, x_BTD, rope in seen]
    return Paths(*(torch.stack(each, 1) for each in zip(*layers, strict=True)))


def _sums(attn: MLA, x_BTD: Tensor, rope: Rope, pairs: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """One layer's (expanded_PHN, absorbed_PHC, rotary_PH): a key is built for each head, or a query taken to the latent."""
    query, key = (list(places) for places in zip(*pairs, strict=True))
    q_nope_PHN, q_rope_PHR = attn.queries(x_BTD, rope)[0, query].tensor_split([attn.nope], -1)
    latent_PC, k_rope_PR = attn.cache_entries(x_BTD, rope)[0, key].tensor_split([attn.latent_dim], -1)
    keys_PHN = torch.einsum("hnc,pc->phn", attn.k_up, latent_PC)
    absorbed_PHC = torch.einsum("hnc,phn->phc", attn.k_up, q_nope_PHN)
    expanded, absorbed, rotary = q_nope_PHN * keys_PHN, absorbed_PHC * latent_PC[:, None], q_rope_PHR * k_rope_PR[:, None]
    return expanded.cumsum(-1) * attn.scale, absorbed.cumsum(-1) * attn.scale, rotary.sum(-1) * attn.scale


def shared_digits(a: float, b: float) -> int:
    """Leading digits that two numbers share as written, of the 17 that a float64 needs (2.9 and 3.0 share none)."""
    (digits_a, power_a), (digits_b, power_b) = (f"{value:.16e}".split("e") for value in (a, b))
    if power_a != power_b or (a < 0) != (b < 0):
        return 0
    digits_a, digits_b = (digits.strip("-").replace(".", "") for digits in (digits_a, digits_b))
    same = (one == other for one, other in zip(digits_a, digits_b, strict=True))
    return sum(1 for _ in itertools.takewhile(bool, same))
