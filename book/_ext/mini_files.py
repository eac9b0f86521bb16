"""MINI as classic scripts, which a page may load from disk: the shipped safetensors file in pieces, config and tokenizer.

head.js      KM.miniHead({config, tokenizer, bytes, parts, cut})
part-00.js   KM.miniPart(0, base64 of bytes 0 to cut), and so on
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

CUT = 900_000  # bytes of a piece, a multiple of 3: base64 then needs no padding, and progress moves twelve times


def write_mini(data: Path, folder: Path) -> None:
    """Write the scripts for the MINI of a data folder (the package's `data`) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = (data / "mini" / "model.safetensors").read_bytes()
    pieces = [weights[start : start + CUT] for start in range(0, len(weights), CUT)]
    for index, piece in enumerate(pieces):
        text = base64.b64encode(piece).decode()
        (folder / f"part-{index:02}.js").write_text(f'KM.miniPart({index},"{text}");\n', encoding="utf-8")
    (folder / "head.js").write_text(f"KM.miniHead({json.dumps(head(data, len(weights), len(pieces)))});\n", encoding="utf-8")


def head(data: Path, size: int, parts: int) -> dict[str, Any]:
    """What the scripts need to know before the weights: config.json, the tokenizer's entries by id, and the cut."""
    return {
        "config": json.loads((data / "mini" / "config.json").read_text(encoding="utf-8")),
        "tokenizer": tokenizer_tables(json.loads((data / "tokenizer.json").read_text(encoding="utf-8"))),
        "bytes": size,
        "parts": parts,
        "cut": CUT,
    }


def tokenizer_tables(content: dict[str, Any]) -> dict[str, list[str]]:
    """Of a tokenizer.json: entries by id, merges in the order they were learned, reserved tokens."""
    special = {token["content"]: token["id"] for token in content["added_tokens"]}
    ids = {**content["model"]["vocab"], **special}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in content["model"]["merges"]]
    return {"vocab": sorted(ids, key=ids.get), "merges": merges, "special": list(special)}
