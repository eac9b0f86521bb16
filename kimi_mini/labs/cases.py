"""Try a function on a case, and compare what came out with what should: the same for a notebook's check and for grading."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .codec import decode, encode
from .kernels import Guarded

RELATIVE = 1e-4  # of the largest number in the expected value: room for float32, none for a wrong formula
_LIBRARIES = map(importlib.util.find_spec, ("torch", "triton", "numpy"))
_NOT_THE_STUDENTS = (os.path.dirname(__file__), *(os.path.dirname(spec.origin) for spec in _LIBRARIES if spec))


@dataclass(frozen=True)
class Case:
    """Arguments for one call.

    `in_place` compares the arguments afterwards too: the tensors that were handed over, not what the call may have put in
    their place in a list or dict. `largest` is the most elements that any tensor made on the way may have, where a right
    answer by a needlessly large road should not pass. With `enough`, every argument is a list of arguments for a call of
    its own; the answers are verdicts, and right if everything to be accepted (True) is, and `enough` of the others are not.
    With `kernel`, Triton kernels must compute the answer: torch may only make, view and copy tensors. In the interpreter
    an outcome says so where they read outside their tensors ("strayed"), and is not right.
    """

    name: str
    args: tuple
    in_place: bool = False
    largest: int | None = None
    enough: int | None = None
    kernel: bool = False


class _Largest(TorchDispatchMode):
    """Remembers the most elements of any tensor that an operation returned, views of the arguments included."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for item in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(item, Tensor):
                self.elements = max(self.elements, item.numel())
        return result


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def store(case: Case) -> dict[str, Any]:
    """A case as JSON."""
    stored = {"name": case.name, "args": encode(list(case.args)), "in_place": case.in_place, "largest": case.largest}
    more = {"enough": case.enough} if case.enough is not None else {"kernel": True} if case.kernel else {}
    return stored | more


def attempt(function: Callable, stored: dict[str, Any]) -> dict[str, Any]:
    """Call `function` on a stored case. Returns {"result", "arguments", "largest"}, or {"error", "line"}; never raises.

    What the function prints is dropped. The random state is fixed and put back, and the arguments are fresh copies.
    """
    args = decode(stored["args"])
    given = _containers_copied(args)
    dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(_Nowhere()), torch.no_grad():
        torch.manual_seed(0)
        try:
            spy = None if stored["largest"] is None else _Largest()  # its first use imports a compiler, a second or two
            guarded = Guarded() if "kernel" in stored else None
            args = guarded.hand_over(args) if guarded else args
            with spy or contextlib.nullcontext(), guarded or contextlib.nullcontext():
                result = [function(*each) for each in args] if "enough" in stored else function(*args)
            if guarded:
                guarded.verify(result)
            arguments = encode(given) if stored["in_place"] else None
            outcome = {"result": encode(result), "arguments": arguments, "largest": spy and spy.elements}
            outcome |= {"strayed": True} if guarded and guarded.strayed else {}
            return outcome | {key: stored[key] for key in ("enough",) if key in stored}
        except (Exception, SystemExit) as error:
            if type(error).__name__ == "InterpreterError":  # Triton's, around what happened in the kernel
                error = error.__cause__ or error
            frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_NOT_THE_STUDENTS)]
            return {"error": f"{type(error).__name__}: {error}"[:500], "line": frames[-1].line if frames else None}
        finally:
            torch.set_default_dtype(dtype)


def _containers_copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_containers_copied(item) for item in value]
    return {key: _containers_copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def unsolved(outcome: dict[str, Any]) -> bool:
    """Whether the function still is the stub."""
    return outcome.get("error", "").startswith("NotImplementedError")


def difference(expected: dict[str, Any], got: dict[str, Any], largest: int | None = None) -> str | None:
    """What is wrong with an outcome, in words for a student; None if it is right. Raises ValueError if it does not decode."""
    if "error" in expected:
        raise ValueError(f"the expected outcome is an error: {expected['error']}")
    if "error" in got:
        where = f", at: {got['line']}" if got.get("line") else ""
        return f"it stopped with {got['error']}{where}"
    if "enough" in expected:
        return _verdicts_differ(decode(expected["result"]), decode(got["result"]), expected["enough"])
    wrong = _differ(decode(expected["result"]), decode(got["result"]), "the result")
    if wrong is None and expected["arguments"] is not None:
        before, after = decode(expected["arguments"]), decode(got["arguments"])
        wrong = _differ(before, after, "an argument after the call")
    if wrong is None and largest is not None and got["largest"] > largest:
        wrong = f"right, but on the way a tensor of {got['largest']:,} numbers was built; {largest:,} are enough"
    if wrong is None and "strayed" in got:
        wrong = "right, but a kernel read outside its tensors: its loads need a mask"
    return wrong


def _verdicts_differ(expected: list[bool], got: Any, enough: int) -> str | None:
    if not isinstance(got, list) or len(got) != len(expected) or not all(isinstance(each, bool) for each in got):
        return f"the answers should be {len(expected)} times True or False; they are {_short(got)}"
    pairs = list(zip(expected, got, strict=True))
    right, refused = expected.count(True), pairs.count((True, False))
    wrong, caught = expected.count(False), pairs.count((False, False))
    if not refused and caught >= enough:
        return None
    return f"{refused} of {right} right versions are refused, and {caught} of {wrong} wrong ones caught; {enough} are enough"


def _differ(expected: Any, got: Any, where: str) -> str | None:
    if isinstance(expected, Tensor):
        return _tensors_differ(expected, got, where)
    if isinstance(expected, dict):
        if not isinstance(got, dict) or set(expected) != set(got):
            keys = sorted(map(str, expected))
            return f"{where} should be a dict with the keys {', '.join(keys)}; it is {_short(got)}"
        return next(filter(None, (_differ(expected[k], got[k], f"{where}[{k!r}]") for k in expected)), None)
    if isinstance(expected, list):
        if not isinstance(got, list):
            return f"{where} should hold {len(expected)} values; it is {_short(got)}"
        pairs = enumerate(zip(expected, got, strict=False))
        first = next(filter(None, (_differ(e, g, f"{where}[{i}]") for i, (e, g) in pairs)), None)
        if len(expected) == len(got):
            return first
        return f"{where} should hold {len(expected)} values; it holds {len(got)}" + (f", and {first}" if first else "")
    if isinstance(got, Tensor) and got.numel() == 1:
        got = got.item()
    if isinstance(expected, float) and isinstance(got, (int, float)):
        close = math.isclose(expected, got, rel_tol=RELATIVE, abs_tol=1e-9) or (expected != expected and got != got)
        return None if close else f"{where} should be {expected:.6g}; it is {got:.6g}"
    if hasattr(expected, "calls"):
        got_calls = got.calls if hasattr(got, "calls") else got
        return _differ(expected.calls, got_calls, "the calls that were made")
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or isinstance(expected, str):
        same = type(expected) is type(got) and expected == got
    else:
        same = isinstance(got, (int, float)) and expected == got
    return None if same else f"{where} should be {_short(expected)}; it is {_short(got)}"


def _tensors_differ(expected: Tensor, got: Any, where: str) -> str | None:
    if isinstance(got, (list, int, float)) and not isinstance(got, bool):
        with contextlib.suppress(TypeError, ValueError):
            got = torch.tensor(got, dtype=expected.dtype)
    if not isinstance(got, Tensor):
        return f"{where} should be a tensor of shape {list(expected.shape)}; it is {_short(got)}"
    if got.shape != expected.shape:
        return f"{where} should have shape {list(expected.shape)}; it has {list(got.shape)}"
    if expected.numel() == 0:
        return None
    expected, got = expected.double(), got.double()
    if not got.isfinite().all() and expected.isfinite().all():
        return f"{where} holds {int((~got.isfinite()).sum())} numbers that are NaN or infinite"
    finite = expected[expected.isfinite()]
    room = RELATIVE * float(finite.abs().max()) if len(finite) else 0.0
    off = ~((expected - got).abs() <= room) & (expected != got)
    if not off.any():
        return None
    at = tuple(off.nonzero()[0].tolist())
    count = f"{int(off.sum())} of {off.numel()} numbers are off; " if off.numel() > 1 else ""
    place = f"[{', '.join(map(str, at))}]" if at else ""
    return f"{where}: {count}{place} should be {expected[at].item():.5g}, it is {got[at].item():.5g}"


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
