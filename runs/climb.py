"""The climb: MINI after a light SFT learns `rising` from the marks of its own answers, beside a control of equal time.

Points: three seeds of RL, then for each a control that starts from the same policy and spends the same processor time on more
SFT, on the gold answers of the very problems that RL drew from. One file a point in book/data/climb; a second call skips what
is there. Seconds are of the processor, one thread; the wall clock of a busy machine stands beside them.

A row of RL ("climb-seedN") has
  held       [step, right answers of `problems`, one a problem at temperature 1], step 0 being the light SFT
  greedy     right answers at temperature 0, before and after
  log        lists with one number a step: reward, solved, half_solved, advantage, length, truncated, surprisal, divergence
             (nats an answer, old to new policy of one step), grad_norm, temperature
  drift      [step, KL(policy || start) of an answer in nats] at the steps of `held`
  groups     at five steps, three problems with their eight answers: {step, prompt, answers: [{text, reward, old, new}]}; old
             and new are log-probabilities summed over the answer's tokens, before and after the step's one update
  samples    one answer of every step: {step, prompt, text, reward}
A row of the control ("control-seedN") has `held` and `greedy` in the same form (steps are updates), and `matches` the seconds.

examples:
  python -m runs.climb --list             the points, and which of them are done
  python -m runs.climb                    what is missing, one after the other
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch

from kimi_mini.corpus.files import Corpus
from kimi_mini.rl.answers import draw_marked
from kimi_mini.rl.climb import CLIMB, LIGHT, Start, climb_task, light_sft, more_sft
from kimi_mini.rl.loop import Learning
from kimi_mini.rl.sampler import text_of
from runs.output import made_here
from runs.points import run_points

FOLDER = Path("book/data/climb")
SEEDS, WATCHED, SHOWN = (0, 1, 2), 5, 3
COLUMNS = "reward solved half_solved advantage length truncated surprisal divergence grad_norm temperature".split()


class Point(NamedTuple):
    """One run: "climb" by RL, or its "control"."""

    kind: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}-seed{self.seed}"


def points() -> list[Point]:
    """The climbs first: a control needs to know what its climb has spent."""
    return [Point(kind, seed) for kind in ("climb", "control") for seed in SEEDS]


def record(point: Point, text: Corpus, steps: int = CLIMB.steps) -> dict[str, Any]:
    """One row."""
    torch.set_num_threads(1)
    torch.manual_seed(point.seed)
    began = perf_counter()
    config = dataclasses.replace(CLIMB, seed=point.seed, steps=steps)
    start = light_sft(climb_task(), config)
    learning = Learning.start(start.model, start.tokenizer, climb_task(), config, FOLDER)
    row = climb(learning) if point.kind == "climb" else control(learning, start, point.seed)
    return {
        "made_by": "python -m runs.climb", **point._asdict(), "task": learning.task.name, "problems": len(learning.held_out),
        "light_sft": {"updates": start.updates, "seconds": round(start.processor, 1), "config": LIGHT.to_dict()},
        **row, "config": config.to_dict(), **made_here(), "busy": True, "seconds": round(perf_counter() - began, 1),
    }  # fmt: skip


def climb(learning: Learning) -> dict[str, Any]:
    """Let it learn, and keep what the chapter shows."""
    config, lines, groups, samples = learning.config, [], [], []
    greedy, spent = [greedy_right(learning)], 0.0
    watched = {1 + round(place * (config.steps - 1) / (WATCHED - 1)) for place in range(WATCHED)}
    while learning.step < config.steps:
        began = process_time()
        line = learning.advance()
        spent += process_time() - began
        lines.append(line)
        print(f"step {learning.step}: {learning.told(line)}, {process_time() - began:.1f} s", flush=True)
        samples.append(_answers(learning, 0)[0] | {"step": learning.step, "prompt": _prompt(learning, 0)})
        if learning.step in watched:
            groups += [_group(learning, place) for place in _most_mixed(learning)]
    held = [(0, lines[0]["held_out_at_start"])] + [(line["step"], line["held_out"]) for line in lines if "held_out" in line]
    return {
        "held": [[step, found["right"]] for step, found in held],
        "drift": [[step, round(found["drift"], 4)] for step, found in held],
        "greedy": [*greedy, greedy_right(learning)],
        "spent": round(spent, 1),
        "log": {name: [round(line[name], 5) for line in lines] for name in COLUMNS},
        "groups": groups,
        "samples": [{name: one[name] for name in ("step", "prompt", "text", "reward")} for one in samples],
    }


def control(learning: Learning, start: Start, seed: int) -> dict[str, Any]:
    """More SFT for as long as the climb of this seed took."""
    spent = json.loads((FOLDER / f"climb-seed{seed}.json").read_text(encoding="utf-8"))["spent"]
    held, greedy = [[0, learning.measure().right]], [greedy_right(learning)]
    began = process_time()
    updates = more_sft(start, learning.task, learning.config, spent / start.processor)
    took = process_time() - began
    held.append([updates, learning.measure().right])
    return {
        "held": held, "greedy": [*greedy, greedy_right(learning)], "matches": spent, "spent": round(took, 1),
        "updates": updates,
    }  # fmt: skip


def greedy_right(learning: Learning) -> int:
    """Held-out problems whose likeliest answer is right."""
    model, tokenizer, held = learning.model, learning.tokenizer, learning.held_out
    drawn = draw_marked(model, tokenizer, learning.task, held, 1, temperature=0.0, seed=0)
    pairs = zip(drawn.scores_PG, drawn.rollouts_PG, strict=True)
    return sum(score.reward == 1 and rollout.finished for (score,), (rollout,) in pairs)


def _most_mixed(learning: Learning) -> list[int]:
    """Places of the problems of this step that were nearest to half solved."""
    solved_P = (learning.report.rewards_PG > 0.5).double().mean(1)
    return (solved_P - 0.5).abs().argsort(stable=True)[:SHOWN].tolist()


def _group(learning: Learning, place: int) -> dict[str, Any]:
    return {"step": learning.step, "prompt": _prompt(learning, place), "answers": _answers(learning, place)}


def _prompt(learning: Learning, place: int) -> str:
    return learning.problems_P[place].messages[-1]["content"]


def _answers(learning: Learning, place: int) -> list[dict[str, Any]]:
    report = learning.report
    rows = zip(report.rollouts_PG[place], report.rewards_PG[place].tolist(), report.log_ratios_PG[place].tolist(), strict=True)
    return [
        {
            "text": text_of(rollout, learning.tokenizer),
            "reward": reward,
            "old": round(sum(rollout.logprobs), 4),
            "new": round(sum(rollout.logprobs) + ratio, 4),
        }
        for rollout, reward, ratio in rows
    ]


def main(argv: list[str] | None = None) -> None:
    """Record what is not there yet."""
    run_points(argv, doc=__doc__, points=points(), record=record, folder=FOLDER, seconds=120)


if __name__ == "__main__":
    main()
