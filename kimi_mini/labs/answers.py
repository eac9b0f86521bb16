"""The answers file beside a lab's notebook: guesses that are locked once, written whole, read back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..checks import is_number, require
from ..whole import write_whole

MAX_BYTES = 1 << 16


def answers_file(lab: str) -> str:
    """Its name."""
    return f"answers-{lab}.json"


def read_answers(path: Path, lab: str) -> dict[str, dict[str, float]]:
    """The locked guesses, {name: {"value", "confidence"}}; none where there is no file.

    Raises ValueError, saying why, for a file that `lock` did not write for this lab.
    """
    if not path.exists():
        return {}
    require(path.is_file() and not path.is_symlink(), path.name, "no plain file", "an answers file")
    require(0 < path.stat().st_size <= MAX_BYTES, f"bytes of {path.name}", path.stat().st_size, f"1 to {MAX_BYTES:,}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError(f"{path.name} is no JSON; expected what lab.guess() writes") from None
    good = isinstance(content, dict) and isinstance(content.get("guesses"), dict)
    require(good, path.name, "other JSON", "what lab.guess() writes")
    require(content.get("lab") == lab, f"lab in {path.name}", str(content.get("lab"))[:40], repr(lab))
    for name, guess in content["guesses"].items():
        good = isinstance(guess, dict) and set(guess) == {"value", "confidence"} and all(map(_is_finite, guess.values()))
        require(good, f"guess {name[:40]!r} in {path.name}", "something else", "a value and a confidence")
    return content["guesses"]


def lock(path: Path, lab: str, name: str, value: float, confidence: float) -> None:
    """Add a guess. Raises OSError if it cannot be read back, ValueError if the file that is there is not this lab's."""
    guesses = read_answers(path, lab) | {name: {"value": value, "confidence": confidence}}
    write_whole(path, (json.dumps({"lab": lab, "guesses": guesses}, indent=2) + "\n").encode())
    if read_answers(path, lab) != guesses:
        raise OSError(f"{path} was written, but holds something else")


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)
