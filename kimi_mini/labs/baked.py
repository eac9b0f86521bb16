"""What a notebook knows of its checks, as one line of text: cases, right outcomes, and fingerprints of known wrong ones."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

import torch
from torch import Tensor

from .cases import RELATIVE
from .codec import decode, encode

SUMS = 4  # numbers that stand for all floats of a value in a fingerprint


def pack(checks: dict[str, Any]) -> str:
    """JSON as short text: a tensor that occurs again is stored once, one that float16 holds exactly in half the bytes."""
    places: dict[str, int] = {}
    shared = _map_tensors(checks, lambda stored: {"at": places.setdefault(json.dumps(_halve(stored)), len(places))})
    content = json.dumps([list(map(json.loads, places)), shared], separators=(",", ":"))
    return base64.b64encode(zlib.compress(content.encode(), 9)).decode()


def unpack(text: str) -> dict[str, Any]:
    """What `pack` was given."""
    tensors, shared = json.loads(zlib.decompress(base64.b64decode(text)))
    return _map_tensors(shared, lambda place: _double(tensors[place["at"]]))


def fingerprint(outcome: dict[str, Any]) -> dict[str, Any]:
    """A few numbers that stand for an outcome: enough to recognise it, too little to copy it."""
    if "error" in outcome:
        return {"error": outcome["error"]}
    values = [decode(outcome["result"]), *(decode(outcome["arguments"]) or [])]
    strayed = {"strayed": True} if "strayed" in outcome else {}
    return {"parts": [_part(value) for value in values], "largest": outcome["largest"]} | strayed


def alike(one: dict[str, Any], other: dict[str, Any], largest: int | None = None) -> bool:
    """Whether two fingerprints are of the same outcome, and on the same side of `largest`."""
    if "error" in one or "error" in other:
        return one.get("error") == other.get("error")
    if ("strayed" in one) != ("strayed" in other):
        return False
    if largest is not None and (one["largest"] > largest) != (other["largest"] > largest):
        return False
    if [shape for shape, _ in one["parts"]] != [shape for shape, _ in other["parts"]]:
        return False
    pairs = ((decode(a), decode(b)) for (_, a), (_, b) in zip(one["parts"], other["parts"], strict=True))
    return all(_close(a, b) for a, b in pairs)


def _close(a: Tensor, b: Tensor) -> bool:
    room = RELATIVE * float(a[a.isfinite()].abs().max()) if a.isfinite().any() else 0.0
    return bool((((a - b).abs() <= room) | (a == b) | (a.isnan() & b.isnan())).all())


def _part(value: Any) -> list[Any]:
    """[what is exact in a value, hashed; sums over its floats]."""
    floats: list[Tensor] = []
    exact = repr(_exact(value, floats))
    flat = torch.cat(floats) if floats else torch.zeros(0, dtype=torch.float64)
    place = torch.arange(1, len(flat) + 1, dtype=torch.float64)
    sums = torch.stack([(flat * torch.cos(1.7 * k * place)).sum() for k in range(SUMS)])
    return [hashlib.sha256(exact.encode()).hexdigest()[:8], encode(sums.float())]


def _exact(value: Any, floats: list[Tensor]) -> Any:
    """Structure, text and integers of a value, and where it is not finite; its other numbers go into `floats`."""
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        value = torch.tensor(value, dtype=torch.float64)
    if isinstance(value, Tensor):
        if not value.is_floating_point():
            return [list(value.shape), value.tolist()]
        flat = value.double().flatten()
        floats.append(torch.where(flat.isfinite(), flat, 0.0))
        return [list(value.shape), flat.isnan().nonzero().flatten().tolist(), flat.isinf().nonzero().flatten().tolist()]
    if hasattr(value, "calls"):
        return _exact(value.calls, floats)
    if isinstance(value, list):
        return [_exact(item, floats) for item in value]
    if isinstance(value, dict):
        return sorted((repr(key), _exact(value[key], floats)) for key in sorted(value, key=repr))
    return value


def _map_tensors(node: Any, change) -> Any:
    if isinstance(node, list):
        return [_map_tensors(item, change) for item in node]
    if isinstance(node, dict):
        if "tensor" in node or "at" in node:
            return change(node)
        return {key: _map_tensors(item, change) for key, item in node.items()}
    return node


def _halve(stored: dict[str, Any]) -> dict[str, Any]:
    tensor = decode(stored)
    if tensor.is_floating_point() and torch.equal(tensor.half().to(tensor.dtype), tensor):
        return stored | {"tensor": base64.b64encode(tensor.half().numpy().tobytes()).decode(), "half": 1}
    return stored


def _double(stored: dict[str, Any]) -> dict[str, Any]:
    if "half" not in stored:
        return stored
    raw = bytearray(base64.b64decode(stored["tensor"]))
    half = torch.frombuffer(raw, dtype=torch.float16) if raw else torch.zeros(0)
    return encode(half.to(getattr(torch, stored["dtype"])).reshape(stored["shape"]))
