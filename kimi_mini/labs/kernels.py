"""Trying a student's Triton kernel: memory with guards around it, a launcher that may not compute, bytes that are counted.

In the interpreter an address is a real one: a kernel that reads or writes far outside ends the whole process. So every access
is looked at first, and a check sees more: loads outside, and numbers that no kernel wrote. On a GPU the
guards alone tell, so an answer that passes there can still fail in the interpreter, which is where answers are marked.
"""

from __future__ import annotations

import contextlib
import functools
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
_WATCHED = ("create_masked_load", "create_masked_store", "create_atomic_rmw")
_ALLOWED = _MAKERS | _FILLED | _VIEWS | _COPIES | _QUESTIONS | _COLLECT


class Guarded(TorchFunctionMode):
    """Inside, torch may make, view, copy and collect tensors, and not compute; what it makes is guarded, and empty is NaN.

    `hand_over` gives tensors of a case guards of NaN, on the device where kernels run. `verify` raises IndexError where a
    kernel has written into a guard or an argument was changed, RuntimeError where torch has computed or, in the interpreter,
    no kernel wrote the result. There, `strayed` says whether a kernel read outside its tensors, and what a mask hides is NaN
    unless the load says `other`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._device = torch.device("cpu") if interpreting() else pick_device()
        self._guards: list[tuple[Tensor, Tensor]] = []
        self._arguments: list[tuple[Tensor, Tensor]] = []
        self._known: dict[int, int] = {}  # address of a storage -> where it ends
        self._proper: dict[int, int] = {}  # of the numbers between guards -> where they end
        self._written: list[np.ndarray] = []  # addresses of what comes from kernels
        self.strayed = False
        self._computed: str | None = None
        self._inside = contextlib.ExitStack()

    def __enter__(self) -> Guarded:
        self._inside.enter_context(np.errstate(all="ignore"))
        self._inside.enter_context(_watching(self._look, hidden="nan"))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._inside.close()

    def hand_over(self, value: Any) -> Any:
        """A case's argument with its tensors guarded."""
        if isinstance(value, list):
            return [self.hand_over(item) for item in value]
        if not isinstance(value, Tensor):
            return value
        inner = self._guard(value.to(self._device), float("nan"))
        self._arguments.append((inner, inner.clone()))
        return inner

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
        if interpreting() and any(isinstance(arg, Tensor) and self._from_kernels(arg) for arg in args):
            made = result if isinstance(result, tuple) else (result,)
            self._written += [_addresses(each) for each in made if isinstance(each, Tensor)]
        return result

    def verify(self, result: Any) -> None:
        """Raise what `with` has found."""
        if any(map(_changed, self._guards)):
            raise IndexError("a kernel wrote outside its tensors")
        if self._computed:
            raise RuntimeError(f"the launcher called torch's {self._computed}: it makes tensors, and the kernel computes")
        if any(map(_changed, self._arguments)):
            raise IndexError("an argument was changed: the result needs memory of its own")
        numbers = [each for each in _leaves(result) if isinstance(each, (Tensor, int, float))]
        if interpreting() and not all(isinstance(each, Tensor) and self._from_kernels(each) for each in numbers):
            raise RuntimeError("no kernel wrote this result")

    def _from_kernels(self, tensor: Tensor) -> bool:
        """Whether at least one of the tensor's numbers comes from a kernel."""
        return not tensor.numel() or any(np.isin(_addresses(tensor), each).any() for each in self._written)

    def _guard(self, tensor: Tensor, around: float) -> Tensor:
        """The tensor in memory of its own, with a guard before and behind it."""
        if tensor.numel() == 0:
            return tensor
        around = around if tensor.is_floating_point() else 0 if tensor.dtype == torch.bool else _AROUND_OUTPUT
        flat = torch.full((tensor.numel() + 2 * GUARD,), around, dtype=tensor.dtype, device=tensor.device)
        inner = flat.as_strided(tensor.size(), tensor.contiguous().stride(), GUARD)
        inner.copy_(tensor)
        self._guards += [(part, part.clone()) for part in (flat[:GUARD], flat[-GUARD:])]
        self._known[flat.data_ptr()] = flat.data_ptr() + flat.untyped_storage().nbytes()
        self._proper[inner.data_ptr()] = inner.data_ptr() + inner.numel() * inner.element_size()
        return inner

    def _know(self, tensor: Tensor) -> None:
        """Remember a storage that a kernel may be given; what is not guarded is proper as a whole."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known[storage.data_ptr()] = self._proper[storage.data_ptr()] = storage.data_ptr() + storage.nbytes()

    def _look(self, kind: str, at: np.ndarray, size: int) -> None:
        if kind == "written":
            self._written.append(at)
        at = _outside(at, self._proper)
        if _outside(at, self._known).size:
            raise IndexError("a kernel reached far outside its tensors")
        self.strayed |= kind == "read" and at.size > 0


def _outside(at: np.ndarray, ranges: dict[int, int]) -> np.ndarray:
    for low, high in ranges.items():
        at = at[(at < low) | (at >= high)]
    return at


def _changed(pair: tuple[Tensor, Tensor]) -> bool:
    now, before = (each.contiguous().flatten().view(torch.uint8) for each in pair)
    return not torch.equal(now, before)


def _addresses(tensor: Tensor) -> np.ndarray:
    steps = (np.arange(n) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    places = functools.reduce(np.add.outer, steps, np.zeros((), dtype=np.int64))
    return (tensor.data_ptr() + places * tensor.element_size()).reshape(-1)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


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
def _watching(look: Callable[[str, np.ndarray, int], None], hidden: float | str = 0.0) -> Iterator[None]:
    """Call look("read" or "written", addresses, bytes each) before every access of a kernel; nothing where compiled.

    What a mask hides is `hidden` where a load of floats does not say `other`.
    """
    if not interpreting():
        yield
        return
    from triton.runtime.interpreter import interpreter_builder as builder  # here: triton is optional

    load, store, atomic = (getattr(builder, name) for name in _WATCHED)

    def seen(kind: str, pointers: Any, mask: Any) -> None:
        chosen = np.broadcast_to(mask.data, pointers.data.shape)
        look(kind, pointers.data[chosen], pointers.get_element_ty().primitive_bitwidth // 8)

    def watched_load(pointers: Any, mask: Any, other: Any, *more: Any) -> Any:
        seen("read", pointers, mask)
        loaded = load(pointers, mask, other, *more)
        if other is None and loaded.data.dtype.kind == "f":
            loaded.data = np.where(mask.data, loaded.data, loaded.data.dtype.type(hidden))
        return loaded

    def watched_store(pointers: Any, value: Any, mask: Any, *more: Any) -> Any:
        seen("written", pointers, mask)
        return store(pointers, value, mask, *more)

    def watched_atomic(operation: Any, pointers: Any, value: Any, mask: Any, *more: Any) -> Any:
        seen("read", pointers, mask)
        seen("written", pointers, mask)
        return atomic(operation, pointers, value, mask, *more)

    watched = (watched_load, watched_store, watched_atomic)
    for name, function in zip(_WATCHED, watched, strict=True):
        setattr(builder, name, function)
    try:
        yield
    finally:
        for name, function in zip(_WATCHED, (load, store, atomic), strict=True):
            setattr(builder, name, function)
