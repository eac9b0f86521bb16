"""How a row is measured: contenders side by side in rotating order, on a machine that others may be using too.

Absolute times on a shared machine are soft, so what counts is a ratio taken within each round and its median over the
rounds. Process CPU time stands beside wall time: where they part, the machine was busy with somebody else.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy
import torch
import transformers

import kimi_mini
from kimi_mini.device import has_fast_bf16

_GEMM_WIDTH = 1024
GEMM = f"fp32 GEMM {_GEMM_WIDTH}^3"  # the contender that measures the peak
GEMM_FLOPS = 2.0 * _GEMM_WIDTH**3


Errors = dict[str, dict[str, float]]  # contender -> quantity -> error


@dataclass(frozen=True)
class Case:
    """One row, built: contenders on the same weights and inputs (ours first), and what is right about their results.

    `check()` runs each contender once and returns its errors; `flops` is the work of the matrix products of one run, if
    "% of floor" means anything for it; `notes` are facts of this case that belong beside the numbers.
    """

    contenders: dict[str, Callable[[], object]]
    check: Callable[[], Errors]
    flops: float | None = None
    notes: dict[str, float] = field(default_factory=dict)


def relative_error(got: torch.Tensor, exact: torch.Tensor) -> float:
    """Norm of the difference over the norm of `exact`, in float64."""
    return ((got.double() - exact.double()).norm() / exact.double().norm()).item()


@dataclass
class Timing:
    """Milliseconds of each round, by the wall clock and as process CPU time (all threads)."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @property
    def best_ms(self) -> float:
        return min(self.wall_ms)

    def once(self, run: Callable[[], object]) -> None:
        """Time one call and keep the two numbers."""
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        self.wall_ms.append((time.perf_counter() - wall) * 1e3)
        self.cpu_ms.append((time.process_time() - cpu) * 1e3)


def measure(
    contenders: dict[str, Callable[[], object]], rounds: int, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Timing]:
    """Time every contender once per round; each round starts with the next one, so that none has a fixed neighbour."""
    for name, run in contenders.items():
        progress(f"warm-up: {name}")
        run()
    names = list(contenders)
    timings = {name: Timing() for name in names}
    for i in range(rounds):
        progress(f"round {i + 1} of {rounds}")
        gc.collect()
        start = i % len(names)
        for name in names[start:] + names[:start]:
            timings[name].once(contenders[name])
    return timings


def median_ratio(peer: list[float], ours: list[float]) -> float:
    """How many times ours goes into the peer: the median of the per-round ratios. Above 1 ours is faster."""
    return statistics.median(p / o for p, o in zip(peer, ours, strict=True))


def gemm_contender() -> Callable[[], object]:
    """A large matrix product: the peak that "% of floor" refers to, measured in the same rounds."""
    a, b = torch.randn(2, _GEMM_WIDTH, _GEMM_WIDTH)
    return lambda: a @ b


def provenance(threads: int) -> dict[str, object]:
    """Where, when and with what a row was measured."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "command": " ".join(["python -m bench", *sys.argv[1:]]),
        "commit": _commit(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load_average": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "fast_bf16": has_fast_bf16(torch.device("cpu")),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "kimi_mini": kimi_mini.__version__,
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit the working tree stands on, with a + when it has changes; None outside a git checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        dirty = subprocess.run([*git, "status", "--porcelain", "../kimi_mini", "."], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if dirty.stdout else "")
