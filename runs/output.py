"""What runs leave behind: JSON that is there whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kimi_mini.whole import write_whole


def write_json(path: Path, content: dict[str, Any], indent: int | None = None) -> None:
    """Write `content` beside `path`, then rename; the folder is made where it is missing."""
    write_whole(path, (json.dumps(content, indent=indent) + "\n").encode())
