"""Supervised fine-tuning: the same loop and step as pre-training, reading dialogues in place of text."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from ..checks import require
from ..model import KimiMini
from ..optim import build_optimizer
from ..tokenizer import Tokenizer
from .config import TrainConfig
from .dialogues import Dialogue, DialogueStream
from .pretrain import METRICS, Run, prepare


class Tuned(NamedTuple):
    """What a fine-tuning came to: losses_S in nats per target of each update, dialogues read and left out, rows of an epoch."""

    losses: list[float]
    dialogues: int
    dropped: int
    rows: int


def sft(
    model: KimiMini,
    tokenizer: Tokenizer,
    dialogues: Sequence[Dialogue],
    config: TrainConfig,
    folder: str | Path | None = None,
    *,
    progress: bool = True,
) -> Tuned:
    """Teach `model`, in place, what the assistant wrote in `dialogues`, with Muon on the matrices (K2 report, section 3.1).

    An update reads micro_batches x batch_size rows of sequence_length positions, each packed with whole dialogues; those that
    fit no row are left out and counted. The same config and dialogues give the same weights. With a `folder`, checkpoints and
    metrics are kept as `pretrain` keeps them, and the same call again goes on after a kill; without one nothing is kept.
    Raises ValueError where no dialogue fits, and as `pretrain` does.
    """
    require(config.long_steps == 0, "long_steps", config.long_steps, "0: dialogues are packed into rows of one length")
    limit = model.config.max_position_embeddings
    require(config.sequence_length <= limit, "sequence_length", config.sequence_length, f"at most {limit}")
    device = model.embed.weight.device
    stream = DialogueStream(
        dialogues, tokenizer, sequence_length=config.sequence_length, batch_size=config.batch_size, seed=config.seed,
        device=device,
    )  # fmt: skip
    with ExitStack() as kept:
        home = prepare(Path(folder or kept.enter_context(tempfile.TemporaryDirectory())), resume=True)
        optimizer = build_optimizer(model, config.optim)
        Run(home, model.config, config, device, model, optimizer, {config.cut(0): stream}).to_end(progress)
        losses = [json.loads(line)["loss"] for line in (home / METRICS).read_text(encoding="utf-8").splitlines()]
    return Tuned(losses, len(stream.encoded), stream.dropped, len(stream.rows))
