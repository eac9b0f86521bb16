"""Texts to one row of token ids, and back to documents."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..tokenizer import Tokenizer


def pack(tokenizer: Tokenizer, documents: Iterable[str], *, special: bool = False) -> np.ndarray:
    """All documents behind each other, each as [BOS] text [EOS]: tokens_N, what streams are cut from.

    `special` as in `Tokenizer.encode`: whether reserved tokens spelled out in the texts are meant. uint16 where
    the ids fit.
    """
    ids: list[int] = []
    for text in documents:
        ids += (tokenizer.bos, *tokenizer.encode(text, special=special), tokenizer.eos)
    return np.array(ids, dtype=np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.int64)


def unpack(tokens_N: np.ndarray, bos: int) -> list[np.ndarray]:
    """The documents of a packed row, ends included; views, nothing is copied."""
    return np.split(tokens_N, np.flatnonzero(tokens_N == bos))[1:]
