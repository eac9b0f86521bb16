"""The flight recorder: a small model at a constant rate, landed from six points of that run, and what to compare it with.

trunk      1,500 updates at the full rate; from each branch point (seed 0: six, else the last) 200 more while the rate falls
           by a cosine to a tenth. A landing goes on from the weights, the optimizer's moments and the data of the trunk.
cosine     1,700 updates, as many as trunk and last landing, the rate falling from the end of the warm-up on
bad        the trunk's first 600 updates again, with one batch of random tokens in the place of update 401's
One row a point in book/data/recorder, the numbers of every update, nothing smoothed; a second call skips what is there.
About a minute and a half each on one idle core, 7 points: 10 minutes in all.

examples:
  python -m runs.recorder --list             the points, and which of them are done
  python -m runs.recorder                    what is missing, one after the other
  python -m runs.recorder --shard 0/2        every second point, for two processes side by side
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig, build_optimizer, max_violation, wsd_factor
from kimi_mini.train import StepConfig, StepReport, TokenStream
from kimi_mini.train.loss import Batch
from kimi_mini.train.snapshot import put_back, take
from kimi_mini.viz.series import pack
from runs.output import made_here
from runs.points import run_points
from runs.reading import window_loss
from runs.training import small_config, stream, updates

FOLDER = Path("book/data/recorder")
HEADS = 4
LENGTH, SIZE = 32, 16  # tokens of a sequence, sequences of an update
TRUNK, LANDING, WARMUP = 1500, 200, 20
BAD_RUN, BAD_BATCH = 600, 400  # updates, and the number of the batch that is replaced, from 0
BRANCHES = (250, 500, 750, 1000, 1250, 1500)
RATE, FINAL, DECAY = 0.01, 0.1, 0.1  # the rate at which this kind of model learned best in runs.muonclip; K2's fall and decay
SEEDS = (0, 1, 2)
HELD_OUT = 40_960  # tokens
SAMPLES = (50, 250, 500, 750, 1000, 1250, 1500)  # updates of the trunk after which it writes
PROMPT, WRITES = "ROMEO.\n", 32


@dataclass(frozen=True)
class Point:
    """One row: "trunk" with its landings, "cosine" or "bad"."""

    kind: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}-seed{self.seed}"


def points() -> list[Point]:
    """The first seed first: a run that is cut off leaves whole pictures."""
    return [Point("bad", SEEDS[0])] + [Point(kind, seed) for seed in SEEDS for kind in ("trunk", "cosine")]


class Craft(NamedTuple):
    """What a run is made of."""

    model: km.KimiMini
    optimizer: torch.optim.Optimizer
    batches: TokenStream | Iterator[Batch]


def build(point: Point, text: Corpus) -> Craft:
    """Fresh weights; every point of a seed reads the same batches."""
    torch.manual_seed(point.seed)
    config = small_config(text, num_attention_heads=HEADS)
    model = km.KimiMini(config, torch.float32)
    optimizer = build_optimizer(model, OptimConfig(lr=RATE, weight_decay=DECAY))
    return Craft(model, optimizer, stream(text, TRUNK + LANDING, length=LENGTH, size=SIZE, seed=point.seed))


def branch_off(craft: Craft, point: Point, text: Corpus) -> Craft:
    """A second craft that goes on where `craft` is: weights, the optimizer's moments, place in the text."""
    other = build(point, text)
    put_back(take(craft.model, craft.optimizer), other.model, other.optimizer)
    other.batches.load_state(craft.batches.state())
    return other


def with_bad_batch(batches: TokenStream, vocab_size: int) -> Iterator[Batch]:
    """The same batches, but for number BAD_BATCH: as many tokens, drawn evenly from the whole vocabulary."""
    for number, batch in enumerate(batches):
        if number == BAD_BATCH:
            ids_BT = torch.randint(vocab_size, (SIZE, LENGTH + 1), generator=torch.Generator().manual_seed(0))
            batch = Batch(ids_BT[:, :-1], ids_BT[:, 1:])
        yield batch


# ---- learning rates ----------------------------------------------------------------------------------------------------


def trunk_rates() -> list[float]:
    """Warm-up, then flat."""
    return [RATE * wsd_factor(step, warmup=WARMUP, total=TRUNK, decay=0) for step in range(TRUNK)]


def landing_rates(branch: int) -> list[float]:
    """From `branch` updates on: the end of a run that was to be that much longer."""
    schedule = {"warmup": WARMUP, "total": branch + LANDING, "decay": LANDING, "final": FINAL}
    return [RATE * wsd_factor(step, **schedule) for step in range(branch, branch + LANDING)]


def cosine_rates() -> list[float]:
    """The same rule with no flat part."""
    total = TRUNK + LANDING
    return [RATE * wsd_factor(step, warmup=WARMUP, total=total, decay=total - WARMUP, final=FINAL) for step in range(total)]


# ---- recording ---------------------------------------------------------------------------------------------------------


Flight = list[tuple[float, StepReport]]  # the rate and the report of every update


def fly(craft: Craft, rates: Iterable[float], what: str) -> Flight:
    """Train `craft` at `rates`."""
    rates = list(rates)
    return list(zip(rates, updates(*craft, rates, StepConfig(), what), strict=True))


def packed(flight: Flight) -> dict[str, Any]:
    """What a row keeps of a run: each series has a number for every update, head maxima one for each head."""
    reports = [report for _, report in flight]
    return {
        "updates": len(flight), "lr": pack([rate for rate, _ in flight]), "loss": pack([r.loss for r in reports]),
        "grad_asinh": pack(np.arcsinh([r.grad_norm for r in reports])),
        "max_logits_asinh": pack(np.arcsinh([r.stats.max_logits_LH.numpy() for r in reports])),
        "violation": pack([violation(r) for r in reports]),
    }  # fmt: skip


def violation(report: StepReport) -> float:
    """Largest over mean load of an expert, less one, in the worst layer."""
    return float(max_violation(report.stats.expert_load_LE).max())  # a dense layer has none


def held_out(text: Corpus) -> Tensor:
    """windows_WT of LENGTH + 1 tokens that no run has trained on, the domains in the mixture's shares."""
    pieces = []
    for domain, share in corpus.WEIGHTS.items():
        ids = text.tokens[domain]["held_out"].astype(np.int64)
        count = int(share * HELD_OUT) // LENGTH
        pieces.append(torch.from_numpy(ids[: count * LENGTH + 1]).unfold(0, LENGTH + 1, LENGTH))
    return torch.cat(pieces)


def held_out_loss(model: km.KimiMini, text: Corpus) -> float:
    """Nats a token, to four digits."""
    return round(window_loss(model, held_out(text), rows=64), 4)


def sample(model: km.KimiMini, text: Corpus) -> str:
    """The most likely continuation of PROMPT."""
    prompt = [text.tokenizer.bos, *text.tokenizer.encode(PROMPT)]
    (answer,) = km.generate(model, [prompt], max_new_tokens=WRITES, eos=text.tokenizer.eos)
    return text.tokenizer.decode(answer)


def record(point: Point, text: Corpus) -> dict[str, Any]:
    """Make one row: the series of every update, the held-out losses, and what fixes them."""
    began, craft = time.perf_counter(), build(point, text)
    if point.kind == "trunk":
        flown = _trunk(point, craft, text)
    elif point.kind == "cosine":
        flown = {"run": packed(fly(craft, cosine_rates(), point.name)), "held_out": held_out_loss(craft.model, text)}
    else:
        spoilt = craft._replace(batches=with_bad_batch(craft.batches, craft.model.config.vocab_size))
        flown = {"run": packed(fly(spoilt, trunk_rates()[:BAD_RUN], point.name))}
    shape = [craft.model.config.num_hidden_layers, craft.model.config.num_attention_heads]
    return {
        "made_by": "python -m runs.recorder", "point": asdict(point), **flown, "shape": shape,
        "tokens_per_update": LENGTH * SIZE, "warmup": WARMUP, "rate": RATE,
        "step_config": asdict(StepConfig()),
        "model": craft.model.config.to_hf(), "text": text.provenance["files"]["tokenizer.json"],
        **made_here(), "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _trunk(point: Point, craft: Craft, text: Corpus) -> dict[str, Any]:
    """The flat run in legs from one stop to the next, and a landing from each branch point, made on a copy."""
    branches = BRANCHES if point.seed == SEEDS[0] else BRANCHES[-1:]
    rates, landings, samples = trunk_rates(), [], []
    trunk: Flight = []
    for stop in sorted({*branches, *SAMPLES}):
        trunk += fly(craft, rates[len(trunk) : stop], f"{point.name} to {stop}")
        if stop in SAMPLES:
            samples.append({"update": stop, "text": sample(craft.model, text)})
        if stop in branches:
            landing = branch_off(craft, point, text)
            before = held_out_loss(landing.model, text)
            run = packed(fly(landing, landing_rates(stop), f"landing from {stop}"))
            after = held_out_loss(landing.model, text)
            landings.append({"branch": stop, "run": run, "before": before, "after": after})
    return {"run": packed(trunk), "landings": landings, "samples": samples, "prompt": PROMPT}


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=100)


if __name__ == "__main__":
    main()
