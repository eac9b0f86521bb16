"""What a resumed run must find as it was: random generators, number of threads, versions."""

from __future__ import annotations

import platform
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), Python's `random` and numpy's global generator."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def random_state() -> dict[str, Any]:
    """The state of all those generators, JSON-ready."""
    numpy_state = np.random.get_state(legacy=False)
    return {
        "torch": _hex(torch.get_rng_state()),
        "cuda": [_hex(state) for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": numpy_state | {"state": {**numpy_state["state"], "key": numpy_state["state"]["key"].tolist()}},
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` gave; a different number of GPUs leaves theirs alone."""
    torch.set_rng_state(_unhex(state["torch"]))
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([_unhex(device) for device in state["cuda"]])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(state["numpy"])


def environment(device: torch.device) -> dict[str, Any]:
    """What floating-point sums depend on besides the program's inputs."""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "kimi_mini": import_module(__package__.partition(".")[0]).__version__,
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "device": device.type if device.type == "cpu" else torch.cuda.get_device_name(device),
    }


@contextmanager
def threads_of(saved: dict[str, Any] | None, device: torch.device) -> Iterator[None]:
    """Inside, torch uses as many threads as the run did when it was saved (None: a new run), and afterwards as before.

    Sums are split among threads, so another number would give other last bits, and the resumed run another end. The number
    is therefore restored, with a warning where it changes; whatever else differs can only be warned of.
    """
    here = environment(device)
    saved = saved or dict(here)
    before, recorded = here.pop("threads"), saved["threads"]
    if recorded != before:
        warnings.warn(f"the run used {recorded} threads and goes on with as many (now {before})", stacklevel=4)
    differing = [f"{name} {saved.get(name)} (now {own})" for name, own in here.items() if saved.get(name) != own]
    if differing:
        warnings.warn(f"the run used {', '.join(differing)}: its last bits may come out differently", stacklevel=4)
    torch.set_num_threads(recorded)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _hex(state: torch.Tensor) -> str:
    return state.numpy().tobytes().hex()


def _unhex(text: str) -> torch.Tensor:
    return torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8)
