"""Which parameter is learned by what: matrices by Muon, embedding, head and norm gains by AdamW."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..model import KimiMini
from .muon import Muon, check_options


@dataclass(frozen=True)
class OptimConfig:
    """Settings of the optimizer; the values that K2 does not publish are Moonlight's (arXiv 2502.16982).

    `matrices` says what learns the matrices: "muon", or "adamw" for comparisons.
    """

    lr: float = 2e-4
    weight_decay: float = 0.1
    matrices: Literal["muon", "adamw"] = "muon"
    momentum: float = 0.95
    nesterov: bool = True
    ns_steps: int = 5
    coefficients: str = "muon"
    update_rms: float = 0.2
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_options(dataclasses.asdict(self) | {"algorithm": self.matrices})


def learned_by_muon(name: str, shape: Sequence[int]) -> bool:
    """Whether a KimiMini's parameter is a matrix (or a stack of them) inside a block; embedding, head and gains are not."""
    return len(shape) >= 2 and name.startswith("blocks.")


def build_optimizer(model: KimiMini, config: OptimConfig = OptimConfig()) -> Muon:
    """The optimizer of the K2 recipe for `model`, every parameter in exactly one group.

    Muon takes every matrix inside the blocks, routers included; AdamW takes embedding, head and the norm gains, which decay
    too (Moonlight, appendix D). Selection biases are buffers: no optimizer touches them.
    """
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        (matrices if learned_by_muon(name, parameter.shape) else rest).append(parameter)
    groups = [{"params": matrices, "algorithm": config.matrices}, {"params": rest, "algorithm": "adamw"}]
    return Muon(
        groups, config.lr, weight_decay=config.weight_decay, momentum=config.momentum, nesterov=config.nesterov,
        ns_steps=config.ns_steps, coefficients=config.coefficients, update_rms=config.update_rms, betas=config.betas,
        eps=config.eps,
    )  # fmt: skip
