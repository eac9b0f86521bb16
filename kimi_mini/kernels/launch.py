"""Where the Triton kernels run, and how each is cut for the GPU at hand: one table of configurations per kernel.

A kernel's tiles are literals chosen by hand (bench/ searches, this package never does). `choose` picks the row that fits the
machine's shared memory; the interpreter (TRITON_INTERPRET=1, no GPU needed) gets tiny tiles, so that small tests cross edges.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..checks import require

PRECISION = "ieee"  # of products of fp32 tiles; 16-bit tiles use tensor cores whatever it says
SHARED_BYTES = {"hopper": 232_448, "ampere": 166_912, "small": 101_376}  # a block's most: sm_90, sm_80, sm_86 and sm_89
HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Config:
    """How one kernel is launched: tile sizes (its constexpr arguments), warps, stages of the load pipeline."""

    tiles: dict[str, int] = field(default_factory=dict)
    warps: int = 4
    stages: int = 2

    def options(self) -> dict[str, int]:
        """Keyword arguments of `kernel[grid](...)`."""
        return {**self.tiles, "num_warps": self.warps, "num_stages": self.stages}


class Unfit(ValueError):
    """The Triton form does not take such tensors, and the torch form does: "auto" then runs that."""


def require_fit(ok: bool, name: str, value: object, wanted: str) -> None:
    """`require`, for what only the Triton form cannot do; raises Unfit."""
    try:
        require(ok, name, value, wanted)
    except ValueError as error:
        raise Unfit(str(error)) from None


def interpreting() -> bool:
    """Whether kernels run in Triton's interpreter, on CPU tensors (the variable counts when triton is first imported)."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def has_triton() -> bool:
    """Whether triton is installed; asks without importing it."""
    return importlib.util.find_spec("triton") is not None


def can_run_triton(x: Tensor) -> bool:
    """Whether Triton kernels are the fast form for this tensor: on a GPU with bf16 (sm_80 and later), not float64.

    A T4 (sm_75) is refused: without tensor-core products in Triton, cuBLAS and torch's attention are the faster road there.
    """
    if x.device.type != "cuda" or x.dtype == torch.float64 or not has_triton():
        return False
    return torch.cuda.get_device_capability(x.device) >= (8, 0)


def has_fp8() -> bool:
    """Whether the active GPU converts to and from FP8 itself (sm_89 and later); the interpreter's conversion does not round."""
    from triton.runtime import driver  # here: triton is optional

    return not interpreting() and driver.active.get_current_target().arch >= 89


def choose(table: dict[str, Config], dtype: torch.dtype) -> Config:
    """The row for this format and the active device: "interpreter", "fp32" (4-byte inputs), "hopper", "ampere" or "small"."""
    if interpreting():
        return table["interpreter"]
    if dtype not in HALF and "fp32" in table:
        return table["fp32"]
    return table[family()] if family() in table else table["small"]


def family() -> str:
    """The active GPU's row of the tables, by its shared memory."""
    from triton.runtime import driver  # here: triton is optional

    arch = driver.active.get_current_target().arch
    if arch in (90, 100, 103):
        return "hopper"
    return "ampere" if arch in (80, 87) else "small"


def blocks(n: int, size: int) -> int:
    """How many blocks of `size` cover n."""
    return -(-n // size)


def next_power_of_2(n: int) -> int:
    """The smallest power of two that is at least n (tiles have such widths)."""
    return 1 << max(n - 1, 0).bit_length()


def rows_of(x: Tensor) -> Tensor:
    """x with columns side by side in memory, as the kernels read it: mostly x itself, whatever its other strides."""
    return x if x.stride(-1) == 1 else x.contiguous()
