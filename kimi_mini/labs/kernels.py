"""Trying a student's Triton kernel: memory with guards around it, a launcher that may not compute, bytes that are counted.

In the interpreter an address is a real one: a kernel that reads or writes far outside ends the whole process. So every access
is looked at first. On a GPU the guards alone tell, as they do in the interpreter, so both come to the same verdict.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..device import pick_device
from ..kernels.launch import interpreting

GUARD = 1 << 14  # numbers on either side of a tensor
_AROUND_OUTPUT = -12345  # a finite number, so that a NaN that is written there shows
_MAKERS = {"empty", "empty_like", "new_empty", "empty_strided"}
_FILLED = {"zeros", "zeros_like", "new_zeros", "full", "full_like", "new_full", "ones", "ones_like", "new_ones"}
_VIEWS = {
    "view", "reshape", "transpose", "permute", "t", "mT", "T", "expand", "unsqueeze", "squeeze", "flatten", "unflatten",
    "__getitem__", "split", "chunk", "unbind", "__iter__", "detach", "alias", "narrow", "select", "movedim", "swapaxes",
}  # fmt: skip
_COPIES = {"contiguous", "clone", "to", "float", "half", "double", "type", "cpu", "cuda", "copy_", "fill_", "zero_", "type_as"}
_QUESTIONS = {
    "__get__", "__set__", "size", "stride", "dim", "ndimension", "numel", "nelement", "__len__", "data_ptr", "storage_offset",
    "untyped_storage", "set_", "is_contiguous", "element_size", "is_floating_point", "get_device", "requires_grad_",
    "set_grad_enabled", "_set_grad_enabled",
}  # fmt: skip
_COLLECT = {"amax", "amin", "max", "min"}  # of what the programs of a kernel wrote apart
_ALLOWED = _MAKERS | _FILLED | _VIEWS | _COPIES | _QUESTIONS | _COLLECT


class Guarded(TorchFunctionMode):
    """Inside, torch may make, view, copy and collect tensors, and not compute; what it makes is guarded, and empty is NaN.

    `hand_over` gives tensors of a case guards of NaN, on the device where kernels run. `verify` raises IndexError where a
    kernel has written into a guard, RuntimeError where torch has computed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._device = torch.device("cpu") if interpreting() else pick_device()
        self._guards: list[tuple[Tensor, Tensor]] = []
        self._known: dict[int, int] = {}  # address of a storage -> where it ends
        self._computed: str | None = None
        self._inside = contextlib.ExitStack()

    def __enter__(self) -> Guarded:
        self._inside.enter_context(np.errstate(all="ignore"))
        self._inside.enter_context(_watching(lambda kind, at, size: self._look(at)))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._inside.close()

    def hand_over(self, value: Any) -> Any:
        """A case's argument with its tensors guarded."""
        if isinstance(value, list):
            return [self.hand_over(item) for item in value]
        return self._guard(value.to(self._device), float("nan")) if isinstance(value, Tensor) else value

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name, result = getattr(func, "__name__", str(func)), func(*args, **(kwargs or {}))
        if name not in _ALLOWED:
            self._computed = self._computed or name.strip("_")
        if name in _MAKERS and result.is_floating_point():
            result = result.fill_(float("nan"))
        if name in _MAKERS | _FILLED:
            return self._guard(result, _AROUND_OUTPUT)
        if isinstance(result, Tensor):
            self._know(result)
        return result

    def verify(self) -> None:
        """Raise what `with` has found."""
        for now, before in self._guards:
            if not torch.equal(now.view(torch.uint8), before.view(torch.uint8)):
                raise IndexError("a kernel wrote outside its tensors")
        if self._computed:
            raise RuntimeError(f"the launcher called torch's {self._computed}: it makes tensors, and the kernel computes")

    def _guard(self, tensor: Tensor, around: float) -> Tensor:
        """The tensor in memory of its own, with a guard before and behind it."""
        if tensor.numel() == 0:
            return tensor
        around = around if tensor.is_floating_point() else 0 if tensor.dtype == torch.bool else _AROUND_OUTPUT
        flat = torch.full((tensor.numel() + 2 * GUARD,), around, dtype=tensor.dtype, device=tensor.device)
        inner = flat.as_strided(tensor.size(), tensor.contiguous().stride(), GUARD)
        inner.copy_(tensor)
        self._guards += [(part, part.clone()) for part in (flat[:GUARD], flat[-GUARD:])]
        self._know(flat)
        return inner

    def _know(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self._known[storage.data_ptr()] = storage.data_ptr() + storage.nbytes()

    def _look(self, at: np.ndarray) -> None:
        for low, high in self._known.items():
            at = at[(at < low) | (at >= high)]
        if at.size:
            raise IndexError("a kernel reached far outside its tensors")


@dataclass
class Traffic:
    """Bytes that kernels read and wrote; what a mask hides does not count, what is read twice counts twice."""

    read: int = 0
    written: int = 0


@contextlib.contextmanager
def count_traffic() -> Iterator[Traffic]:
    """Count what kernels move inside the block. Raises RuntimeError where they run compiled: a GPU does not tell."""
    if not interpreting():
        raise RuntimeError("kernels run compiled here; only the interpreter (TRITON_INTERPRET=1) can count what they move")
    traffic = Traffic()

    def count(kind: str, at: np.ndarray, size: int) -> None:
        setattr(traffic, kind, getattr(traffic, kind) + at.size * size)

    with _watching(count):
        yield traffic


@contextlib.contextmanager
def _watching(look: Callable[[str, np.ndarray, int], None]) -> Iterator[None]:
    """Call look("read" or "written", addresses, bytes each) before every access of a kernel; nothing where compiled."""
    if not interpreting():
        yield
        return
    from triton.runtime.interpreter import interpreter_builder as builder  # here: triton is optional

    load, store = builder.create_masked_load, builder.create_masked_store

    def seen(kind: str, pointers: Any, mask: Any) -> None:
        chosen = np.broadcast_to(mask.data, pointers.data.shape)
        look(kind, pointers.data[chosen], pointers.get_element_ty().primitive_bitwidth // 8)

    def watched_load(pointers: Any, mask: Any, *more: Any, **named: Any) -> Any:
        seen("read", pointers, mask)
        return load(pointers, mask, *more, **named)

    def watched_store(pointers: Any, value: Any, mask: Any, *more: Any, **named: Any) -> Any:
        seen("written", pointers, mask)
        return store(pointers, value, mask, *more, **named)

    builder.create_masked_load, builder.create_masked_store = watched_load, watched_store
    try:
        yield
    finally:
        builder.create_masked_load, builder.create_masked_store = load, store
