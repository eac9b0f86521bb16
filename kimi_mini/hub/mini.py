"""MINI, the book's own model: its weights ship with the package, in fp16."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ..corpus import load_tokenizer
from ..corpus.files import data_folder, read_provenance, sha256
from ..model import KimiMini
from ..tokenizer import Tokenizer
from .load import from_pretrained

FOLDER, PROVENANCE = "mini", "mini.json"
_WEIGHTS = "model.safetensors"
_REMEDY = "install kimi_mini again, or train it with `python -m runs.mini`"


def load_mini(folder: str | Path | None = None) -> tuple[KimiMini, Tokenizer]:
    """MINI with fp32 weights (the shipped fp16 ones, widened) and its tokenizer; every number of the book is of this file.

    `folder` is a data folder (None: the package's, or that of KIMI_MINI_DATA). Raises ValueError where the weights are not
    there, or are not those that mini.json tells of.
    """
    folder = Path(folder) if folder is not None else data_folder()
    weights, about = folder / FOLDER / _WEIGHTS, folder / PROVENANCE
    if not (weights.is_file() and about.is_file()):
        raise ValueError(f"MINI's weights are not in {folder} ({FOLDER}/{_WEIGHTS} and {PROVENANCE}); {_REMEDY}")
    wanted, found = json.loads(about.read_text(encoding="utf-8")), weights_sha256(folder)
    if found != wanted["sha256"]:
        raise ValueError(f"{weights} has SHA-256 {found}, not {wanted['sha256']} as {PROVENANCE} says; {_REMEDY}")
    if wanted["tokenizer_sha256"] != read_provenance(folder)["files"]["tokenizer.json"]:
        raise ValueError(f"MINI in {folder} was trained with another tokenizer than the one beside it; {_REMEDY}")
    return from_pretrained(folder / FOLDER, dtype=torch.float32), load_tokenizer(folder)


def weights_sha256(folder: Path) -> str:
    """The SHA-256 of MINI's weight file in a data folder."""
    return sha256((folder / FOLDER / _WEIGHTS).read_bytes())
