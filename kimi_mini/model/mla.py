"""Multi-head latent attention: the expanded path for training and prompts, the absorbed path for decoding.

Legend: B batch, T tokens, H heads, N query/key width = content + rotary, M value width, R rotary width, C kv latent,
X = C + R cache width, D model width.

    here                     K2 / DeepSeek-V3 symbol     Hugging Face key
    q_down, q_norm           W^DQ                        q_a_proj, q_a_layernorm
    q_up  [H (nope|rope)]    W^UQ, W^QR                  q_b_proj  (q_proj without a query latent)
    kv_down [latent|rope]    W^DKV, W^KR                 kv_a_proj_with_mqa
    kv_norm                                              kv_a_layernorm
    kv_up [H (k_nope|v)]     W^UK, W^UV                  kv_b_proj
    out                      W^O                         o_proj
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from .. import kernels
from ..config import ModelConfig
from .layers import Linear, RMSNorm
from .rope import Rope, rotate

_LATENT_NORM_EPS = 1e-6  # released code builds these two norms with its default, not with rms_norm_eps


class MLA(nn.Module):
    """One attention layer (DeepSeek-V3 report, equations 1-11)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, heads = config, config.num_attention_heads
        self.heads, self.nope, self.v_dim, self.latent_dim = heads, c.qk_nope_head_dim, c.v_head_dim, c.kv_lora_rank
        self.scale = c.softmax_scale
        self.has_q_latent = c.q_lora_rank is not None
        if self.has_q_latent:
            self.q_down = Linear(c.hidden_size, c.q_lora_rank)
            self.q_norm = RMSNorm(c.q_lora_rank, _LATENT_NORM_EPS)
        self.q_up = Linear(c.q_lora_rank or c.hidden_size, heads * c.qk_head_dim)
        self.kv_down = Linear(c.hidden_size, c.cache_width)
        self.kv_norm = RMSNorm(c.kv_lora_rank, _LATENT_NORM_EPS)
        self.kv_up = Linear(c.kv_lora_rank, heads * (c.qk_nope_head_dim + c.v_head_dim))
        self.out = Linear(heads * c.v_head_dim, c.hidden_size)

    # Views of the fused weights, one row block per head: writing into them changes the layer.
    @property
    def q_up_nope(self) -> Tensor:
        """Content rows of the query projection, [H, nope, in]."""
        return rearrange(self.q_up.weight, "(h n) c -> h n c", h=self.heads)[:, : self.nope]

    @property
    def q_up_rope(self) -> Tensor:
        """Rotary rows of the query projection, [H, R, in]."""
        return rearrange(self.q_up.weight, "(h n) c -> h n c", h=self.heads)[:, self.nope :]

    @property
    def k_up(self) -> Tensor:
        """Content key rows, [H, nope, C]."""
        return rearrange(self.kv_up.weight, "(h n) c -> h n c", h=self.heads)[:, : self.nope]

    @property
    def v_up(self) -> Tensor:
        """Value rows, [H, M, C]."""
        return rearrange(self.kv_up.weight, "(h n) c -> h n c", h=self.heads)[:, self.nope :]

    def queries(self, x_BTD: Tensor, rope: Rope) -> Tensor:
        """q_BTHN with the rotary part turned."""
        inner = self.q_norm(self.q_down(x_BTD)) if self.has_q_latent else x_BTD
        q_BTHN = rearrange(self.q_up(inner), "b t (h n) -> b t h n", h=self.heads)
        nope, rotary = q_BTHN.tensor_split([self.nope], -1)
        return torch.cat((nope, rotate(rotary, rope)), dim=-1)

    def cache_entries(self, x_BTD: Tensor, rope: Rope) -> Tensor:
        """What is remembered of each token, entries_BTX: the normed latent and the rotated key all heads share."""
        latent, k_rope = self.kv_down(x_BTD).tensor_split([self.latent_dim], -1)
        return torch.cat((self.kv_norm(latent), rotate(k_rope.unsqueeze(2), rope).squeeze(2)), dim=-1)

    def forward(
        self, x_BTD: Tensor, rope: Rope, entries_BTX: Tensor | None = None, document_BT: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Expanded path: build every head's keys and values from the latent. Returns (y_BTD, max_logits_H)."""
        if entries_BTX is None:
            entries_BTX = self.cache_entries(x_BTD, rope)
        latent, k_rope = entries_BTX.tensor_split([self.latent_dim], -1)
        kv_up = rearrange(self.kv_up(latent), "b t (h n) -> b t h n", h=self.heads)
        k_nope, v_BTHM = kv_up.tensor_split([self.nope], -1)
        k_BTHN = torch.cat((k_nope, k_rope.unsqueeze(2).expand(-1, -1, self.heads, -1)), dim=-1)
        out_BTHM, max_logits_H = kernels.attention(
            self.queries(x_BTD, rope), k_BTHN, v_BTHM, scale=self.scale, document_BT=document_BT
        )
        return self.out(rearrange(out_BTHM, "b t h m -> b t (h m)")), max_logits_H

    def decode(self, x_BTD: Tensor, rope: Rope, cache_BSX: Tensor, visible_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Absorbed path: the key and value up-projections move into query and output, the cache is read as it is.

        Same algebra as `forward`: q . (W_uk c) = (W_uk^T q) . c and W_uv (sum p c) = sum p (W_uv c).
        """
        nope, rotary = self.queries(x_BTD, rope).tensor_split([self.nope], -1)
        absorbed = torch.einsum("bthn,hnc->bthc", nope, self.k_up.to(nope.dtype))
        latent_BTHC, max_logits_H = kernels.latent_attention(
            torch.cat((absorbed, rotary), -1), cache_BSX, visible_BT, latent_dim=self.latent_dim, scale=self.scale
        )
        out_BTHM = torch.einsum("bthc,hmc->bthm", latent_BTHC, self.v_up.to(latent_BTHC.dtype))
        return self.out(rearrange(out_BTHM, "b t h m -> b t (h m)")), max_logits_H

    @torch.no_grad()
    def rescale_qk_(self, gamma_H: Tensor, alpha: float = 0.5) -> None:
        """Multiply every logit of head h by exactly gamma_H[h], at fixed inputs (K2 report, Algorithm 1).

        Content queries take gamma^alpha and content keys gamma^(1 - alpha). The rotary key is shared by all heads and stays,
        so the rotary queries take gamma whole. Values are untouched, and so are the down-projections: a norm would undo it.
        """
        gamma = gamma_H.to(self.q_up.weight)[:, None, None]
        self.q_up_nope.mul_(gamma**alpha)
        self.k_up.mul_(gamma ** (1 - alpha))
        self.q_up_rope.mul_(gamma)
