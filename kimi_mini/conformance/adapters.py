"""Adapters, as examples of the protocol: this package's MuonClip, and torch's own Muon.

The clip of this package acts on a model, so its adapter builds one of a single layer around the weights. It knows one layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .. import kernels
from ..checks import require
from ..model import ForwardStats, KimiMini
from ..optim import Muon, qk_clip_
from ..presets import NANO
from .heads import Layout


def ours_muon(params: Sequence[Tensor], *, lr: float, weight_decay: float, momentum: float) -> Muon:
    return Muon(params, lr, weight_decay=weight_decay, momentum=momentum)


def torch_muon(params: Sequence[Tensor], *, lr: float, weight_decay: float, momentum: float) -> torch.optim.Optimizer:
    return torch.optim.Muon(params, lr, weight_decay=weight_decay, momentum=momentum, adjust_lr_fn="match_rms_adamw")


def ours_max_logits(micro_batches: list[tuple[Tensor, Tensor]], scale: float) -> Tensor:
    stats = None
    for q_BTHN, k_BTGN in micro_batches:
        k_BTHN = k_BTGN.repeat_interleave(q_BTHN.shape[2] // k_BTGN.shape[2], 2)
        _, max_logits_H = kernels.attention(q_BTHN, k_BTHN, k_BTHN, scale=scale)
        stats = ForwardStats(max_logits_H[None], torch.zeros(1, 1)).merge(stats)
    return stats.max_logits_LH[0]


_NAMES = {
    "q_a_proj": "q_down", "q_a_layernorm": "q_norm", "q_b_proj": "q_up", "q_proj": "q_up", "kv_a_proj_with_mqa": "kv_down",
    "kv_a_layernorm": "kv_norm", "kv_b_proj": "kv_up", "o_proj": "out",
}  # fmt: skip


def ours_qk_clip(weights: dict[str, Tensor], max_logits_H: Tensor, tau: float, layout: Layout) -> None:
    qk_clip_(_around(weights, layout), max_logits_H[None], tau=tau)


def ours_muonclip(
    weights: dict[str, Tensor], layout: Layout, *, lr: float, weight_decay: float, momentum: float, tau: float
) -> Callable[[list[tuple[Tensor, Tensor]]], None]:
    groups = [
        {"params": [w for w in weights.values() if w.ndim == 2]},
        {"params": [w for w in weights.values() if w.ndim == 1], "algorithm": "adamw"},
    ]
    optimizer = Muon(groups, lr, weight_decay=weight_decay, momentum=momentum)
    model = _around(weights, layout)

    def step(micro_batches: list[tuple[Tensor, Tensor]]) -> None:
        optimizer.step()
        qk_clip_(model, ours_max_logits(micro_batches, layout.scale)[None], tau=tau)

    return step


def _around(weights: dict[str, Tensor], layout: Layout) -> KimiMini:
    """A model of one layer whose attention is made of these very weights: mla, fused, as in released checkpoints."""
    require(
        layout.kind == "mla" and layout.fused, "layout", str(layout), "mla with fused weights, the only one of this package"
    )
    model = KimiMini(
        NANO.replace(
            num_hidden_layers=1, hidden_size=layout.hidden, num_attention_heads=layout.heads, kv_lora_rank=layout.kv_rank,
            q_lora_rank=layout.q_rank if layout.q_latent else None, qk_nope_head_dim=layout.nope,
            qk_rope_head_dim=layout.rope, v_head_dim=layout.value,
        )
    )  # fmt: skip
    for name, weight in weights.items():
        getattr(model.blocks[0].attn, _NAMES[name]).weight = nn.Parameter(weight, requires_grad=False)
    return model
