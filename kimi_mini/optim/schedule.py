"""The learning rate over a run: warm up, stay, decay (WSD, arXiv 2404.06395)."""

import math

from ..checks import require


def wsd_factor(step: int, *, warmup: int, total: int, decay: int, final: float = 0.1) -> float:
    """Factor on the peak rate at `step` (0-based) of `total`: linear warm-up, flat, cosine over the last `decay` steps.

    K2: 500 warm-up steps, flat for 10T tokens, cosine from 2e-4 to 2e-5 (final 0.1) over 5.5T. Step 0 already learns
    (1 / warmup); the last step of the run stands at `final`. Raises ValueError when the phases do not fit in the run.
    """
    if min(warmup, decay, total - warmup - decay) < 0:
        raise ValueError(
            f"warmup = {warmup} and decay = {decay} do not fit into total = {total} steps; expected their sum below it"
        )
    require(0 <= final <= 1, "final", final, "a number from 0 to 1")
    if step < warmup:
        return (step + 1) / warmup
    into_decay = step - (total - decay) + 1
    if into_decay <= 0 or decay == 0:
        return 1.0
    progress = min(into_decay / decay, 1.0)
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
