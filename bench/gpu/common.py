"""What all rows for a GPU share: formats, poisoned memory, peers that may be absent, and the check against float64.

On a CPU the same rows run at toy size: number format fp32, peers without a compiler. That tests the path, not the speed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal
from unittest.mock import patch

import torch
from torch import Tensor

from ..harness import Case, Errors, relative_error, release_memory

OURS = "ours"
Results = dict[str, Tensor]  # quantity -> value
Way = Callable[[], Results]  # one contender: runs, and returns what can be compared
Metric = Callable[[Tensor, Tensor], float]


FORMATS = {"cuda": torch.bfloat16, "cpu": torch.float32}  # fp32: the interpreter's bf16 products are wrong


def fast_format(device: torch.device) -> torch.dtype:
    """What a row's tensors are in."""
    return FORMATS[device.type]


def compiled(run: Callable, device: torch.device) -> Callable:
    """torch.compile on a GPU; on a CPU the function as it is."""
    if device.type != "cuda":
        return run
    torch._dynamo.reset()  # of earlier rows nothing is needed, and past eight shapes of one function it would give up
    torch._functorch.config.donated_buffer = False  # a backward pass alone is timed by running it again on one graph
    return torch.compile(run, dynamic=False)


def optional(peers: dict[str, tuple[str, Callable[[], Way]]]) -> tuple[dict[str, Way], dict[str, str]]:
    """Peers that need a package, {name: (its top module, maker)}: the ways of those that are there, and why not the others."""
    here = {name: make for name, (module, make) in peers.items() if importlib.util.find_spec(module)}
    ways, missing = {}, {name: "not installed" for name in peers if name not in here}
    for name, make in here.items():
        try:
            ways[name] = make()
        except Exception as error:  # an import that fails for want of something else
            missing[name] = _reason(error)
    return ways, missing


@contextmanager
def poisoned() -> Iterator[None]:
    """Fresh memory is NaN inside, so that an output nobody wrote does not hold the right answer of an earlier call."""

    def poison(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def made(*args, **kwargs) -> Tensor:
            out = make(*args, **kwargs)
            if out.is_floating_point() and out.element_size() > 1:
                with torch.no_grad():
                    out.fill_(float("nan"))
            return out

        return made

    with (
        patch.object(torch, "empty", poison(torch.empty)),
        patch.object(torch, "empty_like", poison(torch.empty_like)),
        patch.object(torch.Tensor, "new_empty", poison(torch.Tensor.new_empty)),
    ):
        yield


def captured(run: Callable[[], object], device: torch.device) -> float:
    """0 if a CUDA graph can record the call (nothing in it waits for the GPU), else 1; 0 on a CPU."""
    if device.type != "cuda":
        return 0.0
    run()
    torch.cuda.synchronize()
    try:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            run()
    except RuntimeError:
        torch.cuda.synchronize()
        return 1.0
    return 0.0


@dataclass(frozen=True)
class Trial:
    """How every contender of a row is run: on the same inputs, forward, backward alone, or both.

    `outputs` and `gradients` name what comes out (an output that is None stays out); `grads` are the incoming gradients of the
    first outputs. "backward" makes the graph at the first call and then goes back over it again and again.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[str]
    gradients: Sequence[str] = ()
    grads: Sequence[Tensor] = ()
    mode: Literal["forward", "backward", "both"] = "forward"

    def way(self, op: Callable) -> Way:
        graph: list[tuple[list[Tensor], list[Tensor]]] = []

        def forward() -> Results:
            with torch.no_grad():
                return self._named(op(*self.inputs))

        def backward() -> Results:
            if not graph or self.mode == "both":
                leaves = [x.detach().requires_grad_() for x in self.inputs]
                graph[:] = [(_several(op(*leaves)), leaves)]
            outs, leaves = graph[0]
            found = torch.autograd.grad(outs[: len(self.grads)], leaves, self.grads, retain_graph=self.mode == "backward")
            named = dict(zip(self.gradients, found, strict=True))
            return named if self.mode == "backward" else named | self._named([out.detach() for out in outs])

        return forward if self.mode == "forward" else backward

    def exactly(self, op: Callable) -> Callable[[], Results]:
        """The same in float64."""
        return lambda: replace(self, inputs=[x.double() for x in self.inputs], grads=[x.double() for x in self.grads]).way(op)()

    def _named(self, outs: Tensor | Sequence[Tensor | None]) -> Results:
        return {name: out for name, out in zip(self.outputs, _several(outs), strict=False) if out is not None}


def _several(outs: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [outs] if isinstance(outs, Tensor) else list(outs)


def make_case(
    ways: dict[str, Way],
    exact: Callable[[], Results],
    *,
    metrics: dict[str, Metric] | None = None,
    also: Callable[[], dict[str, float]] = dict,
    missing: dict[str, str] | None = None,
    notes: dict[str, float] | None = None,
    timed: dict[str, Callable[[], object]] | None = None,
) -> Case:
    """Contenders and how they are checked: every quantity that `exact` knows too, by its metric (default: relative error).

    `also` gives further errors of ours. Ours (the first) runs in poisoned memory, and its failing is the row's. A peer that
    fails is moved to the missing ones, with the reason. `timed` are the contenders where checking does more than what is timed.
    """
    contenders, missing = dict(timed or ways), dict(missing or {})

    def check() -> Errors:
        truth, errors = exact(), {}
        for name, way in [(name, way) for name, way in ways.items() if name in contenders]:
            try:
                errors[name] = _errors(_poisoned_results(way) if not errors else way(), truth, metrics or {})
            except Exception as error:
                if not errors:
                    raise
                missing[name] = _reason(error)
                del contenders[name]
                release_memory()
        errors[next(iter(ways))] |= also()
        return errors

    return Case(contenders, check, notes or {}, missing)


def extra_gigabytes(way: Way, device: torch.device) -> float:
    """What a call takes at its peak beyond what it began with and what it returns, in GB; 0 on a CPU."""
    if device.type != "cuda":
        return 0.0
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    returned = sum(value.nbytes for value in way().values())
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before - returned) / 1e9


def _poisoned_results(way: Way) -> Results:
    with poisoned():
        return way()


def _errors(got: Results, truth: Results, metrics: dict[str, Metric]) -> dict[str, float]:
    return {name: metrics.get(name, relative_error)(value, truth[name]) for name, value in got.items() if name in truth}


def _reason(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"failed: {type(error).__name__}: {first[:100]}"
