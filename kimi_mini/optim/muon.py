"""Muon: momentum, made orthogonal, scaled to AdamW's size (Moonlight, arXiv 2502.16982; K2 report, Algorithm 1).

This is the Moonlight form: momentum accumulates mu*M + G (not an average), Nesterov looks one step ahead, and the update
is scaled by 0.2 * sqrt(max(A, B)), so that AdamW's learning rate and weight decay carry over.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from .. import kernels
from ..checks import is_number, require
from ..device import has_fast_bf16


def update_scale(rows: int, columns: int, rms: float = 0.2) -> float:
    """Factor on an orthogonal [rows, columns] matrix that gives it about this RMS (Lemma 1: its RMS is 1/sqrt(max))."""
    return rms * math.sqrt(max(rows, columns))


def muon_update(
    grad_AB: Tensor,
    momentum_AB: Tensor,
    *,
    mu: float = 0.95,
    nesterov: bool = True,
    steps: int = 5,
    coefficients: str = "muon",
    rms: float = 0.2,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """(update, new momentum) for one matrix, or for a batch of them: leading axes are independent.

    M <- mu M + G;  O = NewtonSchulz(mu M + G);  update = O * rms * sqrt(max(A, B)). The caller applies
    W <- W - lr * (update + decay * W). `dtype` is the format of the iteration.
    """
    momentum_AB = torch.add(grad_AB, momentum_AB, alpha=mu)
    ahead_AB = torch.add(grad_AB, momentum_AB, alpha=mu) if nesterov else momentum_AB
    orthogonal_AB = kernels.newton_schulz(ahead_AB, steps=steps, coefficients=coefficients, dtype=dtype)
    return orthogonal_AB.mul_(update_scale(*grad_AB.shape[-2:], rms)), momentum_AB


class Muon(Optimizer):
    """Muon for matrices and AdamW for the rest, in one optimizer with one state_dict.

    `params` is a list of parameters or of groups; a group may say `algorithm="adamw"` (default "muon"). Under Muon the last
    two axes of a parameter are the matrix, so a slab of experts [E, A, B] is E matrices. Weight decay is decoupled and uses
    the plain learning rate in both. `ns_dtype` is the format of the orthogonalisation (None: fp16 on GPUs from sm_80,
    bf16 on CPUs that are fast at it, else that of the parameter). Raises ValueError for a parameter with fewer than two axes
    under Muon.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 2e-4,
        *,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        coefficients: str = "muon",
        update_rms: float = 0.2,
        ns_dtype: torch.dtype | None = None,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
    ) -> None:
        self.ns_dtype = ns_dtype
        defaults: dict[str, Any] = dict(
            algorithm="muon", lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov, ns_steps=ns_steps,
            coefficients=coefficients, update_rms=update_rms, betas=betas, eps=eps,
        )  # fmt: skip
        super().__init__(params, defaults)

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take along: torch's own list would leave out `ns_dtype`."""
        return super().__getstate__() | {"ns_dtype": self.ns_dtype}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            check_options(group)
            for p in group["params"]:
                if group["algorithm"] == "muon" and p.ndim < 2:
                    shape = list(p.shape)
                    raise ValueError(f"Muon needs matrices; a parameter of shape {shape} belongs in an algorithm='adamw' group")
        except ValueError:
            self.param_groups.pop()
            raise

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One update of every parameter that has a gradient. Returns the closure's loss, if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            run = self._muon_step if group["algorithm"] == "muon" else self._adamw_step
            run(group, [p for p in group["params"] if p.grad is not None])
        return loss

    def _muon_step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        # Matrices of one shape go through Newton-Schulz together; a slab is a batch already, copying it would only cost.
        alike = defaultdict(list)
        for p in params:
            alike[p.shape[-2:], p.dtype, p.device, id(p) if p.ndim > 2 else None].append(p)
        for (shape, dtype, device, _), same in alike.items():
            grads = _batch([p.grad for p in same], shape)
            momenta = _batch([self._momentum(p) for p in same], shape)
            updates, momenta = muon_update(
                grads, momenta, mu=group["momentum"], nesterov=group["nesterov"], steps=group["ns_steps"],
                coefficients=group["coefficients"], rms=group["update_rms"], dtype=self._iteration_dtype(dtype, device),
            )  # fmt: skip
            sizes = [math.prod(p.shape[:-2]) for p in same]
            for p, update, momentum in zip(same, updates.split(sizes), momenta.split(sizes), strict=True):
                self.state[p]["momentum"].copy_(momentum.view(p.shape))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view(p.shape), alpha=-group["lr"])

    def _momentum(self, p: Tensor) -> Tensor:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        return state["momentum"]

    def _iteration_dtype(self, dtype: torch.dtype, device: torch.device) -> torch.dtype:
        if self.ns_dtype is not None:
            return self.ns_dtype
        if dtype == torch.float64 or not has_fast_bf16(device):
            return dtype
        # Iterates stay near 1, well inside fp16; tensor cores take both formats at one speed, and fp16 is 8 times finer.
        return torch.float16 if device.type == "cuda" else torch.bfloat16

    def _adamw_step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        for p in params:
            if not self.state[p]:
                self.state[p].update(
                    exp_avg=torch.zeros_like(p),
                    exp_avg_sq=torch.zeros_like(p),
                    step=torch.zeros((), dtype=torch.float32, device=p.device),
                )
        states = [self.state[p] for p in params]
        beta1, beta2 = group["betas"]
        adamw(
            params, [p.grad for p in params], [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states], [],
            [s["step"] for s in states], fused=True, amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"],
            weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
        )  # fmt: skip


def _batch(tensors: list[Tensor], shape: torch.Size) -> Tensor:
    """Matrices of one shape, [n, A, B]; a view where there is only one tensor."""
    views = [x.reshape(-1, *shape) for x in tensors]
    return views[0] if len(views) == 1 else torch.cat(views)


def check_options(options: dict[str, Any]) -> None:
    """Raise ValueError for settings of a group that Muon or AdamW cannot run with."""
    require(options["algorithm"] in ("muon", "adamw"), "algorithm", options["algorithm"], "'muon' or 'adamw'")
    kernels.step_coefficients(options["coefficients"], options["ns_steps"])
    for name in ("lr", "weight_decay", "momentum", "update_rms", "eps"):
        require(is_number(options[name]) and options[name] >= 0, name, options[name], "a number >= 0")
    betas = options["betas"]
    require(all(is_number(beta) and 0 <= beta < 1 for beta in betas), "betas", betas, "two numbers in [0, 1)")
