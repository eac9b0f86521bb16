"""G7: Newton-Schulz on a batch of matrices, and the symmetric product it is made of.

Legend: n matrices of A rows and B columns, A <= B.
"""

from __future__ import annotations

import math
from importlib import import_module
from unittest.mock import patch

import torch
from torch import Tensor

from kimi_mini import kernels
from kimi_mini.kernels import newton_schulz_torch
from kimi_mini.kernels.work import Work, newton_schulz, symmetric_product

from ..harness import Case
from .common import OURS, Results, Way, fast_format, make_case, optional

BMM, GRAM, LOOP, TSYRK = (
    "cuBLAS bmm",
    "cuBLAS bmm, as Gram form if long",
    "torch.optim.Muon's iteration, one by one",
    "emerging-optimizers tsyrk",
)
_CONDITION = 1e3


def build(device: torch.device, *, matrices: int, rows: int, columns: int, fp16: int = 1) -> Case:
    """Five steps on matrices of condition number 1000, iterating in fp16 or bf16 (fp32 on a CPU)."""
    x_nAB = _conditioned(matrices, rows, columns, device)
    dtype = torch.float32 if device.type == "cpu" else torch.float16 if fp16 else torch.bfloat16
    loop = import_module("torch.optim._muon")._zeropower_via_newtonschulz
    triple = kernels.NEWTON_SCHULZ_COEFFICIENTS["muon"][0]

    def way(impl: str) -> Way:
        return lambda: {"update": kernels.newton_schulz(x_nAB, dtype=dtype, impl=impl)}

    def direct() -> Results:
        with patch.object(newton_schulz_torch, "GRAM_ASPECT", math.inf):
            return way("torch")()

    def one_by_one() -> Results:
        return {"update": torch.stack([loop(x_AB, triple, 5, 1e-7) for x_AB in x_nAB])}

    def overshoot() -> dict[str, float]:
        """By how much the largest singular value exceeds 1.3; five steps bring none beyond 1.21."""
        values = torch.linalg.svdvals(way("auto")()["update"][:2].float())
        return {"singular values above 1.3": max(values.max().item() - 1.3, 0.0)}

    return make_case(
        {OURS: way("auto"), BMM: direct, GRAM: way("torch"), LOOP: one_by_one},
        lambda: {"update": kernels.newton_schulz(x_nAB.double(), impl="ref")},
        also=overshoot,
    )


def work(*, matrices: int, rows: int, columns: int, fp16: int = 1) -> Work:
    """Of the form that ours takes: symmetric products, and in fp16 the Gram form for long matrices."""
    gram = fp16 and columns >= _kernels().GRAM_ASPECT * rows
    return newton_schulz(rows, columns, matrices, form="gram" if gram else "symmetric")


def build_product(device: torch.device, *, matrices: int, rows: int, columns: int) -> Case:
    """X X^T alone."""
    torch.manual_seed(0)
    x_nAB = torch.randn(matrices, rows, columns, device=device, dtype=fast_format(device))
    product = _kernels().symmetric_product

    def ours() -> Results:
        return {"product": product(x_nAB, x_nAB)}

    def asymmetry() -> dict[str, float]:
        out = ours()["product"]
        return {"entries that differ from their mirror": float((out != out.mT).sum())}

    def tsyrk() -> Way:
        run = import_module("emerging_optimizers.triton_kernels.syrk").tsyrk_ex
        return lambda: {"product": torch.stack([run(x_AB) for x_AB in x_nAB])}

    more, missing = optional({TSYRK: ("emerging_optimizers", tsyrk)})
    ways = {OURS: ours, BMM: lambda: {"product": torch.bmm(x_nAB, x_nAB.mT)}} | more
    return make_case(ways, lambda: {"product": x_nAB.double() @ x_nAB.double().mT}, also=asymmetry, missing=missing)


def _kernels():
    return import_module("kimi_mini.kernels.newton_schulz_triton")  # late: it needs triton


def product_work(*, matrices: int, rows: int, columns: int) -> Work:
    return symmetric_product(rows, columns, matrices)


def _conditioned(matrices: int, rows: int, columns: int, device: torch.device) -> Tensor:
    """Random singular vectors, singular values from 1 down to 1/1000 in equal ratios."""
    torch.manual_seed(0)
    u_nAA = torch.linalg.qr(torch.randn(matrices, rows, rows, device=device))[0]
    v_nBA = torch.linalg.qr(torch.randn(matrices, columns, rows, device=device))[0]
    values_A = torch.logspace(0, -torch.tensor(_CONDITION).log10().item(), rows, device=device)
    return (u_nAA * values_A) @ v_nBA.mT
