"""Saying it ten ways: MINI goes on learning from made-up villages that three students read in three ways, at equal tokens.

  raw   the raw text of each village, again and again
  one   one rephrasing of it, again and again
  ten   ten rephrasings of it, in turn

Each update reads eight such texts and, so that the rest is not forgotten, two windows of THE text. At several checkpoints
every fact is asked for in five wordings (corpus.villages.LEVELS). Kept: the probability of the right answer among ten, and
whether the model, left to itself, writes it. The points: three learning rates at one seed, two seeds more at the middle rate
(MINI's own), and at that rate ten readings in place of forty, as in the report's table. The highest rate turned out best for
all three students. One file a point in book/data/rephrase; a second call skips the points that are there.

examples:
  python -m runs.rephrase --list             the points, and which of them are done
  python -m runs.rephrase                    what is missing, one after the other (24 points, 15 minutes on a free core)
  python -m runs.rephrase --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.corpus.draw import Draw
from kimi_mini.corpus.files import Corpus
from kimi_mini.corpus.villages import LEVELS, VALUES, VERSIONS, Village, villages
from kimi_mini.kernels.rows import IGNORE
from kimi_mini.optim import OptimConfig, build_optimizer, wsd_factor
from kimi_mini.synth import equal_budget
from kimi_mini.train import Batch, TokenStream, next_token_loss
from kimi_mini.train.evaluation import evaluate
from kimi_mini.viz.rephrase_runs import RATE, STUDENTS, prompts
from kimi_mini.viz.series import pack
from runs.output import made_here
from runs.points import run_points
from runs.training import updates

FOLDER = Path("book/data/rephrase")
COUNT, TEXTS, REPLAYED, LENGTH = 32, 8, 2, 80  # villages; texts and windows of an update; tokens of a window
WARMUP, CHECKPOINTS = 10, (10, 20, 30, 40)
SEEDS, RATES = (0, 1, 2), (0.001, 0.003, 0.01)


class Point(NamedTuple):
    """One student: what it reads, how often, how fast it learns."""

    student: str
    readings: int
    lr: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.student}-read{self.readings}-lr{self.lr}-seed{self.seed}"


def points() -> Iterator[Point]:
    """First what makes a picture: one seed, then the sweep, then the other seeds, then ten readings."""
    yield from (Point(student, 40, RATE, SEEDS[0]) for student in STUDENTS)
    yield from (Point(student, 40, lr, SEEDS[0]) for lr in RATES if lr != RATE for student in STUDENTS)
    for readings in (40, 10):
        seeds = SEEDS[1:] if readings == 40 else SEEDS
        yield from (Point(student, readings, RATE, seed) for seed in seeds for student in STUDENTS)


def record(at: Point, text: Corpus, stop: int | None = None) -> dict[str, Any]:
    """Train one student and ask it; returns its answers and what fixes them. With `stop`, it is asked after that reading."""
    began = time.perf_counter()
    torch.manual_seed(at.seed)
    model, _ = km.load_mini()
    optimizer = build_optimizer(model, OptimConfig(lr=at.lr, weight_decay=0.0))
    taught = taught_villages(at.seed, text)
    lessons = reading_list(at, taught, text)
    replay = replayed(at.seed, text)
    total = sum(math.ceil(len(reading) / TEXTS) for reading in lessons)
    rates = iter([at.lr * wsd_factor(step, warmup=WARMUP, total=total, decay=total // 3) for step in range(total)])
    train_loss, answers = [], {}
    lessons = lessons[:stop]
    for number, reading in enumerate(lessons, start=1):
        batches = [with_replay(reading[start : start + TEXTS], replay) for start in range(0, len(reading), TEXTS)]
        losses = LossApart()
        for _ in updates(model, optimizer, iter(batches), [next(rates) for _ in batches], loss_fn=losses, what=at.name):
            pass
        train_loss.append(losses.nats / losses.count)
        if number == len(lessons):  # the tokens may have been spent a little before the last reading's end
            answers[stop or at.readings] = ask(model, taught, at.student, text)
        elif number in CHECKPOINTS:
            answers[number] = ask(model, taught, at.student, text)
    return {
        "made_by": "python -m runs.rephrase", **at._asdict(), "villages": COUNT, "levels": LEVELS,
        "tokens": sum(len(ids) for reading in lessons for ids in reading), "updates": total,
        "replayed": total * REPLAYED * LENGTH, "train_loss": [round(loss, 4) for loss in train_loss],
        "checkpoints": list(answers), **{key: [answer[key] for answer in answers.values()] for key in ("probability", "exact")},
        "ordinary_loss": round(ordinary_loss(model, text), 4),
        "text": text.provenance["files"]["tokenizer.json"],
        **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


# ---- what is read -------------------------------------------------------------------------------------------------------


def taught_villages(seed: int, text: Corpus) -> list[Village]:
    """The villages of one seed; THE text knows none of them."""
    return villages(COUNT, seed, "".join(known for split in ("train", "held_out") for known in text.texts("facts", split)))


def readings(student: str, taught: list[Village], count: int) -> list[list[str]]:
    """What a student reads, reading by reading: of every village one text."""
    own = {
        "raw": lambda village, number: village.raw,
        "one": lambda village, number: village.versions[0],
        "ten": lambda village, number: village.versions[number % VERSIONS],
    }[student]
    return [[own(village, number) for village in taught] for number in range(count)]


def reading_list(at: Point, taught: list[Village], text: Corpus) -> list[list[list[int]]]:
    """The tokens of each text of each reading in the order of reading, cut off at the tokens that every student has."""
    tokenizer = text.tokenizer

    def ids(one: str) -> list[int]:
        return [tokenizer.bos, *tokenizer.encode(one), tokenizer.eos]

    def count(one: str) -> int:
        return len(ids(one))

    every = {
        student: [
            one
            for number, texts in enumerate(readings(student, taught, at.readings))
            for one in Draw("order", at.seed, number).shuffled(texts)
        ]
        for student in STUDENTS
    }
    budget = min(sum(map(count, texts)) for texts in every.values())
    kept = [ids(one) for one in equal_budget(every[at.student], budget, count)]
    return [kept[start : start + len(taught)] for start in range(0, len(kept), len(taught))]


def replayed(seed: int, text: Corpus) -> TokenStream:
    """Windows of THE text, to be read beside the villages."""
    tokens_N, size = corpus.mix(text, 200_000, seed=seed), text.tokenizer.vocab_size
    return TokenStream(tokens_N, sequence_length=LENGTH, batch_size=REPLAYED, seed=seed, vocab_size=size)


def with_replay(texts: list[list[int]], replay: TokenStream) -> Batch:
    """One row a text, filled up with nothing, and the next windows of `replay`."""
    rows_BT = torch.full((len(texts), LENGTH + 1), IGNORE)
    for row_T, ids in zip(rows_BT, texts, strict=True):
        row_T[: len(ids)] = torch.tensor(ids)
    ordinary = next(replay)
    tokens_BT = torch.cat([rows_BT[:, :-1].clamp(min=0), ordinary.tokens_BT])
    return Batch(tokens_BT, torch.cat([rows_BT[:, 1:], ordinary.targets_BT]))


class LossApart:
    """The usual loss, which also adds up what the villages' rows contribute."""

    def __init__(self) -> None:
        self.nats, self.count = 0.0, 0

    def __call__(self, logits_BTV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        parts = [
            next_token_loss(logits_BTV[rows], Batch(batch.tokens_BT[rows], batch.targets_BT[rows]))
            for rows in (slice(-REPLAYED), slice(-REPLAYED, None))
        ]
        self.nats, self.count = self.nats + parts[0][0].item(), self.count + int(parts[0][1])
        return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]


# ---- what is asked ------------------------------------------------------------------------------------------------------


def ask(model: km.KimiMini, taught: list[Village], student: str, text: Corpus) -> dict[str, Any]:
    """Every fact in every wording: the right answer's probability among the ten of its kind (packed), and whether the model
    writes it ("1") or not: the word that it continues with, most likely token after most likely token.
    """
    tokenizer = text.tokenizer
    facts = [(village, kind) for village in taught for kind in VALUES]
    probability, exact = [], []
    for level in range(len(LEVELS)):
        ids = [[tokenizer.bos, *tokenizer.encode(prompts(*fact, student)[level])] for fact in facts]
        logits_FV = next_logits(model, ids)
        written = km.generate(model, ids, max_new_tokens=2)
        for (village, kind), logits_V, tokens in zip(facts, logits_FV, written, strict=True):
            right = village.facts[kind]
            among = [tokenizer.encode(f" {value}")[0] for value in VALUES[kind]]
            probability.append(logits_V[among].softmax(0)[VALUES[kind].index(right)].item())
            exact.append(re.match(r"\s*(\w*)", tokenizer.decode(tokens))[1] == right)
    return {"probability": pack(np.array(probability)), "exact": "".join(str(int(right)) for right in exact)}


@torch.inference_mode()
def next_logits(model: km.KimiMini, ids: list[list[int]], size: int = 64) -> Tensor:
    """The logits_BV of what comes after each prompt; prompts of like length are read together."""
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    found = torch.empty(len(ids), model.config.vocab_size)
    for rows in (order[start : start + size] for start in range(0, len(order), size)):
        tokens_BT = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids[row]) for row in rows], batch_first=True)
        last_B = torch.tensor([len(ids[row]) - 1 for row in rows])
        found[rows] = model(tokens_BT).logits_BTV[torch.arange(len(rows)), last_B]
    return found


def ordinary_loss(model: km.KimiMini, text: Corpus) -> float:
    """Nats per token on held-out documents of THE text's domain "facts", sixty of them."""
    return evaluate(model, text.tokenizer, text.texts("facts", "held_out")[:60], context=256).nats_per_token


# ---- the command -------------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=38)


if __name__ == "__main__":
    main()
