"""Token ids cut into windows and shuffled: batch i depends on the seed and on i, and on nothing that happened before."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import is_int, require
from .loss import Batch

_CHUNK = 1 << 22  # ids looked at together: a mapped file need not fit in memory


class EpochOrder:
    """An endless order of `count` things: order[i] is the i-th to be read; each epoch's order is drawn from (seed, epoch)."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def __getitem__(self, index: int) -> int:
        epoch, place = divmod(index, self.count)
        if self._epoch[0] != epoch:
            self._epoch = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.count)
        return int(self._epoch[1][place])


class TokenStream:
    """An endless iterator of micro-batches over one text.

    `tokens` is a 1-D integer tensor or array, or the path of a .npy file, which is mapped and not read into memory. Window w
    holds tokens w*T to w*T + T: T inputs and, shifted by one, T targets, so every token but the first is a target once per
    epoch (a rest shorter than a window is left out). Each epoch has its own order, drawn from (seed, epoch); a batch that
    begins in one epoch ends in the next. Raises ValueError for other types, fewer than T + 1 tokens, or ids that are
    negative or not below `vocab_size`.
    """

    def __init__(
        self,
        tokens: Tensor | np.ndarray | str | Path,
        *,
        sequence_length: int,
        batch_size: int,
        seed: int,
        vocab_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        sizes = {"sequence_length": sequence_length, "batch_size": batch_size, "vocab_size": vocab_size}
        for name, value in sizes.items():
            require(is_int(value, 1), name, value, "a positive integer")
        require(is_int(seed, 0), "seed", seed, "an integer >= 0")
        self.tokens = _as_array(tokens)
        self.sequence_length, self.batch_size, self.seed, self.device = sequence_length, batch_size, seed, device
        self.windows = (len(self.tokens) - 1) // sequence_length
        if self.windows < 1:
            raise ValueError(
                f"the text has {len(self.tokens)} tokens; expected at least sequence_length + 1 = {sequence_length + 1}"
            )
        self._sha256 = _check_ids(self.tokens, vocab_size)
        self._next = 0
        self._order = EpochOrder(self.windows, seed)

    def __iter__(self) -> TokenStream:
        return self

    def __next__(self) -> Batch:
        self._next += 1
        return self.batch(self._next - 1)

    def batch(self, index: int) -> Batch:
        """Micro-batch `index` (from 0): tokens_BT and targets_BT, int64."""
        require(index >= 0, "index", index, "a number >= 0")
        T = self.sequence_length
        rows = range(index * self.batch_size, (index + 1) * self.batch_size)
        starts = [self._order[row] * T for row in rows]
        text_BT = np.stack([self.tokens[start : start + T + 1] for start in starts]).astype(np.int64)
        text_BT = torch.from_numpy(text_BT).to(self.device)
        return Batch(text_BT[:, :-1], text_BT[:, 1:])

    def state(self) -> dict[str, Any]:
        """The cursor, JSON-ready: the number of the next batch, and what it counts on."""
        return {"next_batch": self._next, **self._identity()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go to a cursor that `state` gave. Raises ValueError when it belongs to another text, cut or seed."""
        self._next = cursor_of(state, self._identity())

    def _identity(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "sequence_length": self.sequence_length,
            "batch_size": self.batch_size,
            "tokens": len(self.tokens),
            "sha256": self._sha256,
        }


def cursor_of(state: dict[str, Any], identity: dict[str, Any]) -> int:
    """The number of the next batch in a saved cursor. Raises ValueError where it belongs to other data than `identity`."""
    differing = [f"{name} = {state.get(name)!r} (here {own!r})" for name, own in identity.items() if state.get(name) != own]
    if differing:
        raise ValueError(f"the data cursor belongs to other data: {', '.join(differing)}; expected the same text, cut and seed")
    require(is_int(state.get("next_batch"), 0), "next_batch", state.get("next_batch"), "an integer >= 0")
    return state["next_batch"]


def _as_array(tokens: Tensor | np.ndarray | str | Path) -> np.ndarray:
    if isinstance(tokens, str | Path):
        tokens = _map_file(Path(tokens))
    elif isinstance(tokens, Tensor):
        tokens = tokens.detach().cpu().numpy()
    if not isinstance(tokens, np.ndarray):
        raise ValueError(f"tokens is a {type(tokens).__name__}; expected a 1-D integer tensor or array, or a .npy file of one")
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(
            f"tokens is {tokens.dtype} of shape {list(tokens.shape)}; expected integers of shape [number of tokens]"
        )
    return tokens


def _map_file(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}; expected a .npy file of token ids") from None
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read ({error}); expected a whole .npy file of token ids") from None


def _check_ids(tokens: np.ndarray, vocab_size: int) -> str:
    """One pass: every id must be in the vocabulary. Returns the SHA-256 of the ids as int64, whatever their format."""
    digest = hashlib.sha256()
    for start in range(0, len(tokens), _CHUNK):
        chunk = tokens[start : start + _CHUNK]
        wrong = np.flatnonzero((chunk < 0) | (chunk >= vocab_size))
        if len(wrong):
            place = start + int(wrong[0])
            raise ValueError(f"token {place} of the text is {tokens[place]}; the vocabulary has ids 0 to {vocab_size - 1}")
        digest.update(chunk.astype("<i8").tobytes())
    return digest.hexdigest()
