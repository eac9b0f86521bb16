"""Dialogues packed into rows: several a row, numbered in the mask, positions restarting; targets are the assistant's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..chat import Encoded, encode
from ..checks import is_int, require
from ..kernels.rows import IGNORE
from ..tokenizer import Tokenizer
from .data import EpochOrder, cursor_of
from .loss import Batch


class Dialogue(NamedTuple):
    """Messages and the tools that were declared, in the form that `chat.render` takes."""

    messages: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]] = ()


def pack(encoded: Sequence[Encoded], length: int) -> list[list[int]]:
    """Rows of at most `length` positions as lists of places in `encoded`, each into the first row with room (first fit).

    n tokens take n - 1 positions, as the last is only a target. Raises ValueError for one that fits no row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for place, one in enumerate(encoded):
        need = len(one.tokens) - 1
        require(need <= length, f"tokens of dialogue {place}", need + 1, f"at most {length + 1}, a row's positions and one")
        row = next((number for number, free in enumerate(room) if free >= need), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(length)
        rows[row].append(place)
        room[row] -= need
    return rows


def batch_of(rows: Sequence[Sequence[Encoded]], length: int, pad: int, device: torch.device | str = "cpu") -> Batch:
    """The dialogues of each row side by side, padded to `length` positions."""
    shape = (len(rows), length)
    tokens_BT, targets_BT = np.full(shape, pad), np.full(shape, IGNORE)
    mask_BT, positions_BT = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for b, row in enumerate(rows):
        start = 0
        for number, (tokens, learn) in enumerate(row, start=1):
            here = slice(start, start + len(tokens) - 1)
            tokens_BT[b, here], mask_BT[b, here] = tokens[:-1], number
            targets_BT[b, here] = np.where(learn[1:], tokens[1:], IGNORE)
            positions_BT[b, here] = np.arange(len(tokens) - 1)
            start = here.stop
    return Batch(*(_tensor(array, device) for array in (tokens_BT, targets_BT, mask_BT, positions_BT)))


class DialogueStream:
    """An endless iterator of micro-batches of `batch_size` rows; each epoch reads the packed rows in an order of its own.

    A dialogue with more than `sequence_length` + 1 tokens, or in which the assistant says nothing, is left out and counted
    in `dropped`. Raises ValueError where none is left.
    """

    def __init__(
        self,
        dialogues: Sequence[Dialogue],
        tokenizer: Tokenizer,
        *,
        sequence_length: int,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        for name, value in {"sequence_length": sequence_length, "batch_size": batch_size}.items():
            require(is_int(value, 1), name, value, "a positive integer")
        require(is_int(seed, 0), "seed", seed, "an integer >= 0")
        self.sequence_length, self.batch_size, self.seed, self.device = sequence_length, batch_size, seed, device
        every = [encode(one.messages, one.tools, tokenizer) for one in dialogues]
        self.encoded = [one for one in every if len(one.tokens) <= sequence_length + 1 and any(one.learn)]
        self.dropped = len(every) - len(self.encoded)
        wanted = f"at least one dialogue of at most {sequence_length + 1} tokens in which the assistant speaks"
        require(len(self.encoded) > 0, "dialogues that can be read", 0, wanted)
        self.rows = pack(self.encoded, sequence_length)
        self._pad = tokenizer.pad or 0
        self._order, self._next = EpochOrder(len(self.rows), seed), 0
        self._sha256 = hashlib.sha256(json.dumps(self.encoded).encode()).hexdigest()

    def __iter__(self) -> DialogueStream:
        return self

    def __next__(self) -> Batch:
        self._next += 1
        return self.batch(self._next - 1)

    def batch(self, index: int) -> Batch:
        """Micro-batch `index` (from 0)."""
        places = range(index * self.batch_size, (index + 1) * self.batch_size)
        rows = [[self.encoded[one] for one in self.rows[self._order[place]]] for place in places]
        return batch_of(rows, self.sequence_length, self._pad, self.device)

    def state(self) -> dict[str, Any]:
        """The cursor, JSON-ready: the number of the next batch, and what it counts on."""
        return {"next_batch": self._next, **self._identity()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go to a cursor that `state` gave. Raises ValueError when it belongs to other dialogues, another cut or seed."""
        self._next = cursor_of(state, self._identity())

    def _identity(self) -> dict[str, Any]:
        names = ("seed", "sequence_length", "batch_size")
        return {**{name: getattr(self, name) for name in names}, "rows": len(self.rows), "sha256": self._sha256}


def _tensor(array: np.ndarray, device: torch.device | str) -> Tensor:
    return torch.from_numpy(array.astype(np.int64)).to(device)
