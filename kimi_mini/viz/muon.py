"""The figures of the chapter *Muon*: a 2 x 2 momentum under the hand, and what the recorded runs of `runs.muon` say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import kernels
from . import still
from .muon_figures import decay_gap, entropy_by_group, sweep, through_iterations, update_rms, weight_growth
from .muon_runs import Run, load_runs, pick, updates_to
from .series import pack
from .stage import Stage, stage

__all__ = [
    "decay_gap", "ellipse", "entropy_by_group", "load_runs", "pick", "race", "sweep", "through_iterations", "update_rms",
    "updates_to", "weight_growth",
]  # fmt: skip

SCATTER = 0.25  # of the gradients around the toy momentum, for Adam
SET_NAMES = {"muon": "Muon's (Jordan)", "polar_express": "Polar Express"}
QUERY = "blocks.2.attn.q_up"
OTHERS = {"blocks.0.mlp.gate": "dense gate", "blocks.2.mlp.experts.0.gate": "expert's gate", "blocks.2.mlp.router": "router"}


# ---- the ellipse -------------------------------------------------------------------------------------------------------


def ellipse(runs: Iterable[Run]) -> Stage:
    """A 2 x 2 momentum to stretch and turn, Muon's update of it beside the sign and Adam's; or a recorded spectrum instead."""
    (mini,) = pick(runs, model="mini")
    shown = [(QUERY, look, f"query matrix, update {look}") for look in mini.looks]
    shown += [(name, mini.looks[-1], f"{words}, update {mini.looks[-1]}") for name, words in OTHERS.items()]
    momenta = {
        f"{name}-{look}": {"label": label, "sigma": pack(mini.spectra[name][mini.looks.index(look)])}
        for name, look, label in shown
    }
    values = [1.0]
    for a, b, c in kernels.step_coefficients("muon", 5):
        values.append(a * values[-1] + b * values[-1] ** 3 + c * values[-1] ** 5)
    return stage(
        "ellipse",
        {
            "sets": {name: [list(triple) for triple in row] for name, row in kernels.NEWTON_SCHULZ_COEFFICIENTS.items()},
            "names": SET_NAMES, "usual": 5, "scatter": SCATTER, "momenta": momenta, "rate": mini.lr,
        },
        name="muon-ellipse",
        title=f"An axis at exactly 1 does not stay: {', '.join(f'{value:.2f}' for value in values[1:])}.",
        alt="Four ellipses: a momentum whose axes can be dragged, Muon's update of it after some iterations, which comes close "
        "to a circle, and the entrywise sign and Adam's update, which flatten to a line or open to a circle as the momentum is "
        "turned. Beneath them the length of both axes over ten iterations.",
        still=still.table(("iteration", "an axis that starts at 1"), [(i, f"{value:.4f}") for i, value in enumerate(values)]),
        height=980,
    )  # fmt: skip


# ---- Muon against AdamW ------------------------------------------------------------------------------------------------

REPORTED_SHARE = 0.52  # of AdamW's training FLOPs at equal loss (Moonlight, Fig. 1a)


def race(runs: Iterable[Run], best: Mapping[str, tuple[float, float]], lengths: Sequence[int]) -> Stage:
    """Held-out loss of whole runs of these `lengths`, both optimizers at the sweep's best, and the updates that Muon needs.

    `best[matrices]` is (lr, decay). Lengths that were not recorded are left out.
    """
    runs, table = list(runs), {}
    for matrices, (lr, decay) in best.items():
        found = {steps: pick(runs, matrices=matrices, lr=lr, decay=decay, steps=steps) for steps in lengths}
        ends = {steps: [run.end for run in seeds] for steps, seeds in found.items() if seeds}
        table[matrices] = {"lr": lr, "decay": decay, "lengths": list(ends), "ends": list(ends.values())}
    longest = max(table["adamw"]["lengths"])
    return stage(
        "race",
        {"runs": table, "reported": REPORTED_SHARE, "tokens": runs[0].tokens_per_update},
        name="muon-race",
        title=f"To AdamW's loss after {longest} updates Muon comes in about {needed(table, longest):.0f}.",
        alt="Held-out loss against tokens for Muon and AdamW, with bars over the seeds. A horizontal step from "
        "AdamW's end to Muon's line shows how many updates Muon needs; a hollow diamond marks the report's 52 %.",
        still=still.table(
            ("optimizer", "updates", "held-out loss of each seed"),
            [
                (name, steps, ", ".join(f"{end:.3f}" for end in ends))
                for name, row in table.items()
                for steps, ends in zip(row["lengths"], row["ends"], strict=True)
            ],
        ),
        height=640,
    )


def needed(table: Mapping[str, Any], steps: int) -> float | None:
    """Muon's updates to the mean loss at which AdamW ended after `steps`."""
    loss = float(np.mean(table["adamw"]["ends"][table["adamw"]["lengths"].index(steps)]))
    return updates_to(table["muon"]["lengths"], [float(np.mean(ends)) for ends in table["muon"]["ends"]], loss)
