"""Reinforcement learning from start to end: problems, iterations, held-out answers, a log, and resume after a kill."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..hub import save_pretrained
from ..model import KimiMini
from ..optim import build_optimizer
from ..tokenizer import Tokenizer
from ..train.metrics import metrics_line
from ..train.pretrain import Run, prepare
from .answers import draw_marked
from .config import RLConfig
from .curriculum import Curriculum, held_out_problems
from .step import RLReport, Rows, rl_step
from .types import Problem, Task

HELD_OUT_SEED = 20_250_728  # answers to held-out problems are drawn alike in every run


class HeldOut(NamedTuple):
    """What one answer to each held-out problem came to: right answers, mean tokens, share cut at its budget, and the drift,
    an estimate of KL(policy || start) of an answer in nats."""

    right: int
    length: float
    truncated: float
    drift: float


def reinforce(
    model: KimiMini,
    tokenizer: Tokenizer,
    task: Task,
    config: RLConfig,
    folder: str | Path,
    *,
    text_NS: Tensor | None = None,
    resume: bool = True,
    progress: bool = True,
) -> KimiMini:
    """Let `model` learn `task`, in place, from the rewards of its own answers; checkpoints and metrics.jsonl are kept in
    `folder`, and at the end `model` in the Hugging Face layout.

    `text_NS` are the rows of text that PTX chooses from. The same call again goes on from the last checkpoint and ends with
    the same bits (on the CPU of one machine); each iteration is in the log once. Raises as `train.pretrain` does.
    """
    learning = Learning.start(model, tokenizer, task, config, prepare(Path(folder), resume), text_NS)
    learning.to_end(progress)
    save_pretrained(model, learning.folder / "model")
    return model


@dataclass
class Learning(Run):
    """The loop of `train.Run` around `rl_step`; what is read next is the curriculum's to say. `report` is the last one."""

    tokenizer: Tokenizer = field(kw_only=True)
    task: Task = field(kw_only=True)
    curriculum: Curriculum = field(kw_only=True)
    held_out: Sequence[Problem] = field(kw_only=True)
    beginning: KimiMini = field(kw_only=True)
    text_NS: Tensor | None = field(kw_only=True, default=None)
    problems_P: list[Problem] = field(init=False, default_factory=list)
    report: RLReport | None = field(init=False, default=None)

    @classmethod
    def start(
        cls, model: KimiMini, tokenizer: Tokenizer, task: Task, config: RLConfig, folder: Path, text_NS: Tensor | None = None
    ) -> Learning:
        held_out = held_out_problems(task, config.held_out)
        return cls(
            folder, model.config, config, model.embed.weight.device, model, build_optimizer(model, config.optim), {},
            tokenizer=tokenizer, task=task, held_out=held_out, text_NS=text_NS, beginning=copy.deepcopy(model),
            curriculum=Curriculum(task, held_out, config.pool, config.seed, config.curriculum),
        )  # fmt: skip

    @property
    def stream(self) -> Curriculum:
        """Whose state a checkpoint keeps."""
        return self.curriculum

    def advance(self) -> dict[str, Any]:
        """One iteration; returns its line of the log."""
        began, config, cursor = perf_counter(), self.config, self.curriculum.state()
        first = {"held_out_at_start": self.measure()._asdict()} if self.step == 0 and self.held_out else {}
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr_at(self.step)
        places = self.curriculum.draw(config.problems)
        self.problems_P = [self.curriculum.pool[place] for place in places]
        try:
            self.report = rl_step(
                self.model, self.optimizer, self.tokenizer, self.task, self.problems_P, config, self.step, self._text()
            )
        except FloatingPointError:
            self.curriculum.load_state(cursor)
            raise
        self.curriculum.note(places, [sum(s.reward for s in scores_G) / config.group for scores_G in self.report.scores_PG])
        self.step += 1
        due = self.step % config.evaluate_every == 0 or self.step == config.steps
        last = {"held_out": self.measure()._asdict()} if due and self.held_out else {}
        numbers = metrics_line(self.step, config.lr_at(self.step - 1), perf_counter() - began, self.report.updates[-1])
        return numbers | summary(self.report) | {"temperature": config.temperature_at(self.step - 1)} | first | last

    def measure(self) -> HeldOut:
        """One answer to each held-out problem at temperature 1, the same chance every time."""
        rollouts_P1, scores_P1 = draw_marked(
            self.model, self.tokenizer, self.task, self.held_out, 1, temperature=1.0, seed=HELD_OUT_SEED,
            budget=self.config.budget,
        )  # fmt: skip
        rows = Rows.of(self.tokenizer, self.held_out, rollouts_P1, torch.zeros(len(rollouts_P1)))
        drift = -rows.log_ratios(self.beginning, self.config.micro_batch).sum(1).mean().item()
        answers = [(score, rollout) for (score,), (rollout,) in zip(scores_P1, rollouts_P1, strict=True)]
        return HeldOut(
            sum(score.reward == 1 for score, rollout in answers if rollout.finished),
            sum(sum(rollout.mask) for _, rollout in answers) / len(answers),
            sum(not rollout.finished for _, rollout in answers) / len(answers),
            drift,
        )

    def told(self, line: dict[str, Any]) -> str:
        held = line.get("held_out", {}).get("right")
        return f"reward {line['reward']:.3f}" + ("" if held is None else f", held out {held} of {len(self.held_out)}")

    def _text(self) -> Tensor | None:
        """The rows that PTX reads in this iteration."""
        if self.text_NS is None or not self.config.ptx_rows:
            return None
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.step)
        return self.text_NS[torch.randperm(len(self.text_NS), generator=generator)[: self.config.ptx_rows]]

    def _configs(self) -> dict[str, Any]:
        names = [problem.id for problem in (*self.held_out, *self.curriculum.pool)]
        return super()._configs() | {"task": {"name": self.task.name, "problems": len(names), "last": names[-1]}}


def summary(report: RLReport) -> dict[str, float]:
    """The numbers of an iteration: rewards, advantages, lengths in tokens, what was cut, and how far the policy moved.

    surprisal is the mean of -log p of the tokens drawn: at temperature 1 an estimate of the policy's entropy a token, in nats.
    half_solved is the share of groups that were neither all right nor all wrong.
    """
    answers = [rollout for rollouts_G in report.rollouts_PG for rollout in rollouts_G]
    own = sum(sum(rollout.mask) for rollout in answers)
    nats = -sum(p for rollout in answers for p, mine in zip(rollout.logprobs, rollout.mask, strict=True) if mine)
    solved_PG = torch.tensor([[score.reward for score in scores_G] for scores_G in report.scores_PG])
    parts = report.scores_PG[0][0].parts
    return {
        "reward": report.rewards_PG.mean().item(),
        "reward_spread": report.rewards_PG.std(correction=0).item(),
        "solved": solved_PG.mean().item(),
        "half_solved": (solved_PG.std(1, correction=0) > 0).double().mean().item(),
        "advantage": report.advantages_PG.abs().mean().item(),
        "length": own / len(answers),
        "truncated": sum(not rollout.finished for rollout in answers) / len(answers),
        "surprisal": nats / own,
        "divergence": report.divergence,
        "parts": {name: _mean(report, name) for name in parts},
    }


def _mean(report: RLReport, part: str) -> float:
    values = [score.parts.get(part, 0.0) for scores_G in report.scores_PG for score in scores_G]
    return sum(values) / len(values)
