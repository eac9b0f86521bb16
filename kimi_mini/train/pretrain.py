"""Pre-training: the loop around `train_step`, with checkpoints from which a killed run ends exactly as if it had not been."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..checks import require
from ..config import ModelConfig
from ..device import default_compute_dtype, pick_device
from ..hub import save_pretrained
from ..model import KimiMini
from ..optim import Muon, build_optimizer
from .checkpoint import Checkpoint, load_checkpoint, prune, save_checkpoint, tidy
from .config import TrainConfig
from .data import TokenStream
from .loss import Batch, fitting_next_token_loss
from .metrics import MetricsLog, metrics_line
from .reproducible import environment, seed_everything, threads_of
from .step import train_step

METRICS = "metrics.jsonl"
# What may change between the parts of a run: it moves no weight.
_FREE = ("train.checkpoint_every", "train.keep")


def pretrain(
    model_config: ModelConfig,
    train_config: TrainConfig,
    data: Tensor | np.ndarray | str | Path,
    folder: str | Path,
    *,
    resume: bool = True,
    progress: bool = True,
    device: torch.device | str | None = None,
) -> KimiMini:
    """Train a new model on the token ids `data` (what `TokenStream` takes) and return it; everything is kept in `folder`:
    checkpoints, metrics.jsonl, and at the end `model` in the Hugging Face layout.

    The same call again goes on from the last checkpoint and ends with the same bits (on the CPU of one machine). The first
    SIGINT or SIGTERM finishes the update, saves, and raises KeyboardInterrupt; a second one acts at once. Seeds the global
    random generators. `device` None takes a GPU where there is one. Raises ValueError for a run of another configuration
    or text in `folder` (or any run, with resume=False), FloatingPointError for a loss that is not finite (the state before it
    is saved), OSError where the disk is full.
    """
    folder = prepare(Path(folder), resume)
    run = Run.start(model_config, train_config, data, folder, torch.device(device) if device else pick_device())
    run.to_end(progress)
    save_pretrained(run.model, folder / "model")
    return run.model


class Stream(Protocol):
    """An endless iterator of micro-batches with a cursor: a `TokenStream`, or packed dialogues."""

    def __iter__(self) -> Iterator[Batch]: ...

    def state(self) -> dict[str, Any]: ...

    def load_state(self, state: dict[str, Any]) -> None: ...


@dataclass
class Run:
    """Everything that changes while training, and the loop; pre-training and SFT differ in what they read."""

    folder: Path
    model_config: ModelConfig
    config: TrainConfig
    device: torch.device
    model: KimiMini
    optimizer: Muon
    streams: dict[tuple[int, int], Stream]  # by the cut of the text
    step: int = 0
    saved_step: int | None = None

    @classmethod
    def start(cls, model_config: ModelConfig, config: TrainConfig, data: Any, folder: Path, device: torch.device) -> Run:
        limit = model_config.max_position_embeddings
        for name in ("sequence_length", "long_sequence_length"):
            length = getattr(config, name)
            require((length or 0) <= limit, name, length, f"at most {limit}, the model's positions")
        streams = {
            (length, size): TokenStream(
                data, sequence_length=length, batch_size=size, seed=config.seed, vocab_size=model_config.vocab_size,
                device=device,
            )
            for length, size in {config.cut(step) for step in (0, config.steps - 1)}
        }  # fmt: skip
        seed_everything(config.seed)
        model = KimiMini(model_config, config.dtype(default_compute_dtype(device))).to(device)
        return cls(folder, model_config, config, device, model, build_optimizer(model, config.optim), streams)

    def to_end(self, progress: bool) -> None:
        """Go on from the last checkpoint in `folder`, if there is one, to the last update; raises as `pretrain` does."""
        saved = load_checkpoint(self.folder)
        if saved is not None:
            self.restore(saved)
        with (
            threads_of(saved and saved.state["environment"], self.device),
            MetricsLog(self.folder / METRICS, self.step) as metrics,
            StopSignals() as stop,
            tqdm(total=self.config.steps, initial=self.step, unit="step", disable=not progress) as bar,
        ):
            while self.step < self.config.steps and not stop.received:
                try:
                    line = self.advance()
                except FloatingPointError:
                    self.save(metrics)
                    raise
                metrics.write(line)
                bar.set_postfix_str(self.told(line), refresh=False)
                bar.update()
                if self.step % self.config.checkpoint_every == 0:
                    self.save(metrics)
            self.save(metrics)
        if self.step < self.config.steps:
            raise KeyboardInterrupt(
                f"{stop.received} after step {self.step}: saved in {self.folder}; the same call again goes on from there"
            )

    @property
    def stream(self) -> Stream:
        """What the next update reads (after the last one: what that one read)."""
        return self.streams[self.config.cut(min(self.step, self.config.steps - 1))]

    def advance(self) -> dict[str, Any]:
        """One update; returns its line of metrics. A step that fails leaves everything as it was before it."""
        began, cursor = perf_counter(), self.stream.state()
        lr = self.config.optim.lr * self.config.lr_factor(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        micro_batches = islice(self.stream, self.config.micro_batches)
        try:
            report = train_step(
                self.model, self.optimizer, micro_batches, fitting_next_token_loss(self.model), self.config.step
            )
        except FloatingPointError:
            self.stream.load_state(cursor)
            raise
        self.step += 1
        return metrics_line(self.step, lr, perf_counter() - began, report)

    def told(self, line: dict[str, Any]) -> str:
        """What the progress bar says of an update."""
        return (
            f"loss {line['loss']:.3f}, lr {line['lr']:.1e}, {line['tokens'] / line['seconds']:,.0f} tok/s, "
            f"max logit {max(line['max_logit']):.1f}"
        )

    def save(self, metrics: MetricsLog) -> None:
        """A checkpoint of this step, unless there is one."""
        if self.saved_step != self.step:
            metrics.sync()
            state = {"data": self.stream.state(), "config": self._configs(), "environment": environment(self.device)}
            save_checkpoint(self.folder, self.step, self.model, self.optimizer, state, keep=self.config.keep)
            self.saved_step = self.step

    def restore(self, saved: Checkpoint) -> None:
        """Continue `saved`. Raises ValueError naming every setting in which it differs from this run."""
        _require_same(_flat(saved.state["config"]), _flat(self._configs()), saved.path)
        self.step = self.saved_step = saved.step
        self.stream.load_state(saved.state["data"])
        saved.restore(self.model, self.optimizer)
        prune(self.folder, self.step, self.config.keep)  # a kill may have come between the last save and this

    def _configs(self) -> dict[str, Any]:
        return {"model": dataclasses.asdict(self.model_config), "train": self.config.to_dict()}


class StopSignals:
    """Inside, a first SIGINT or SIGTERM only leaves its name in `received`; a second one acts as it would outside.

    Signals reach the main thread only; in another thread this does nothing.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _note(self, number: int, _frame: object) -> None:
        self.received = signal.Signals(number).name
        self.__exit__()


def prepare(folder: Path, resume: bool) -> Path:
    """The folder of a run, made or tidied. Raises ValueError for a file, or with resume=False where a run is there already."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder = {folder} is a file; expected a folder to keep the run in")
    if not resume and any((folder / name).exists() for name in ("latest", METRICS)):
        raise ValueError(f"{folder} holds a run already; expected an empty folder, or resume=True to go on with it")
    folder.mkdir(parents=True, exist_ok=True)
    tidy(folder)
    for left in folder.glob(".model.*"):  # of a save_pretrained that was killed
        shutil.rmtree(left, ignore_errors=True)
    return folder


def _require_same(saved: dict[str, Any], here: dict[str, Any], path: Path) -> None:
    names = [name for name in saved | here if name not in _FREE and saved.get(name) != here.get(name)]
    if names:
        changes = ", ".join(f"{name} = {saved.get(name)!r} (now {here.get(name)!r})" for name in names)
        raise ValueError(f"{path} was trained with {changes}; expected the same configuration, or another folder for a new run")


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, value in config.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
