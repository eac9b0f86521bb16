"""KimiMini: embed -> [MLA -> MoE] x L -> logits, with the two signals of training beside them.

Legend: B batch, T tokens, D width, V vocabulary, H heads, E experts, L layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import require
from ..config import ModelConfig
from .cache import LatentCache
from .layers import Linear, RMSNorm, SwiGLU
from .mla import MLA
from .moe import MoE
from .rope import Rope, rope_table
from .stats import ForwardStats


class ModelOutput(NamedTuple):
    """logits_BTV in the compute format, and the ForwardStats of this call."""

    logits_BTV: Tensor
    stats: ForwardStats


class Context(NamedTuple):
    """What every block needs to know of the batch: angles, documents (0 is padding), cache and who sees how much of it, and
    whether a balance loss is wanted."""

    rope: Rope
    document_BT: Tensor | None
    cache: LatentCache | None
    visible_BT: Tensor | None
    balance_loss: bool = False


class Block(nn.Module):
    """Pre-norm residual block: attention, then a dense MLP or experts."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.attn_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attn = MLA(config)
        self.mlp_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MoE(config) if config.is_moe(layer) else SwiGLU(config.hidden_size, config.intermediate_size)

    def forward(self, x_BTD: Tensor, ctx: Context) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Returns (x_BTD, max_logits_H, expert_load_E or None, balance loss or None)."""
        attended_BTD, max_logits_H = self._attend(self.attn_norm(x_BTD), ctx)
        normed_BTD, x_BTD = self.mlp_norm.of_sum(x_BTD, attended_BTD)
        if isinstance(self.mlp, SwiGLU):
            return x_BTD + self.mlp(normed_BTD), max_logits_H, None, None
        real_BT = None if ctx.document_BT is None else ctx.document_BT > 0
        mixed_BTD, expert_load_E, balance_loss = self.mlp(normed_BTD, real_BT, ctx.balance_loss)
        return x_BTD + mixed_BTD, max_logits_H, expert_load_E, balance_loss

    def _attend(self, x_BTD: Tensor, ctx: Context) -> tuple[Tensor, Tensor]:
        if ctx.cache is None:
            return self.attn(x_BTD, ctx.rope, document_BT=ctx.document_BT)
        entries_BTX = self.attn.cache_entries(x_BTD, ctx.rope)
        cache_BSX = ctx.cache.write(self.layer, entries_BTX)
        if ctx.cache.used == 0:  # a fresh prompt: expanding is cheaper than absorbing, and there is nothing behind it
            return self.attn(x_BTD, ctx.rope, entries_BTX, ctx.document_BT)
        return self.attn.decode(x_BTD, ctx.rope, cache_BSX.to(x_BTD.dtype), ctx.visible_BT)


class KimiMini(nn.Module):
    """The K2 architecture at any size a ModelConfig describes.

    `compute_dtype` is the format of activations (None: that of the stored weights). Weights start as normal(0,
    initializer_range); norms at 1, selection biases at 0.
    """

    def __init__(self, config: ModelConfig, compute_dtype: torch.dtype | None = None) -> None:
        super().__init__()
        if compute_dtype is not None:
            require(compute_dtype.is_floating_point, "compute_dtype", compute_dtype, "None or a floating-point format")
        self.config = config
        self.compute_dtype = compute_dtype
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        if not config.tie_word_embeddings:
            self.head = Linear(config.hidden_size, config.vocab_size)
        for parameter in self.parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=config.initializer_range)

    def forward(
        self,
        tokens_BT: Tensor,
        mask_BT: Tensor | None = None,
        positions: Tensor | None = None,
        cache: LatentCache | None = None,
        balance_loss: bool = False,
    ) -> ModelOutput:
        """logits_BTV for the token after each of tokens_BT, and the stats of this batch.

        mask_BT says which tokens are real: booleans (False is padding), or integers that number packed documents from 1
        (0 is padding). positions defaults to 0, 1, 2, ... (counted on from the cache, if there is one; with packed documents
        pass positions that restart). With a cache, padding stands on the right and nothing is packed. With `balance_loss` the
        stats hold that too (a row of tokens_BT is a sequence). Raises ValueError for token ids outside the vocabulary (not on
        a GPU, where the look would stall the queue) and for misshapen arguments.
        """
        hidden_BTD, stats = self.trunk(tokens_BT, mask_BT, positions, cache, balance_loss)
        return ModelOutput(self.logits(hidden_BTD), stats)

    def trunk(
        self,
        tokens_BT: Tensor,
        mask_BT: Tensor | None = None,
        positions: Tensor | None = None,
        cache: LatentCache | None = None,
        balance_loss: bool = False,
    ) -> tuple[Tensor, ForwardStats]:
        """Everything before the head: the normed hidden_BTD and the stats. Arguments as for `forward`."""
        self._check(tokens_BT, mask_BT, positions)
        x_BTD = self.embed(tokens_BT)
        x_BTD = x_BTD.to(self.compute_dtype or x_BTD.dtype)
        ctx, new_B = self._context(tokens_BT, mask_BT, positions, cache, x_BTD.dtype)
        ctx = ctx._replace(balance_loss=balance_loss)
        max_logits, loads, losses = [], [], []
        for block in self.blocks:
            x_BTD, max_logits_H, expert_load_E, loss = block(x_BTD, ctx)
            max_logits.append(max_logits_H)
            loads.append(expert_load_E if expert_load_E is not None else self._no_load(tokens_BT.device))
            losses += [] if loss is None else [loss]
        if cache is not None:
            cache.advance(new_B, tokens_BT.shape[1])
        return self.norm(x_BTD), ForwardStats(torch.stack(max_logits), torch.stack(loads), sum(losses) if losses else None)

    def logits(self, hidden_BTD: Tensor) -> Tensor:
        """The head alone: logits_BTV."""
        return F.linear(hidden_BTD, self.head_VD.to(hidden_BTD.dtype))

    @property
    def head_VD(self) -> Tensor:
        """The head's weight, as it is stored (a tied head is the embedding)."""
        return self.embed.weight if self.config.tie_word_embeddings else self.head.weight

    def _no_load(self, device: torch.device) -> Tensor:
        return torch.zeros(self.config.n_routed_experts, dtype=torch.long, device=device)

    def _context(self, tokens_BT, mask_BT, positions, cache, dtype) -> tuple[Context, Tensor | None]:
        B, T = tokens_BT.shape
        step_1T = torch.arange(T, device=tokens_BT.device)[None]
        document_BT = None if mask_BT is None else mask_BT.long()
        if cache is None:
            return Context(rope_table(self.config, _or(positions, step_1T), dtype), document_BT, None, None), None
        cache.check_room(B, T)
        if document_BT is not None:
            _check_right_padded(document_BT)
        slot_BT = cache.lengths_B[:, None] + step_1T
        real_BT = torch.ones_like(tokens_BT, dtype=torch.bool) if document_BT is None else document_BT > 0
        visible_BT = torch.where(real_BT, slot_BT + 1, 0)
        ctx = Context(rope_table(self.config, _or(positions, slot_BT), dtype), document_BT, cache, visible_BT)
        return ctx, real_BT.sum(1)

    def _check(self, tokens_BT: Tensor, mask_BT: Tensor | None, positions: Tensor | None) -> None:
        if tokens_BT.ndim != 2 or 0 in tokens_BT.shape or tokens_BT.dtype not in (torch.int64, torch.int32):
            raise ValueError(f"tokens_BT is {_describe(tokens_BT)}; expected integers of shape [batch, time], at least one")
        for name, value in (("mask_BT", mask_BT), ("positions", positions)):
            if value is not None and value.shape != tokens_BT.shape:
                raise ValueError(f"{name} is {_describe(value)}; expected the shape of tokens_BT, {list(tokens_BT.shape)}")
        if tokens_BT.device.type == "cpu":
            low, high = (x.item() for x in tokens_BT.aminmax())
            if low < 0 or high >= self.config.vocab_size:
                wrong = low if low < 0 else high
                raise ValueError(f"token id {wrong} is out of range; the vocabulary has ids 0 to {self.config.vocab_size - 1}")
            if mask_BT is not None and mask_BT.min() < 0:
                raise ValueError(f"mask_BT holds {mask_BT.min().item()}; expected 0 for padding and 1, 2, ... for documents")


def _check_right_padded(document_BT: Tensor) -> None:
    # The cache counts entries from the left; only so do its first `length` ones belong to one sequence.
    if document_BT.max() > 1 or (document_BT.diff(dim=1) > 0).any():
        raise ValueError(
            "mask_BT has padding before a token, or packed documents; with a cache expected 1 ... 1 0 ... 0 per row"
        )


def _or(value: Tensor | None, default: Tensor) -> Tensor:
    return default if value is None else value


def _describe(x: Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} of shape {list(x.shape)}"
