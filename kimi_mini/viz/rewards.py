"""The figures of the chapter on verifiable rewards: eight cards, the run scrubber and the quiet ones beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import require
from ..synth import wilson_interval
from . import still
from .quiet import Quiet, beneath, caption, quiet
from .rewards_runs import Group, Pulls, Run, load_pulls, load_recording
from .series import pack
from .stage import Stage, stage

__all__ = ["eight_cards", "load_pulls", "load_recording", "pull_figure", "pushes", "run_scrubber"]

TAUS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)


def pushes(rewards_G: Sequence[float], log_ratio_G: Sequence[float], tau: float) -> np.ndarray:
    """The factor of each answer's gradient in the closed form of the objective: r - mean r - tau log(new / old) (K2, 3.2.3)."""
    rewards_G = np.asarray(rewards_G, dtype=float)
    require(len(rewards_G) == len(log_ratio_G) > 0, "log_ratio_G", len(log_ratio_G), f"{len(rewards_G)} numbers")
    return rewards_G - rewards_G.mean() - tau * np.asarray(log_ratio_G, dtype=float)


# ---- eight cards -------------------------------------------------------------------------------------------------------


def eight_cards(groups: Sequence[Group], *, tau: float, temperature: float) -> Stage:
    """Answers to one problem at several checkpoints, each with a reward that may be dragged and an arrow for its push."""
    sizes = {len(group.answers) for group in groups}
    require(len(sizes) == 1 and min(sizes) > 1, "answers a group", sorted(sizes), "the same number, at least 2, in all groups")
    opening = max(range(len(groups)), key=lambda index: _mixed(groups[index]))
    data = {
        "groups": [
            {
                "step": group.step,
                "prompt": group.prompt,
                "answers": [{"text": a.text, "reward": a.reward, "old": a.old, "new": a.new} for a in group.answers],
            }
            for group in groups
        ],
        "opening": opening, "taus": sorted({*TAUS, tau}), "tau": tau, "temperature": temperature,
    }  # fmt: skip
    shown = groups[opening]
    rewards = [answer.reward for answer in shown.answers]
    pushed = pushes(rewards, [answer.new - answer.old for answer in shown.answers], tau)
    rows = [(a.text, f"{a.reward:g}", f"{push:+.2f}") for a, push in zip(shown.answers, pushed, strict=True)]
    right = sum(reward > 0.5 for reward in rewards)
    return stage(
        "cards",
        data,
        name="rewards-cards",
        title=f"{right} of {len(rewards)} right: the push of an answer is its reward less the mean of its group.",
        alt="Eight answers to one problem as cards. Each has a slider for its reward and an arrow, up or down, for the push "
        "the objective gives it. Below, the sum of all pushes: largest for a problem that is half solved, 0 at both ends.",
        still=still.table(("answer", "reward", "push"), rows),
        height=1050,
    )


def _mixed(group: Group) -> float:
    """How far a group is from being all right or all wrong."""
    mean = float(np.mean([answer.reward for answer in group.answers]))
    return mean * (1 - mean)


# ---- the run scrubber --------------------------------------------------------------------------------------------------


def run_scrubber(runs: Sequence[Run], *, name: str = "rewards-run") -> Stage:
    """Reward, right answers, length and divergence of recorded runs over their steps, with samples; the first opens."""
    first = runs[0]
    data = {
        "runs": [_run(run) for run in runs],
        "span": max(run.steps for run in runs),
        "problems": first.problems,
    }
    rows = [(step, f"{right / first.problems:.1%}") for step, right in first.held]
    return stage(
        "scrubber",
        data,
        name=name,
        title=f"From {first.held[0][1] / first.problems:.0%} to {first.held[-1][1] / first.problems:.0%} right on problems it "
        f"never saw, in {first.steps} steps.",
        alt="Four strips over the steps of one run: right answers on held-out problems with intervals beside a control, mean "
        "reward, mean length and divergence from the start. A slider moves the step; one of its answers stands below.",
        still=still.table(("step", "right, held out"), rows),
        height=1000,
    )


def _run(run: Run) -> dict[str, Any]:
    def shares(points: Sequence[tuple[int, int]]) -> list[list[float]]:
        return [[step, right / run.problems, *wilson_interval(right, run.problems)] for step, right in points]

    return {
        "key": run.key, "name": run.name, "seed": run.seed, "steps": run.steps,
        "reward": pack(run.reward), "length": pack(run.length),
        "drift": pack(np.maximum(0, run.drift)), "held": shares(run.held), "control": shares(run.control),
        "samples": [{"step": s.step, "prompt": s.prompt, "text": s.text, "reward": s.reward} for s in run.samples],
    }  # fmt: skip


# ---- quiet figures -----------------------------------------------------------------------------------------------------


def pull_figure(pulls: Pulls) -> Quiet:
    """Divergence after six updates on the same answers against tau, a dot a seed, the line through their means."""
    mean_T = pulls.divergence_ST.mean(0)

    def draw() -> list[dict[str, Any]]:
        dots = {"type": "scatter", "mode": "markers", "marker": {"size": 9, "color": still.COLOURS["reward"]}}
        line = {"type": "scatter", "mode": "lines", "line": {"color": still.COLOURS["reward"], "width": 2.5}}
        seeds = [
            dots | {"x": pulls.taus, "y": each_T.round(4).tolist(), "hovertemplate": f"tau %{{x}}: %{{y}}<extra>{seed}</extra>"}
            for seed, each_T in enumerate(pulls.divergence_ST)
        ]
        return [line | {"x": pulls.taus, "y": mean_T.round(4).tolist(), "hoverinfo": "skip"}, *seeds]

    return quiet(
        draw,
        title=f"Six updates on the same answers: {mean_T[0]:.1f} nats away with tau {pulls.taus[0]:g}, {mean_T[-1]:.2f} with "
        f"tau {pulls.taus[-1]:g}",
        alt=f"Divergence from the policy that drew the answers, against tau, both axes logarithmic. It falls all the way, from "
        f"{mean_T[0]:.2f} to {mean_T[-1]:.2f} nats an answer on average, and the seeds lie close together.",
        xaxis={"type": "log", "title": beneath("tau"), "tickvals": pulls.taus},
        yaxis={"type": "log", "tickvals": [0.1, 0.3, 1, 3]},
        annotations=caption("divergence, nats an answer"),
    )
