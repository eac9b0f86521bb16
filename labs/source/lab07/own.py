"""A twist whose kernel has a name of its own: in one notebook, a second kernel of a name takes the first one's place."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from labs.course.exercise import Variant
from labs.course.twist import twist


def own_kernel(practice: Variant, name: str, change: str, *patches: tuple[str, str], **more: Any) -> Variant:
    """`twist`, with every `..._kernel` renamed to `my_..._kernel`."""
    made = twist(practice, name, change, *patches, **more)
    return replace(made, solution=re.sub(r"\b(\w+_kernel)\b", r"my_\1", made.solution))
