"""Whether an answer is right, and how sure a share of right answers is."""

from __future__ import annotations

import math
import re

from ..checks import is_int, is_number, require


def answers(text: str, wanted: str) -> bool:
    """Whether `wanted` stands in `text` as whole words, in any case: "1" is not in "1910", nor in "1.5", "1,000" or "1/2"."""
    words = wanted.strip().strip(".!?").split()
    require(bool(words), "wanted", wanted, "an answer that is not empty")
    inside = r"\s+".join(map(re.escape, words))
    return re.search(rf"(?<![\w-])(?<!\d[.,/]){inside}(?![\w-])(?![.,/]\d)", text, re.IGNORECASE) is not None


def wilson_interval(right: float, total: int, z: float = 1.96) -> tuple[float, float]:
    """The interval that holds the true share with 95 % confidence (z = 1.96), after Wilson; stays within 0 and 1.

    `right` may be a sum of shares: they vary less than yes and no with the same mean, so the interval is wide enough.
    """
    require(is_int(total, 1), "total", total, "an integer >= 1")
    require(is_number(right) and 0 <= right <= total, "right", right, f"a number from 0 to {total}")
    share, spread = right / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)
