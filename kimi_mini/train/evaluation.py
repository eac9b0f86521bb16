"""evaluate: how well a model foretells texts, in nats per token and, comparable across tokenizers, in bits per byte."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

from ..checks import require
from ..kernels.rows import IGNORE
from ..model import KimiMini
from ..tokenizer import Tokenizer
from .loss import Batch, fitting_next_token_loss, loss_of


class TextLoss(NamedTuple):
    """Summed cross-entropy of some texts, and what to divide it by."""

    nats: float
    tokens: int
    bytes: int

    @property
    def nats_per_token(self) -> float:
        return self.nats / self.tokens

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / self.bytes


@torch.inference_mode()
def evaluate(
    model: KimiMini,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    *,
    context: int | None = None,
    bos: int | None = None,
    special: bool = False,
    batch_size: int = 16,
) -> TextLoss:
    """Loss over `texts`, every token of which is foretold exactly once.

    A text is read as `bos` (None: the tokenizer's [BOS]) and its tokens, in windows of `context` tokens (None: all
    positions of the model); nothing before a window is seen in it. With `special`, reserved tokens spelled out in a text are
    meant (and count, as bytes, for what they spell). Raises ValueError when there is nothing to foretell,
    when `context` does not fit the model, or when there is no token to begin with.
    """
    longest = model.config.max_position_embeddings
    context = longest if context is None else context
    bos = tokenizer.bos if bos is None else bos
    texts = [text for text in texts if text]
    require(1 <= context <= longest, "context", context, f"1 to max_position_embeddings = {longest}")
    require(bos is not None, "bos", bos, "a token id, as the tokenizer has no [BOS]")
    require(len(texts) > 0, "texts", texts, "at least one text that is not empty")
    windows = [window for text in texts for window in _windows([bos, *tokenizer.encode(text, special=special)], context)]
    windows.sort(key=len)  # neighbours of one length need little padding, and causality hides what comes behind
    nats, tokens = 0.0, 0
    for start in range(0, len(windows), batch_size):
        batch = _batch(windows[start : start + batch_size], model.embed.weight.device)
        loss_sum, count, _ = loss_of(model, batch, fitting_next_token_loss(model))
        nats, tokens = nats + loss_sum.item(), tokens + int(count)
    return TextLoss(nats, tokens, sum(len(text.encode()) for text in texts))


def _windows(ids: list[int], context: int) -> Iterator[list[int]]:
    """Pieces of up to `context` + 1 ids that overlap by one: each piece's last target is the next one's first input."""
    for start in range(0, len(ids) - 1, context):
        yield ids[start : start + context + 1]


def _batch(windows: list[list[int]], device: torch.device) -> Batch:
    longest = max(map(len, windows))
    ids_BT = torch.tensor([w + [IGNORE] * (longest - len(w)) for w in windows], device=device)
    tokens_BT, targets_BT = ids_BT[:, :-1], ids_BT[:, 1:]
    return Batch(tokens_BT.clamp(min=0), targets_BT)
