"""G8: one MuonClip step over experts of one shape, beside torch.optim.Muon on each matrix and AdamW on the slab.

Legend: matrices [n, A, B] in one parameter, as the model holds its experts.
"""

from __future__ import annotations

import torch

from ..harness import Case
from ..muon import OURS, TORCH, ours, split_up, update_error, with_grad
from .common import Results, make_case

ADAMW = "AdamW, fused"


def build(device: torch.device, *, matrices: int, rows: int, columns: int) -> Case:
    """Weights and gradients in fp32; both Muons iterate in the 16-bit format they choose by themselves."""
    torch.manual_seed(0)
    slab = with_grad(*(torch.randn(matrices, rows, columns, device=device) for _ in range(2)))
    steps = {name: make([slab], False) for name, make in ((OURS, ours), (TORCH, split_up))}
    weights = with_grad(slab, slab.grad)
    adamw = torch.optim.AdamW([weights], fused=True)

    def update(name: str) -> Results:
        params, step = steps[name]
        step()
        return {"update": torch.tensor(update_error(params, [slab]))}

    def nothing() -> Results:
        adamw.step()
        return {}

    return make_case(
        {OURS: lambda: update(OURS), TORCH: lambda: update(TORCH), ADAMW: nothing},
        lambda: {"update": torch.zeros(())},
        metrics={"update": lambda got, _: got.item()},
        timed={name: step for name, (_, step) in steps.items()} | {ADAMW: adamw.step},
        notes={"matrices": matrices, "parameters": slab.numel()},
    )
