"""What a notebook knows of its checks, as one line of text: cases, right outcomes, and fingerprints of known wrong ones."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import torch
from torch import Tensor

from .cases import difference
from .codec import decode, encode

PROJECTIONS = 6  # numbers that stand for a tensor in a fingerprint


def pack(checks: dict[str, Any]) -> str:
    """JSON as short text; a tensor that occurs again is stored once."""
    texts: dict[str, int] = {}
    shared = _map_tensors(checks, lambda text: texts.setdefault(text, len(texts)))
    content = json.dumps([list(texts), shared], separators=(",", ":"))
    return base64.b64encode(zlib.compress(content.encode(), 9)).decode()


def unpack(text: str) -> dict[str, Any]:
    """What `pack` was given."""
    texts, shared = json.loads(zlib.decompress(base64.b64decode(text)))
    return _map_tensors(shared, lambda index: texts[index])


def fingerprint(outcome: dict[str, Any]) -> dict[str, Any]:
    """An outcome in which a few numbers stand for each tensor: enough to recognise it, too little to copy it."""
    if "error" in outcome:
        return {"error": outcome["error"]}
    arguments = outcome["arguments"]
    return {
        "result": encode(_fingerprint(decode(outcome["result"]))),
        "arguments": None if arguments is None else encode(_fingerprint(decode(arguments))),
        "largest": outcome["largest"],
    }


def alike(one: dict[str, Any], other: dict[str, Any], largest: int | None = None) -> bool:
    """Whether two fingerprints are of the same outcome, and on the same side of `largest`."""
    if "error" in one or "error" in other:
        return one.get("error") == other.get("error")
    if largest is not None and (one["largest"] > largest) != (other["largest"] > largest):
        return False
    return difference(one, other) is None


def _map_tensors(node: Any, change) -> Any:
    if isinstance(node, list):
        return [_map_tensors(item, change) for item in node]
    if isinstance(node, dict):
        return {key: change(item) if key == "tensor" else _map_tensors(item, change) for key, item in node.items()}
    return node


def _fingerprint(value: Any) -> Any:
    if isinstance(value, Tensor):
        flat = value.double().flatten()
        finite = torch.where(flat.isfinite(), flat, 0.0)
        place = torch.arange(1, len(flat) + 1, dtype=torch.float64)
        sums = [(finite * torch.cos(1.7 * k * place)).sum().float() for k in range(PROJECTIONS)]
        return [list(value.shape), int(flat.isnan().sum()), int(flat.isinf().sum()), torch.stack(sums)]
    if isinstance(value, list):
        return [_fingerprint(item) for item in value]
    if isinstance(value, dict):
        return {key: _fingerprint(item) for key, item in value.items()}
    return value
