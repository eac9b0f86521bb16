"""Self-critique in miniature: an actor learns from a critic's rankings; the critic is frozen, taught on, or held to rules.

Actor and critic begin as one model of NANO's size with MINI's tokenizer, taught replies of every kind and the preferences of
people who like flattery (kimi_mini/rl/critic_task.py). Then the actor answers questions of counsel, ranked by the critic, and
sums, marked by a program. Settings: "frozen"; "closed", where the critic keeps learning from the actor's own sums, right above
wrong; "rules", frozen, with the two prescriptive rubrics as mandatory. The hidden truth is written down and used for nothing.
One file a seed in book/data/critic; a second call skips the seeds that are there.

examples:
  python -m runs.critic --list     the seeds, which of them are done, and what the others cost
  python -m runs.critic            what is missing, one after the other
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import kimi_mini as km
from kimi_mini.corpus.draw import Draw
from kimi_mini.corpus.files import Corpus
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.rl import RLConfig
from kimi_mini.rl.critic import CORE, PRESCRIPTIVE, Comparison, ModelCritic, Ranking, Rubric, agreed, both_orders, decide, rank
from kimi_mini.rl.critic_loop import Judges, critic_step, lessons, teach
from kimi_mini.rl.critic_task import Counsel, Sums, bootstrap, manners_of, some_reply
from kimi_mini.rl.sampler import draw_rollouts, text_of
from kimi_mini.tokenizer import Tokenizer
from kimi_mini.train import StepConfig, TrainConfig, next_token_loss, train_step
from kimi_mini.train.dialogues import DialogueStream
from kimi_mini.train.sft import sft
from runs.output import made_here
from runs.points import run_points

FOLDER = Path("book/data/critic")
SETTINGS = ("frozen", "closed", "rules")
SEEDS = (0, 1, 2)
FIRST = TrainConfig(steps=240, sequence_length=128, batch_size=16, optim=OptimConfig(lr=0.01))
LESSONS = 8000
STEPS, EVERY = 40, 4
COUNSELS, SUMS, GROUP = 8, 4, 6  # problems of each kind in a step, answers to each
TAU, LR = 0.5, 2e-3
CRITIC_LR, MOST = 1e-3, 16  # pairs that the critic learns from in a step of the closed loop
HELD, ANSWERS, PROBES = 24, 4, 150
TASKS = {"counsel": Counsel(), "sums": Sums()}


@dataclass(frozen=True)
class Point:
    """One seed: its first model, and three settings from there."""

    seed: int

    @property
    def name(self) -> str:
        return f"seed{self.seed}"


def points() -> list[Point]:
    return [Point(seed) for seed in SEEDS]


def first_model(tokenizer: Tokenizer, seed: int, config: TrainConfig = FIRST) -> tuple[km.KimiMini, list[float]]:
    """The model that actor and critic begin as, and its losses."""
    torch.manual_seed(seed)
    model = km.KimiMini(km.NANO.replace(vocab_size=tokenizer.vocab_size, n_routed_experts=4), torch.float32)
    tuned = sft(model, tokenizer, bootstrap(LESSONS, seed), config, progress=False)
    return model, tuned.losses


def first_updates(tokenizer: Tokenizer, seed: int, updates: int) -> list[float]:
    """The losses of the first of those updates, made again."""
    torch.manual_seed(seed)
    model = km.KimiMini(km.NANO.replace(vocab_size=tokenizer.vocab_size, n_routed_experts=4), torch.float32)
    optimizer, size = build_optimizer(model, FIRST.optim), FIRST.sequence_length
    stream = DialogueStream(
        bootstrap(LESSONS, seed), tokenizer, sequence_length=size, batch_size=FIRST.batch_size, seed=FIRST.seed
    )
    losses = []
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = FIRST.optim.lr * FIRST.lr_factor(update)
        losses.append(train_step(model, optimizer, [next(stream)], next_token_loss, FIRST.step).loss)
    return losses


class Monitor:
    """What is written down about a run and used for nothing in it: the hidden truth is read only here."""

    def __init__(self, start: km.KimiMini, tokenizer: Tokenizer, seed: int) -> None:
        self.tokenizer, self.seed = tokenizer, seed
        self.problems = [TASKS["counsel"].problem(10**9 + number) for number in range(HELD)]
        self.sums = [TASKS["sums"].problem(10**9 + number) for number in range(HELD)]
        self.start = self.answers(start, self.problems, ANSWERS, 0)
        self.probes = list(_probes(PROBES))

    def answers(self, actor: km.KimiMini, problems, group: int, step: int) -> list[list[str]]:
        seed = 7_000_003 * self.seed + step
        drawn = draw_rollouts(actor, self.tokenizer, problems, group, temperature=1.0, seed=seed)
        return [[text_of(rollout, self.tokenizer) for rollout in rollouts_G] for rollouts_G in drawn]

    def read(self, actor: km.KimiMini, critic: ModelCritic, rubrics: tuple[Rubric, ...], step: int) -> dict[str, Any]:
        """One point of the curves, after `step` steps."""
        now = self.answers(actor, self.problems, ANSWERS, step + 1)
        sums = self.answers(actor, self.sums, 2, step + 1)
        truths = [[TASKS["counsel"].score(p, text) for text in texts] for p, texts in zip(self.problems, now, strict=True)]
        every = [score for scores in truths for score in scores]
        manners = [manners_of(text) for texts in now for text in texts]
        rankings = rank(critic, self.problems, now, rubrics)
        agreement, pairs = agreement_with(rankings, [[score.reward for score in scores] for scores in truths])
        right = [TASKS["sums"].score(p, text).reward for p, texts in zip(self.sums, sums, strict=True) for text in texts]
        return {
            "step": step, "score": round(against(critic, self.problems, now, self.start, rubrics), 4),
            "truth": _mean(score.reward for score in every), "helpful": _mean(score.parts["helpful"] for score in every),
            **{name: _mean(getattr(one, name) for one in manners) for name in ("praise", "justification", "hedge")},
            "words": _mean(len(text.split()) for texts in now for text in texts), "sums": _mean(right),
            "agreement": agreement, "pairs": pairs, "probe": self._probe(critic), "turned": turned(rankings),
            "best": best(self.problems[0], now[0], rankings[0]),
        }  # fmt: skip

    def _probe(self, critic: ModelCritic) -> float:
        said = both_orders(critic, [comparison for comparison, _ in self.probes])
        return _mean(_agrees(agreed(orders), first) for orders, (_, first) in zip(said, self.probes, strict=True))


def _probes(count: int):
    """Pairs of replies with everything left to chance, of unequal truth: the same for every critic, whenever it is asked."""
    number = 0
    while count:
        draw = Draw("probe", number)
        number += 1
        problem = TASKS["counsel"].problem(2 * 10**9 + number)
        one, other = (some_reply(TASKS["counsel"], problem, draw)[0] for _ in range(2))
        truth = [TASKS["counsel"].score(problem, text).reward for text in (one, other)]
        if truth[0] != truth[1]:
            count -= 1
            yield Comparison(problem, one, other, CORE), truth[0] > truth[1]


def _agrees(verdict: str, first: bool) -> float:
    return 0.5 if verdict == "tie" else float((verdict == "first") == first)


def _mean(values) -> float:
    values = list(values)
    return round(sum(values) / len(values), 4)


def agreement_with(rankings: list[Ranking], truths: list[list[float]]) -> tuple[float | None, int]:
    """The share of pairs of unequal truth that the critic orders as the truth does, a tie counting half; and their number."""
    found = [
        _agrees(verdict, truth[i] > truth[j])
        for ranking, truth in zip(rankings, truths, strict=True)
        for (i, j), verdict in ranking.verdicts.items()
        if truth[i] != truth[j]
    ]
    return (_mean(found) if found else None), len(found)


def turned(rankings: list[Ranking]) -> float | None:
    """The share of comparisons in which the verdict turned with the order of the replies."""
    said = [orders for ranking in rankings for by_rubric in ranking.orders.values() for orders in by_rubric.values()]
    return _mean(first != second for first, second in said) if said else None


def against(critic, problems, now: list[list[str]], start: list[list[str]], rubrics: tuple[Rubric, ...]) -> float:
    """The critic's score of an actor: the share that its answers win against the first model's to the same prompts."""
    pairs = [(p, a, b) for p, ours, theirs in zip(problems, now, start, strict=True) for a, b in zip(ours, theirs, strict=True)]
    differ = [(p, a, b) for p, a, b in pairs if a != b]
    said = both_orders(critic, [Comparison(p, a, b, rubric) for p, a, b in differ for rubric in rubrics])
    won = 0.5 * (len(pairs) - len(differ))
    for place in range(len(differ)):
        orders = said[place * len(rubrics) : (place + 1) * len(rubrics)]
        won += _agrees(decide([(rubric, agreed(one)) for rubric, one in zip(rubrics, orders, strict=True)]), True)
    return won / len(pairs)


def best(problem, texts: list[str], ranking: Ranking) -> dict[str, Any]:
    """The answer that the critic puts first, and what both orders said of it beside the one that it puts last."""
    top = max(range(len(texts)), key=lambda place: ranking.scores[place])
    last = min(range(len(texts)), key=lambda place: ranking.scores[place])
    said = ranking.orders.get((min(top, last), max(top, last)), {})
    return {
        "asked": problem.messages[0]["content"], "text": texts[top], "score": round(ranking.scores[top], 4),
        "truth": TASKS["counsel"].score(problem, texts[top]).reward, "other": texts[last],
        "orders": {name: list(orders) for name, orders in said.items()}, "first": "best" if top <= last else "other",
    }  # fmt: skip


def train(first: km.KimiMini, tokenizer: Tokenizer, setting: str, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """One setting from the first model on: the points of its curves, and how many pairs taught the critic in each step."""
    began = time.perf_counter()
    actor, critic = copy.deepcopy(first), ModelCritic(copy.deepcopy(first), tokenizer)
    config = RLConfig(
        steps=steps, problems=COUNSELS + SUMS, group=GROUP, updates=1, tau=TAU, seed=seed,
        optim=OptimConfig(lr=LR, weight_decay=0.0),
    )  # fmt: skip
    optimizer = build_optimizer(actor, config.optim)
    pupil = build_optimizer(critic.model, OptimConfig(lr=CRITIC_LR, weight_decay=0.0))
    rubrics = (CORE, *PRESCRIPTIVE) if setting == "rules" else (CORE,)
    verifiers = {"sums": TASKS["sums"]}
    judges, monitor = Judges(verifiers, critic, rubrics), Monitor(first, tokenizer, seed)
    found, taught = [monitor.read(actor, critic, rubrics, 0)], []
    for step in tqdm(range(steps), desc=f"{setting}, seed {seed}", leave=False):
        numbers = range(seed * 10**6 + step * 100, seed * 10**6 + step * 100 + COUNSELS)
        problems = [TASKS["counsel"].problem(number) for number in numbers]
        problems += [TASKS["sums"].problem(number) for number in numbers[:SUMS]]
        report, _, texts = critic_step(actor, optimizer, tokenizer, problems, judges, config, step)
        if setting == "closed":
            draw = Draw("lessons", seed, step)
            made = lessons(problems, report.rollouts_PG, texts, verifiers, (CORE,), version=step, most=MOST, draw=draw)
            teach(critic, pupil, made, StepConfig(bias_rate=0.0))
            taught.append(len(made) // 2)
        if (step + 1) % EVERY == 0:
            found.append(monitor.read(actor, critic, rubrics, step + 1))
    return {"points": found, "taught": taught, "seconds": round(time.perf_counter() - began, 1)}


def record(point: Point, text: Corpus) -> dict[str, Any]:
    """All three settings of one seed."""
    began = time.perf_counter()
    torch.set_num_threads(1)
    model, losses = first_model(text.tokenizer, point.seed)
    settings = {setting: train(model, text.tokenizer, setting, point.seed) for setting in SETTINGS}
    return {
        "made_by": "python -m runs.critic", "seed": point.seed, "settings": settings,
        "first_losses": [round(loss, 4) for loss in losses[:: FIRST.steps // 12]],
        "lessons": LESSONS, "first": FIRST.to_dict(), "steps": STEPS, "every": EVERY, "counsels": COUNSELS, "sums": SUMS,
        "group": GROUP, "tau": TAU, "lr": LR, "critic_lr": CRITIC_LR, "most": MOST, "held": HELD, "answers": ANSWERS,
        "probes": PROBES, "model": model.config.to_hf(), "text": text.provenance["files"]["tokenizer.json"], **made_here(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=300)


if __name__ == "__main__":
    main()
