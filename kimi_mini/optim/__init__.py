"""Optimizers and the two weight updates that follow no gradient: Muon, QK-Clip, expert balance, the learning rate."""

from .balance import balance_experts_
from .groups import OptimConfig, build_optimizer, learned_by_muon
from .muon import Muon, muon_update, update_scale
from .qk_clip import clip_factors, qk_clip_
from .schedule import wsd_factor
from .spectrum import singular_values, svd_entropy

__all__ = [
    "Muon",
    "OptimConfig",
    "balance_experts_",
    "build_optimizer",
    "clip_factors",
    "learned_by_muon",
    "muon_update",
    "qk_clip_",
    "singular_values",
    "svd_entropy",
    "update_scale",
    "wsd_factor",
]
