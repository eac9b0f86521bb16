"""Source text that is run without a file: Python remembers it, so that what reads sources (Triton, tracebacks) finds it."""

from __future__ import annotations

import linecache


def remember(source: str, name: str) -> str:
    """Let `name`, as the file name of compiled code, lead to `source`; returns the name."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return name
