"""G4: one absorbed decoding step over the latent cache.

Ours is the attention over the cache alone, as the floor in bytes counts it; peers that start from unabsorbed queries and end in
per-head values are compared with a second line of ours that does the two absorbing products too.

Legend: B sequences, S cached tokens, H heads, N content width, R rotary width, M value width, C latent, X = C + R.
"""

from __future__ import annotations

from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor

from kimi_mini import kernels
from kimi_mini.kernels import attention_ref
from kimi_mini.kernels.work import Work, latent_attention

from ..harness import Case
from .common import OURS, Results, Way, fast_format, make_case, optional

WHOLE, EXPAND = "ours with both absorbing products", "keys and values expanded + SDPA"
TORCH, FLASHINFER = "torch absorbed", "flashinfer"
_PAGE = 64  # tokens
_MOST_BYTES = 30e9  # an expanded cache above this is not built


def build(
    device: torch.device, *, batch: int, context: int, heads: int, ragged: int = 0, latent: int = 512, rope: int = 64,
    nope: int = 128, value: int = 128,
) -> Case:  # fmt: skip
    """Random latents. Ragged: lengths from `context / batch` to `context` in equal steps."""
    torch.manual_seed(0)
    options = {"device": device, "dtype": fast_format(device)}
    cache_BSX = torch.randn(batch, context, latent + rope, **options)
    q_B1HN, q_B1HR = torch.randn(batch, 1, heads, nope, **options), torch.randn(batch, 1, heads, rope, **options)
    k_up_HNC, v_up_HMC = (torch.randn(heads, width, latent, **options) * latent**-0.5 for width in (nope, value))
    visible_B1 = _lengths(batch, context, ragged, device)[:, None]
    scale = (nope + rope) ** -0.5

    def absorb() -> Tensor:
        return torch.cat((torch.einsum("bthn,hnc->bthc", q_B1HN, k_up_HNC), q_B1HR), -1)

    q_B1HX = absorb()
    options = {"latent_dim": latent, "scale": scale}

    def way(impl: str) -> Way:
        return lambda: {"latent": kernels.latent_attention(q_B1HX, cache_BSX, visible_B1, impl=impl, **options)[0]}

    def whole() -> Results:
        latent_B1HC, _ = kernels.latent_attention(absorb(), cache_BSX, visible_B1, **options)
        return {"values": torch.einsum("bthc,hmc->bthm", latent_B1HC, v_up_HMC)}

    def expand() -> Results:
        latent_BSC, k_BSR = cache_BSX.split((latent, rope), -1)
        k = torch.cat((torch.einsum("bsc,hnc->bhsn", latent_BSC, k_up_HNC), k_BSR[:, None].expand(-1, heads, -1, -1)), -1)
        v = torch.einsum("bsc,hmc->bhsm", latent_BSC, v_up_HMC)
        q = torch.cat((q_B1HN, q_B1HR), -1).transpose(1, 2)
        mask = (torch.arange(context, device=device) < visible_B1)[:, None, None] if ragged else None
        return {"values": F.scaled_dot_product_attention(q, k, v, mask, scale=scale).transpose(1, 2)}

    def exact() -> Results:
        found = []
        for b in range(batch):  # a sequence at a time: the cache in float64 would be large
            one = slice(b, b + 1)
            found.append(
                attention_ref.latent_attention(q_B1HX[one].double(), cache_BSX[one].double(), visible_B1[one], **options)[0]
            )
        latents = torch.cat(found)
        return {"latent": latents, "values": torch.einsum("bthc,hmc->bthm", latents, v_up_HMC.double())}

    def alone() -> dict[str, float]:
        """A short batch makes the kernel split its keys in another way; the answer must not depend on it."""
        one = kernels.latent_attention(q_B1HX[-1:], cache_BSX[-1:], visible_B1[-1:], **options)[0]
        return {"other splits": ((one - way("auto")()["latent"][-1:]).norm() / one.norm()).item()}

    made = {OURS: way("auto"), WHOLE: whole, TORCH: way("torch")}
    more, missing = optional({FLASHINFER: ("flashinfer", lambda: _flashinfer(q_B1HX, cache_BSX, visible_B1, **options))})
    expanded = batch * context * heads * (nope + rope + value) * cache_BSX.element_size()
    if expanded <= _MOST_BYTES:
        made[EXPAND] = expand
    else:
        missing[EXPAND] = f"not run: the expanded cache would take {expanded / 1e9:.0f} GB"
    return make_case(made | more, exact, also=alone, missing=missing)


def work(*, batch: int, context: int, heads: int, ragged: int = 0, latent: int = 512, rope: int = 64, **_: int) -> Work:
    """By the lengths as they are; the cache is read to each sequence's end and no further."""
    total = int(_lengths(batch, context, ragged, torch.device("cpu")).sum())
    return latent_attention(batch, total // batch, heads, latent, latent + rope)


def _lengths(batch: int, context: int, ragged: int, device: torch.device) -> Tensor:
    full_B = torch.full((batch,), context, device=device)
    return full_B * torch.arange(1, batch + 1, device=device) // batch if ragged else full_B


def _flashinfer(q_B1HX: Tensor, cache_BSX: Tensor, visible_B1: Tensor, *, latent_dim: int, scale: float) -> Way:
    """Its paged cache is filled beforehand; planning is not timed, as a step plans once for all layers."""
    B, S, X = cache_BSX.shape
    pages = S // _PAGE
    device, rope = cache_BSX.device, X - latent_dim
    ckv, kpe = (x.reshape(B * pages, _PAGE, -1).contiguous() for x in cache_BSX.split((latent_dim, rope), -1))
    q_nope, q_pe = (x[:, 0].contiguous() for x in q_B1HX.split((latent_dim, rope), -1))
    wrapper = import_module("flashinfer.mla").BatchMLAPagedAttentionWrapper(
        torch.empty(128 * 2**20, dtype=torch.int8, device=device), backend="auto"
    )
    used_B = (visible_B1[:, 0] + _PAGE - 1) // _PAGE
    kv_indptr = F.pad(used_B.cumsum(0), (1, 0)).int()
    kv_indices = torch.cat([torch.arange(n, device=device) + b * pages for b, n in enumerate(used_B.tolist())]).int()
    wrapper.plan(
        qo_indptr=torch.arange(B + 1, device=device).int(), kv_indptr=kv_indptr, kv_indices=kv_indices,
        kv_len_arr=visible_B1[:, 0].int(), num_heads=q_nope.shape[1], head_dim_ckv=latent_dim, head_dim_kpe=rope,
        page_size=_PAGE, causal=False, sm_scale=scale, q_data_type=q_nope.dtype, kv_data_type=ckv.dtype,
    )  # fmt: skip
    return lambda: {"latent": wrapper.run(q_nope, q_pe, ckv, kpe)[:, None]}
