"""RLConfig: everything that fixes a run of reinforcement learning besides the policy, the task and the texts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from ..checks import is_int, is_number, require
from ..optim import OptimConfig
from ..train import StepConfig
from ..train.config import plain

_AT_LEAST = {
    "steps": 1, "problems": 1, "group": 2, "updates": 1, "passes": 1, "micro_batch": 1, "ptx_rows": 0, "pool": 1,
    "held_out": 0, "evaluate_every": 1, "checkpoint_every": 1, "keep": 1, "seed": 0, "warmup": 0,
}  # fmt: skip
_POSITIVE = ("tau", "clip", "temperature", "final_temperature")


@dataclass(frozen=True)
class RLConfig:
    """A run of `steps` iterations: `problems` drawn, `group` answers to each, then `passes` over them in `updates` parts.

    K2 publishes none of these values. loss: "k2" (squared residual, `tau`) or "grpo" (`clip`). The temperature goes from
    `temperature` to `final_temperature` in a straight line. An answer is cut at its problem's budget (or `budget`, for all);
    a cut answer's reward is -`penalty`, or with None whatever the verifier says of what is there. Each update also reads
    `ptx_rows` rows of text at `ptx_weight`. Problems come from a pool of `pool` seeds; with `curriculum`, half-solved ones
    come more often. Every `evaluate_every` steps `held_out` problems are answered once each at temperature 1. Raises
    ValueError naming the field, its value and what would be right.
    """

    steps: int = 150
    problems: int = 32
    group: int = 8
    updates: int = 2
    passes: int = 1
    micro_batch: int = 128
    loss: Literal["k2", "grpo"] = "k2"
    tau: float = 0.1
    clip: float = 0.2
    temperature: float = 1.0
    final_temperature: float = 1.0
    budget: int | None = None
    penalty: float | None = 0.5
    ptx_weight: float = 0.0
    ptx_rows: int = 0
    pool: int = 1024
    curriculum: bool = True
    held_out: int = 256
    evaluate_every: int = 10
    checkpoint_every: int = 10
    keep: int = 2
    seed: int = 0
    warmup: int = 5
    optim: OptimConfig = OptimConfig(lr=1e-3, weight_decay=0.0)
    step: StepConfig = StepConfig(bias_rate=0.0)

    def __post_init__(self) -> None:
        for name, low in _AT_LEAST.items():
            value = getattr(self, name)
            require(is_int(value, low), name, value, f"an integer >= {low}")
        for name in _POSITIVE:
            value = getattr(self, name)
            require(is_number(value) and 0 < value < math.inf, name, value, "a number > 0")
        require(self.loss in ("k2", "grpo"), "loss", self.loss, "'k2' or 'grpo'")
        require(self.budget is None or is_int(self.budget, 1), "budget", self.budget, "an integer >= 1, or None")
        penalty, weight = self.penalty, self.ptx_weight
        require(
            penalty is None or (is_number(penalty) and 0 <= penalty < math.inf), "penalty", penalty, "a number >= 0, or None"
        )
        require(is_number(weight) and 0 <= weight < math.inf, "ptx_weight", weight, "a number >= 0")
        fits = self.problems * self.group % self.updates == 0
        require(fits, "updates", self.updates, f"a divisor of problems * group = {self.problems * self.group}")

    def temperature_at(self, step: int) -> float:
        """Of iteration `step` (0-based): from `temperature` in the first to `final_temperature` in the last."""
        way = step / max(1, self.steps - 1)
        return self.temperature + (self.final_temperature - self.temperature) * way

    def lr_at(self, step: int) -> float:
        """A short warm-up, then constant."""
        return self.optim.lr * min(1.0, (step + 1) / (self.warmup + 1))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return plain(dataclasses.asdict(self))
