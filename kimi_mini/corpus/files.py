"""The shipped text: token files beside their provenance, each checked by its SHA-256 before anything is made of it."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from ..tokenizer import Tokenizer
from .pack import unpack

DOMAINS = ("plays", "code", "maths", "facts", "chat")
SPLITS = ("train", "held_out")
WITH_MARKERS = ("chat",)  # domains whose texts spell out reserved tokens and mean them
SHIPPED = Path(__file__).resolve().parent.parent / "data"
_ENV = "KIMI_MINI_DATA"
_XZ = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 1, "pb": 1}]  # units of two bytes


@dataclass(frozen=True)
class Corpus:
    """Five domains, two splits of whole documents, as token ids of one tokenizer.

    tokens[domain][split] is uint16, documents as [BOS] ... [EOS]; provenance says where all of it comes from.
    """

    tokenizer: Tokenizer
    tokens: dict[str, dict[str, np.ndarray]]
    provenance: dict[str, Any]

    def documents(self, domain: str, split: str) -> list[np.ndarray]:
        """Token ids document by document, ends included. Raises ValueError for an unknown domain or split."""
        require(domain in self.tokens, "domain", domain, " or ".join(self.tokens))
        require(split in SPLITS, "split", split, " or ".join(SPLITS))
        return unpack(self.tokens[domain][split], self.tokenizer.bos)

    def texts(self, domain: str, split: str) -> list[str]:
        """The documents as text, without their ends; in "chat" reserved tokens are spelled out."""
        return [self.tokenizer.decode(ids[1:-1].tolist()) for ids in self.documents(domain, split)]


def data_folder() -> Path:
    """Where text, tokenizer and MINI are: inside the package, or the folder that KIMI_MINI_DATA names."""
    return Path(os.environ.get(_ENV) or SHIPPED)


def load(folder: str | Path | None = None) -> Corpus:
    """Read THE text (None: `data_folder()`); a second call returns the same object.

    Raises ValueError, naming the file and what to do, where one is missing or is not the one of provenance.json.
    """
    return _load(Path(folder) if folder is not None else data_folder())


def load_tokenizer(folder: str | Path | None = None) -> Tokenizer:
    """THE tokenizer, that of text and MINI. Raises as `load`."""
    folder = Path(folder) if folder is not None else data_folder()
    path = folder / "tokenizer.json"
    return Tokenizer.from_json(_checked(path, read_provenance(folder)["files"][path.name]), name=str(path))


def read_provenance(folder: Path) -> dict[str, Any]:
    """provenance.json of a data folder."""
    path = folder / "provenance.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}); {_remedy()}") from None


@lru_cache(maxsize=2)
def _load(folder: Path) -> Corpus:
    provenance = read_provenance(folder)
    tokenizer = load_tokenizer(folder)
    tokens = {d: {s: _read(folder / token_file(d, s), provenance) for s in SPLITS} for d in provenance["domains"]}
    return Corpus(tokenizer, tokens, provenance)


# ---- one file ----------------------------------------------------------------------------------------------------------


def token_file(domain: str, split: str) -> str:
    """The name of the file of one domain and split."""
    return f"{domain}-{split}.tokens.xz"


def write_tokens(path: Path, tokens_N: np.ndarray) -> None:
    """Little-endian uint16, compressed; the file appears whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(lzma.compress(tokens_N.astype("<u2").tobytes(), filters=_XZ))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path, provenance: dict[str, Any]) -> np.ndarray:
    content = lzma.decompress(_checked(path, provenance["files"][path.name]))
    tokens_N = np.frombuffer(content, dtype="<u2").astype(np.uint16)
    tokens_N.flags.writeable = False  # all callers share it
    return tokens_N


def _checked(path: Path, wanted: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error}); {_remedy()}") from None
    found = sha256(content)
    if found != wanted:
        raise ValueError(f"{path} has SHA-256 {found}, not {wanted} as provenance.json says; {_remedy()}")
    return content


def _remedy() -> str:
    return f"install kimi_mini again, or build the text with `python -m runs.corpus` (its folder: {_ENV}, if that is set)"
