"""What runs leave behind: JSON that is there whole or not at all, and where it was made."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import torch

import kimi_mini as km
from kimi_mini.whole import write_whole


def write_json(path: Path, content: dict[str, Any], indent: int | None = None) -> None:
    """Write `content` beside `path`, then rename; the folder is made where it is missing."""
    write_whole(path, (json.dumps(content, indent=indent) + "\n").encode())


def made_here() -> dict[str, Any]:
    """The versions and the machine that a row was made with."""
    return {
        "versions": {"kimi_mini": km.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads()},
    }
