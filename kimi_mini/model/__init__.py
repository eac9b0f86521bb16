"""The model, in reading order: layers, rope, mla, moe, stats, cache, transformer."""

from .cache import LatentCache
from .mla import MLA
from .moe import MoE, Router, Routing, gate_scale, sequence_balance_loss
from .stats import ForwardStats
from .transformer import Block, KimiMini, ModelOutput

__all__ = [
    "MLA",
    "Block",
    "ForwardStats",
    "KimiMini",
    "LatentCache",
    "MoE",
    "ModelOutput",
    "Router",
    "Routing",
    "gate_scale",
    "sequence_balance_loss",
]
