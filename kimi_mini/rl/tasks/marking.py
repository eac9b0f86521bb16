"""What every verifier does first and last: refuse what no reader would read, and make a score of named parts."""

from __future__ import annotations

from collections.abc import Mapping

from ..types import Score

LONGEST = 20_000  # characters; no problem here needs a tenth of it


def readable(text: object) -> bool:
    """Whether `text` is text, not endless, and free of NUL bytes and lone surrogates."""
    if not isinstance(text, str) or len(text) > LONGEST or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def marked(parts: Mapping[str, bool | float]) -> Score:
    """1 where every part holds in full, else 0; a part may be held in part (0.5), which shows and earns nothing."""
    whole = bool(parts) and all(part == 1 for part in parts.values())
    return Score(float(whole), {name: float(part) for name, part in parts.items()})
