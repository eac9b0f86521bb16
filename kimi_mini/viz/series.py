"""Recorded series in JSON: float16 in base64. Runs write them, pages read them (41-series.js), both to about half a percent."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np


def pack(series: Any) -> str:
    """Numbers as text. What may outgrow float16, such as logits, goes through asinh first (a logarithm that takes any sign)."""
    return base64.b64encode(np.asarray(series, dtype="<f2").tobytes()).decode()


def unpack(text: str, shape: Sequence[int]) -> np.ndarray:
    """What `pack` was given, as float32 in `shape`."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32).reshape(shape)
