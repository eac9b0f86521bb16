"""The loop of the runs that train: one update per learning rate, each with its report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from tqdm import tqdm

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.corpus.files import Corpus
from kimi_mini.train import Batch, StepConfig, StepReport, TokenStream, next_token_loss, train_step
from kimi_mini.train.loss import LossFn


def updates(
    model: km.KimiMini,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Batch],
    rates: Iterable[float],
    config: StepConfig | None = None,
    what: str = "updates",
    inside: Callable[[], AbstractContextManager] = nullcontext,
    loss_fn: LossFn = next_token_loss,
) -> Iterator[StepReport]:
    """Train at each of `rates` in turn, one batch an update, and yield its report; `what` names the progress bar.

    Only the step itself runs `inside` a context made for it, neither the batch's making nor what the caller does between.
    Raises as `train_step` does, which leaves the weights of that update untouched.
    """
    for rate in tqdm(rates, desc=what, leave=False):
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = next(batches)
        with inside():
            report = train_step(model, optimizer, [batch], loss_fn, config or StepConfig())
        yield report


def stream(text: Corpus, count: int, *, length: int, size: int, seed: int) -> TokenStream:
    """Batches of `size` windows for `count` updates of the mixture, cut and shuffled by `seed`; its text is always the same."""
    tokens_N = corpus.mix(text, count * length * size + 1)
    return TokenStream(tokens_N, sequence_length=length, batch_size=size, seed=seed, vocab_size=text.tokenizer.vocab_size)


def small_config(text: Corpus, **changes) -> km.ModelConfig:
    """NANO with eight heads a layer and the book's tokenizer, and what else a run changes."""
    return km.NANO.replace(**{"vocab_size": text.tokenizer.vocab_size, "num_attention_heads": 8} | changes)
