"""How a row is measured: contenders side by side in rotating order, on a machine that others may be using too.

Absolute times on a shared machine are soft, so what counts is a ratio taken within each round and its median over the
rounds. Process CPU time stands beside wall time: on a CPU, where they part, the machine was busy with somebody else; on a GPU
it is what it costs to launch the work. The ceilings that "% of floor" refers to run as contenders of their own, in the same
rounds: a large matrix product and, on a GPU, a large copy.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
import transformers

import kimi_mini
from kimi_mini.device import has_fast_bf16
from kimi_mini.kernels import launch
from kimi_mini.kernels.work import Ceilings, Work

Run = Callable[[], object]
Clock = Callable[[Run], tuple[float, float]]  # (wall milliseconds, milliseconds of this process's CPU) of one call
Errors = dict[str, dict[str, float]]  # contender -> quantity -> error

_FLUSH_BYTES = 256 * 2**20  # written before every call on a GPU, so that no input is still in its cache (50 MB on an H100)
_COPY_BYTES = 2**30
_ROUND_MS, _MOST_CALLS = 10.0, 20  # on a GPU a round repeats a short contender
_FEWEST_ROUNDS = 3
_PIECE = 2**26  # elements compared at a time


@dataclass(frozen=True)
class Case:
    """One row, built: contenders on the same weights and inputs (ours first), and what is right about their results.

    `check()` runs each contender once and returns its errors; `notes` are facts of this case that belong beside the numbers;
    `missing` says of peers why they do not run here. A check may move a peer that fails from `contenders` to `missing`.
    """

    contenders: dict[str, Run]
    check: Callable[[], Errors]
    notes: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def relative_error(got: torch.Tensor, exact: torch.Tensor) -> float:
    """Norm of the difference over the norm of `exact`, in float64, by pieces. Infinite for another shape or NaN."""
    if got.shape != exact.shape:
        return float("inf")
    pieces = zip(got.reshape(-1).split(_PIECE), exact.reshape(-1).split(_PIECE), strict=True)
    squares = [torch.stack(((g.double() - e.double()).square().sum(), e.double().square().sum())) for g, e in pieces]
    difference, size = torch.stack(squares).sum(0).sqrt().tolist()
    error = difference / size if size else difference
    return error if math.isfinite(error) else math.inf


@dataclass
class Timing:
    """Milliseconds of each round, by the wall clock (on a GPU by its own) and as process CPU time (all threads)."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @property
    def best_ms(self) -> float:
        return min(self.wall_ms)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.wall_ms)

    def add(self, wall_ms: float, cpu_ms: float) -> None:
        self.wall_ms.append(wall_ms)
        self.cpu_ms.append(cpu_ms)


def cpu_clock(run: Run) -> tuple[float, float]:
    """One call."""
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


class CudaClock:
    """The median of up to 20 calls, each between two events and after a flush of the cache, which also hides its launch."""

    def __init__(self, device: torch.device) -> None:
        self.flush = torch.empty(_FLUSH_BYTES, dtype=torch.int8, device=device)

    def __call__(self, run: Run) -> tuple[float, float]:
        began = time.process_time()
        times = self._times(run, 1)
        calls = min(int(_ROUND_MS / max(times[0], 1e-3)), _MOST_CALLS)
        times += self._times(run, calls)
        return statistics.median(times), (time.process_time() - began) * 1e3 / len(times)

    def _times(self, run: Run, calls: int) -> list[float]:
        pairs = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(calls)]
        for start, end in pairs:
            self.flush.zero_()
            start.record()
            run()
            end.record()
        torch.cuda.synchronize()
        return [start.elapsed_time(end) for start, end in pairs]


def clock_of(device: torch.device) -> Clock:
    return CudaClock(device) if device.type == "cuda" else cpu_clock


def release_memory() -> None:
    """Give back what only reference cycles still hold, on a GPU too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def measure(
    contenders: dict[str, Run],
    rounds: int,
    progress: Callable[[str], None] = lambda line: None,
    clock: Clock = cpu_clock,
    seconds: float = math.inf,
) -> dict[str, Timing]:
    """Time every contender once per round; each round starts with the next one, so that none has a fixed neighbour.

    After `seconds` no round begins any more, once there are three.
    """
    for name, run in contenders.items() if clock is cpu_clock else ():  # a GPU's short calls are repeated within a round
        progress(f"warm-up: {name}")
        run()
    names = list(contenders)
    timings = {name: Timing() for name in names}
    gc.collect()
    gc.freeze()  # what is here stays: only what a round leaves behind needs a look
    began = time.perf_counter()
    for i in range(rounds):
        if i >= _FEWEST_ROUNDS and time.perf_counter() - began > seconds:
            break
        progress(f"round {i + 1} of {rounds}")
        gc.collect()
        start = i % len(names)
        for name in names[start:] + names[:start]:
            timings[name].add(*clock(contenders[name]))
    gc.unfreeze()
    return timings


def median_ratio(peer: list[float], ours: list[float]) -> float:
    """How many times ours goes into the peer: the median of the per-round ratios. Above 1 ours is faster."""
    return statistics.median(p / o for p, o in zip(peer, ours, strict=True))


class Ceiling(NamedTuple):
    """A contender that measures a peak: what it does, and what it costs."""

    run: Run
    work: Work


def ceiling_contenders(device: torch.device) -> dict[str, Ceiling]:
    """A large matrix product and, on a GPU, a large copy."""
    width, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    a, b = torch.randn(2, width, width, device=device, dtype=dtype)
    gemm = {f"{'bf16' if dtype == torch.bfloat16 else 'fp32'} GEMM {width}^3": Ceiling(lambda: a @ b, Work(2.0 * width**3, 0))}
    if device.type != "cuda":
        return gemm
    source, target = torch.randint(-128, 128, (2, _COPY_BYTES), dtype=torch.int8, device=device)
    return gemm | {"copy of 1 GiB": Ceiling(lambda: target.copy_(source), Work(0, 2.0 * _COPY_BYTES))}


def ceilings_of(contenders: dict[str, Ceiling], timings: dict[str, Timing]) -> Ceilings:
    """FLOPs and bytes per second that the ceilings reached: the best round on a CPU, the median one on a GPU.

    Bytes are not measured on a CPU: as if memory were no limit there.
    """
    on_gpu = len(contenders) > 1
    rates = [(c.work, 1e3 / (timings[name].median_ms if on_gpu else timings[name].best_ms)) for name, c in contenders.items()]
    return Ceilings(
        max(work.flops * rate for work, rate in rates), max(work.bytes * rate for work, rate in rates) if on_gpu else math.inf
    )


def provenance(threads: int, device: torch.device) -> dict[str, object]:
    """Where, when and with what a row was measured."""
    return _gpu(device) | {
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


def _gpu(device: torch.device) -> dict[str, object]:
    if device.type != "cuda":
        return {}
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "gpu_memory_gib": round(properties.total_memory / 2**30, 1),
        "processors": properties.multi_processor_count,
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "triton": version("triton") if launch.has_triton() else None,
    }


def _driver() -> str | None:
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True, timeout=20).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


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
