"""Values that cross from one process to another, or into a notebook, as JSON: numbers, text, lists, dicts, tensors, configs,
and programs.

Nothing is unpickled, and no program runs before it is called, so a hand-in may write whatever it likes: what does not fit
is a ValueError.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import require
from ..config import ModelConfig
from .program import Program
from .script import ScriptedRun

_DTYPES = {name: getattr(torch, name) for name in ("float16", "float32", "float64", "int64", "bool")}
MAX_ELEMENTS = 1 << 20  # of one tensor; a lab's cases are small


def encode(value: Any) -> Any:
    """`value` as something JSON can hold. Raises ValueError for a kind that no exercise uses, and for a tensor too large."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else {"int": str(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Tensor):
        return _encode_tensor(value)
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, ModelConfig):
        return {"config": value.to_hf()}
    if isinstance(value, ScriptedRun):
        return {"script": encode(value.maxima_SLH), "done": value.done, "calls": encode(value.calls)}
    if isinstance(value, Program):
        return {"program": value.source}
    if isinstance(value, (list, tuple)):
        return {"list": [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, (set, frozenset)):
        return {"list": [encode(item) for item in sorted(value, key=repr)]}
    raise ValueError(f"a {type(value).__name__} cannot be handed over; expected numbers, text, lists, dicts or tensors")


def decode(stored: Any) -> Any:
    """What `encode` was given; tuples and sets come back as lists. Raises ValueError for anything `encode` never writes."""
    if stored is None or isinstance(stored, (bool, str, int, float)):
        return stored
    require(isinstance(stored, dict) and bool(stored), "stored value", stored, "something that encode() wrote")
    kind = next(iter(stored))
    content = stored[kind]
    try:
        if kind == "int":
            return int(content)
        if kind == "float":
            return float(content)
        if kind == "tensor":
            return _decode_tensor(content, stored["shape"], stored["dtype"])
        if kind == "config":
            return ModelConfig.from_hf(content)
        if kind == "script":
            return ScriptedRun(decode(content), stored["done"], decode(stored["calls"]))
        if kind == "program":
            require(isinstance(content, str), "source", type(content).__name__, "text")
            return Program(content)
        if kind == "list":
            return [decode(item) for item in content]
        if kind == "dict":
            return {decode(key): decode(item) for key, item in content}
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError, RuntimeError) as error:  # RecursionError is one
        raise ValueError(f"a stored {kind} does not decode: {error}") from None
    raise ValueError(f"a stored {kind!r} is unknown; expected what encode() writes")


def _encode_tensor(tensor: Tensor) -> dict[str, Any]:
    require(tensor.numel() <= MAX_ELEMENTS, "elements of a tensor", tensor.numel(), f"at most {MAX_ELEMENTS:,}")
    tensor = tensor.detach().cpu()
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _DTYPES:
        tensor = tensor.to(torch.float64 if tensor.is_floating_point() else torch.int64)
        name = str(tensor.dtype).removeprefix("torch.")
    data = base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()
    return {"tensor": data, "shape": list(tensor.shape), "dtype": name}


def _decode_tensor(data: str, shape: list[int], dtype: str) -> Tensor:
    require(dtype in _DTYPES, "dtype", dtype, f"one of {', '.join(_DTYPES)}")
    require(math.prod(shape) <= MAX_ELEMENTS, "shape", shape, f"at most {MAX_ELEMENTS:,} elements")
    raw = bytearray(base64.b64decode(data, validate=True))
    if not raw:
        return torch.zeros(shape, dtype=_DTYPES[dtype])
    return torch.frombuffer(raw, dtype=_DTYPES[dtype]).reshape(shape)
