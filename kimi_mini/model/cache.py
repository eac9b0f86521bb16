"""The latent cache: per token and layer the normed latent and the rotated shared key, nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import ModelConfig


class LatentCache:
    """Room for `capacity` tokens of `batch` sequences: entries_LBSX with X = kv_lora_rank + qk_rope_head_dim.

    Sequences may differ in length: `lengths_B` counts the valid entries of each, and what lies behind counts for nothing.
    It carries no gradient.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.num_hidden_layers, batch, capacity, config.cache_width)
        self.entries_LBSX = torch.zeros(shape, dtype=dtype, device=device)
        self.lengths_B = torch.zeros(batch, dtype=torch.long, device=device)
        self.used = 0  # most entries any sequence can have: known without asking the device

    @property
    def capacity(self) -> int:
        return self.entries_LBSX.shape[2]

    @property
    def nbytes(self) -> int:
        return self.entries_LBSX.nbytes

    def check_room(self, batch: int, n_tokens: int) -> None:
        """Raise ValueError unless `n_tokens` more tokens of `batch` sequences fit."""
        if batch != len(self.lengths_B):
            raise ValueError(f"the cache was made for {len(self.lengths_B)} sequences; this batch has {batch}")
        if self.used + n_tokens > self.capacity:
            raise ValueError(
                f"the cache holds {self.capacity} tokens, {self.used} are used and {n_tokens} more do not fit; make it larger"
            )

    def write(self, layer: int, entries_BTX: Tensor) -> Tensor:
        """Put T new entries behind each sequence's valid ones; return what is there now, entries_BSX, S = used + T."""
        batch, n_tokens = entries_BTX.shape[:2]
        slot_BT = self.lengths_B[:, None] + torch.arange(n_tokens, device=self.lengths_B.device)
        row_B1 = torch.arange(batch, device=self.lengths_B.device)[:, None]
        self.entries_LBSX[layer, row_B1, slot_BT] = entries_BTX.detach().to(self.entries_LBSX.dtype)
        return self.entries_LBSX[layer, :, : self.used + n_tokens]

    def advance(self, new_B: Tensor, n_tokens: int) -> None:
        """After all layers have written: `new_B` of the T = n_tokens written entries are valid."""
        self.lengths_B += new_B
        self.used += n_tokens

    def keep_(self, kept_B: Tensor) -> None:
        """Go on with the sequences marked True in `kept_B` only."""
        self.entries_LBSX = self.entries_LBSX[:, kept_B]
        self.lengths_B = self.lengths_B[kept_B]

    def repeat_(self, times: int) -> None:
        """Go on with `times` copies of every sequence, side by side."""
        self.entries_LBSX = self.entries_LBSX.repeat_interleave(times, dim=1)
        self.lengths_B = self.lengths_B.repeat_interleave(times)
