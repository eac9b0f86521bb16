"""metrics.jsonl: one line per update, as measured, nothing smoothed; after a resume each update is there exactly once."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from .step import StepReport


class MetricsLog:
    """Appends to the file at `path`, after cutting it back to update `step`: what a killed run wrote beyond its last
    checkpoint (a torn last line included) will be written again.
    """

    def __init__(self, path: Path, step: int) -> None:
        count, size = _whole_lines_up_to(path, step)
        if count != step:
            warnings.warn(f"{path} holds {count} of the {step} updates so far; the others cannot be brought back", stacklevel=3)
        if path.exists():
            os.truncate(path, size)
        self._file = open(path, "ab", buffering=0)  # a buffer would write again, and fail again, when it is closed

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: dict[str, Any]) -> None:
        """Append one line; it is there for other programs at once. Raises OSError on a full disk."""
        rest = (json.dumps(line) + "\n").encode()
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            message = f"{self._file.name}: no room for update {line['step']} ({error.strerror}); make room and resume"
            raise OSError(error.errno, message) from error

    def sync(self) -> None:
        """Down to the disk: a checkpoint must not be newer than the metrics of its own updates."""
        os.fsync(self._file.fileno())


def metrics_line(step: int, lr: float, seconds: float, report: StepReport) -> dict[str, Any]:
    """What is recorded of update `step` (from 1): mean loss in nats per target, rate, gradient norm before clipping, targets,
    wall time, the largest attention logit of each layer, heads clipped, and largest over mean expert load of each layer
    (None for a dense one).
    """
    max_logits_LH, load_LE = report.stats.max_logits_LH, report.stats.expert_load_LE.double()
    return {
        "step": step,
        "loss": report.loss,
        "lr": lr,
        "grad_norm": report.grad_norm,
        "tokens": report.count,
        "seconds": seconds,
        "max_logit": max_logits_LH.amax(1).tolist(),
        "clipped_heads": int((report.gamma_LH < 1).sum()),
        "load_max_over_mean": [(load.max() / load.mean()).item() if load.any() else None for load in load_LE],
    }


def _whole_lines_up_to(path: Path, step: int) -> tuple[int, int]:
    """(how many lines, how many bytes) of the file belong to the first `step` updates."""
    count = size = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            number = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if number > step or not line.endswith(b"\n"):
            break
        count, size = count + 1, size + len(line)
    return count, size
