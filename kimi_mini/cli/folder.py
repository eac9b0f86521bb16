"""The folder of a training run: tokenizer.json, checkpoints and metrics, and at the end `model` in Hugging Face's layout."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..device import default_compute_dtype, pick_device
from ..hub import from_pretrained, load_mini
from ..model import KimiMini
from ..tokenizer import Tokenizer

MINI = "mini"  # instead of a folder: the model that ships with the package


class Loaded(NamedTuple):
    """A model with its tokenizer, and the ids that begin and end a text (None where there is no such token)."""

    model: KimiMini
    tokenizer: Tokenizer
    bos: int | None
    eos: int | None


def load(folder: str) -> Loaded:
    """Read the output of `train`, or a Hugging Face folder with a tokenizer.json, onto the best device; "mini" is MINI.

    Raises ValueError when something is missing, or when the tokenizer has more entries than the model.
    """
    path = Path(folder)
    if folder == MINI and not path.exists():
        model, tokenizer = load_mini()
        return Loaded(model, tokenizer, tokenizer.bos, tokenizer.eos)
    weights = path / "model" if (path / "model" / "config.json").is_file() else path
    if not (weights / "config.json").is_file():
        unfinished = " (its training has not finished: the same train command goes on)" if (path / "latest").exists() else ""
        raise ValueError(
            f"no model in {folder}{unfinished}; expected the --out of `python -m kimi_mini train`, "
            "or a Hugging Face folder with config.json and tokenizer.json"
        )
    tokenizer = Tokenizer.load(path)
    device = pick_device()
    model = from_pretrained(weights, device=device)
    model.compute_dtype = default_compute_dtype(device)
    config = model.config
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"the tokenizer in {folder} has {tokenizer.vocab_size} entries; expected at most the model's {config.vocab_size}"
        )
    bos = tokenizer.bos if config.bos_token_id is None else config.bos_token_id
    eos = tokenizer.eos if config.eos_token_id is None else config.eos_token_id
    return Loaded(model, tokenizer, bos, eos)


def read_text(path: str) -> str:
    """A UTF-8 text file. Raises ValueError for one that is not, or is empty."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start}); expected a text file") from None
    if not text:
        raise ValueError(f"{path} is empty; expected a text file")
    return text
