"""The figures of the chapter on self-critique, from the recorded points of `runs.critic`."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import still
from .critic_runs import SETTINGS, Curves, load_critic
from .quiet import Quiet, Slider, beneath, caption, quiet
from .stage import Stage, stage

__all__ = ["SETTINGS", "agreement", "gap", "load_critic", "manners"]

Runs = dict[str, dict[int, Curves]]


def gap(runs: Runs, *, answers: int) -> Stage:
    """Critic's score and hidden truth over the steps, the truth covered until a flag stands; `answers` are behind a point."""
    (seed, first), *_ = runs["frozen"].items()
    data = {
        "steps": first.step.tolist(), "every": int(first.step[1]), "answers": answers,
        "settings": [
            {"key": key, "name": SETTINGS[key], "seeds": [_run(number, run) for number, run in seeds.items()]}
            for key, seeds in runs.items()
        ],
    }  # fmt: skip
    rows = [(step, f"{score:.2f}", f"{truth:.2f}") for step, score, truth in zip(first.step, *_pair(first), strict=True)]
    return stage(
        "gap",
        data,
        name="critic-gap",
        title=f"With a frozen critic its score goes from {first.values['score'][0]:.2f} to {first.values['score'][-1]:.2f}; "
        f"the truth is highest at step {first.peak} (seed {seed}).",
        alt="Two lines over the steps of RL: the critic's score of the actor, and the hidden truth, which is covered until the "
        "reader has planted a flag. Below, their agreement. A card shows the answer the critic likes best at a step.",
        still=still.table(("step", "critic's score", "hidden truth"), rows),
        height=900,
    )


def _pair(run: Curves) -> tuple[np.ndarray, np.ndarray]:
    return run.values["score"], run.values["truth"]


def _run(seed: int, run: Curves) -> dict[str, Any]:
    curves = {
        name: [float(value) for value in run.values[name]] for name in ("score", "truth", "praise", "justification", "helpful")
    }
    agreement = [None if np.isnan(value) else float(value) for value in run.agreement]
    cards = [{name: best[name] for name in ("asked", "text", "truth")} for best in run.best]
    return {"seed": seed, "peak": run.peak, **curves, "agreement": agreement, "best": cards}


# ---- quiet figures -----------------------------------------------------------------------------------------------------

COLOURS = {"frozen": still.COLOURS["optimizer"], "closed": still.COLOURS["attention"], "rules": still.COLOURS["experts"]}


def _line(name: str, x: np.ndarray, y: np.ndarray, colour: str, at: int, place: str = "top center") -> dict[str, Any]:
    texts = [""] * len(x)
    texts[at] = f"<b>{name}</b>"
    return {
        "type": "scatter", "mode": "lines+text", "x": x.tolist(), "y": [round(float(value), 4) for value in y],
        "text": texts, "textposition": place, "line": {"color": colour, "width": 2.5},
        "hovertemplate": "%{x}: %{y}<extra>" + name + "</extra>",
    }  # fmt: skip


def manners(runs: Runs) -> Quiet:
    """What the answers do besides answering, in each setting, as means over the seeds; the slider picks the setting."""

    def draw(setting: str) -> list[dict[str, Any]]:
        seeds = list(runs[setting].values())
        mean = {
            name: np.mean([run.values[name] for run in seeds], 0) for name in ("helpful", "praise", "justification", "hedge")
        }
        colours = (still.COLOURS["experts"], still.COLOURS["reward"], still.COLOURS["optimizer"], still.COLOURS["rest"])
        names = ("help", "praise", "self-justification", "hedge")
        places = (-2, len(seeds[0].step) // 2, len(seeds[0].step) // 3, len(seeds[0].step) // 4)
        return [
            _line(name, seeds[0].step, values, colour, at)
            for name, values, colour, at in zip(names, mean.values(), colours, places, strict=True)
        ]

    def title(setting: str) -> str:
        ends = [(run.values["praise"][0], run.values["praise"][-1]) for run in runs[setting].values()]
        before, after = np.mean(ends, 0)
        return f"{SETTINGS[setting]}: praise in {before:.0%} of the answers at the start, {after:.0%} at the end"

    return quiet(
        draw,
        title=title,
        alt="The share of answers with help, opening praise, self-justification and hedging against steps of RL, one setting "
        "at a time, as means over the seeds.",
        slider=Slider("setting", list(runs)),
        xaxis={"title": beneath("step of RL")},
        yaxis={"range": [-0.05, 1.15], "tickformat": ".0%"},
        annotations=caption("share of the answers"),
    )


def agreement(runs: Runs) -> Quiet:
    """Agreement with the hidden truth on pairs that no actor wrote, the same throughout, for each seed of two settings."""

    def draw() -> list[dict[str, Any]]:
        found = []
        for setting in ("frozen", "closed"):
            for number, run in enumerate(runs[setting].values()):
                name = SETTINGS[setting] if number == 0 else ""
                found.append(_line(name, run.step, run.values["probe"], COLOURS[setting], len(run.step) // 2))
        return found

    ends = {setting: np.mean([run.values["probe"][-1] for run in runs[setting].values()]) for setting in ("frozen", "closed")}
    return quiet(
        draw,
        title=f"On pairs that no actor wrote the frozen critic agrees with the truth in {ends['frozen']:.0%}, the taught one "
        f"at the end in {ends['closed']:.0%}",
        alt="Agreement of critic and hidden truth on fixed pairs against steps, three seeds each: level for the frozen critic, "
        f"ending at {ends['closed']:.0%} on average with the loop closed.",
        xaxis={"title": beneath("step of RL")},
        yaxis={"range": [0, 1.05], "tickformat": ".0%"},
        annotations=caption("agreement on fixed pairs"),
    )
