"""TrainConfig: everything that fixes a pre-training run besides the model's shape and the text."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch

from ..checks import is_int, require
from ..optim import OptimConfig, wsd_factor
from .step import StepConfig

_AT_LEAST = {
    "steps": 1, "sequence_length": 1, "batch_size": 1, "micro_batches": 1, "seed": 0, "checkpoint_every": 1, "keep": 1,
    "long_steps": 0,
}  # fmt: skip
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}  # fp16 would need loss scaling


@dataclass(frozen=True)
class TrainConfig:
    """A run of `steps` updates, each on micro_batches x batch_size sequences of sequence_length tokens.

    The last `long_steps` of them see as many tokens in fewer sequences of `long_sequence_length` (K2 too trained on short
    sequences first); the text is then cut and shuffled anew.

    The learning rate warms up for `warmup_steps` (None: a tenth of the steps, at most 100), stays, and falls over the last
    `decay_steps` (None: a third; K2 decayed over 5.5T of 15.5T tokens) to `final_lr` times the peak. `compute_dtype` is
    "float32", "bfloat16" or None (chosen from the device). The defaults suit NANO on two CPU cores. Raises ValueError naming
    the field, its value and what would be right.
    """

    steps: int = 300
    sequence_length: int = 128
    long_steps: int = 0
    long_sequence_length: int | None = None
    batch_size: int = 8
    micro_batches: int = 1
    seed: int = 0
    warmup_steps: int | None = None
    decay_steps: int | None = None
    final_lr: float = 0.1
    checkpoint_every: int = 100
    keep: int = 2
    compute_dtype: str | None = None
    optim: OptimConfig = OptimConfig(lr=3e-3)
    step: StepConfig = StepConfig()

    def __post_init__(self) -> None:
        for name, low in _AT_LEAST.items():
            _require_int(name, getattr(self, name), low)
        for name in ("warmup_steps", "decay_steps"):
            if getattr(self, name) is not None:
                _require_int(name, getattr(self, name), 0)
        require(isinstance(self.optim, OptimConfig), "optim", self.optim, "an OptimConfig")
        require(isinstance(self.step, StepConfig), "step", self.step, "a StepConfig")
        allowed = (None, *_DTYPES)
        require(self.compute_dtype in allowed, "compute_dtype", self.compute_dtype, " or ".join(map(repr, allowed)))
        self.lr_factor(0)  # do the phases fit into the run?
        self._require_long()

    def _require_long(self) -> None:
        require(self.long_steps <= self.steps, "long_steps", self.long_steps, f"at most steps = {self.steps}")
        length, tokens = self.long_sequence_length, self.batch_size * self.sequence_length
        if self.long_steps:
            fits = is_int(length, 1) and tokens % length == 0
            require(fits, "long_sequence_length", length, f"a divisor of batch_size * sequence_length = {tokens}")

    @property
    def tokens(self) -> int:
        """Targets of the whole run."""
        return self.steps * self.micro_batches * self.batch_size * self.sequence_length

    def cut(self, step: int) -> tuple[int, int]:
        """(sequence length, sequences in a micro-batch) of update `step` (0-based)."""
        if step < self.steps - self.long_steps:
            return self.sequence_length, self.batch_size
        return self.long_sequence_length, self.batch_size * self.sequence_length // self.long_sequence_length

    def lr_factor(self, step: int) -> float:
        """Factor on the peak learning rate for update `step` (0-based): warm-up, stay, decay."""
        warmup = min(self.steps // 10, 100) if self.warmup_steps is None else self.warmup_steps
        decay = self.steps // 3 if self.decay_steps is None else self.decay_steps
        return wsd_factor(step, warmup=warmup, total=self.steps, decay=decay, final=self.final_lr)

    def dtype(self, default: torch.dtype) -> torch.dtype:
        """`compute_dtype` as torch knows it; `default` where it is None."""
        return default if self.compute_dtype is None else _DTYPES[self.compute_dtype]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, infinity as the string "inf"; `from_dict` inverts it."""
        return plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainConfig:
        """Read what `to_dict` wrote; fields left out keep their defaults. Raises ValueError for unknown or wrong ones."""
        _require_dict("the config", fields)
        return _build(cls, "", fields | {"optim": _part("optim", cls.optim, fields), "step": _part("step", cls.step, fields)})


def _require_int(name: str, value: object, low: int) -> None:
    require(is_int(value, low), name, value, f"an integer >= {low}")


def plain(value: Any) -> Any:
    """JSON-ready: infinity as the string "inf", tuples as lists."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [plain(inner) for inner in value]
    return "inf" if value == math.inf else value


def _part(name: str, default: OptimConfig | StepConfig, fields: dict[str, Any]) -> OptimConfig | StepConfig:
    given = fields.get(name, {})
    _require_dict(name, given)
    return _build(type(default), f"{name}.", dataclasses.asdict(default) | given)


def _require_dict(name: str, value: object) -> None:
    require(isinstance(value, dict), name, value, "a dict of fields")


def _build(kind: type, prefix: str, fields: dict[str, Any]) -> Any:
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        names = ", ".join(prefix + name for name in unknown)
        raise ValueError(f"unknown field {names}; the fields are {', '.join(prefix + name for name in known)}")
    return kind(**{name: _revived(value) for name, value in fields.items()})


def _revived(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return math.inf if value == "inf" else value
