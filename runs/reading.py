"""Held-out text for the runs that train: windows of it, and the loss on them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import kimi_mini as km
from kimi_mini.corpus.draw import Draw
from kimi_mini.corpus.files import Corpus
from kimi_mini.train import Batch, next_token_loss


def shuffled_windows(text: Corpus, name: str, count: int, length: int) -> Tensor:
    """`count` windows of `length` + 1 held-out tokens, each beginning with the last of the one before: ids_WT.

    Documents of all domains, in an order that `name` draws.
    """
    documents = [ids for domain in text.tokens for ids in text.documents(domain, "held_out")]
    stream = np.concatenate(Draw(name, 0).shuffled(documents))[: count * length + 1].astype(np.int64)
    return torch.from_numpy(stream).unfold(0, length + 1, length)


@torch.inference_mode()
def window_loss(model: km.KimiMini, ids_WT: Tensor, rows: int = 16) -> float:
    """Nats per token over all windows, each read on its own, `rows` of them at a time."""
    nats, count = 0.0, 0
    for ids_BT in ids_WT.split(rows):
        batch = Batch(ids_BT[:, :-1], ids_BT[:, 1:])
        total, tokens = next_token_loss(model(batch.tokens_BT).logits_BTV, batch)
        nats, count = nats + total.item(), count + int(tokens)
    return nats / count
