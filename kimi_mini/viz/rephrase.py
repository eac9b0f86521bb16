"""The figures of *Saying it ten ways*: recorded points of `runs.rephrase`, and a pipeline that ran in the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import require
from ..corpus.villages import LEVELS, VALUES, Village, distance
from ..synth import wilson_interval
from . import still
from .quiet import Quiet, Slider, quiet
from .rephrase_runs import STUDENTS, Row, load_runs, pick, prompts, read_by
from .series import pack
from .stage import Stage, stage

__all__ = ["STUDENTS", "accuracy", "ask_differently", "chunks", "counted", "distances", "load_runs", "pick", "prompts"]

NAMES = {"raw": "the raw text", "one": "one rephrasing", "ten": "ten rephrasings"}
TABLE = {"raw": 23.76, "one": 27.39, "ten": 28.94}  # K2 report, Table 1: SimpleQA accuracy in percent
SHOWN = 6  # villages of the first seed whose facts can be picked


def distances(taught: Iterable[Village], student: str) -> list[float]:
    """Mean distance of each level's prompts from what the student read."""
    each = [
        [distance(prompt, read_by(village, student)) for prompt in prompts(village, kind, student)]
        for village in taught
        for kind in VALUES
    ]
    return np.mean(each, 0).tolist()


def counted(rows: Iterable[Row], student: str, level: int, reading: int | None = None, **wanted: Any) -> tuple[int, int]:
    """(right, asked): how often the student wrote the right answer, over all seeds. `reading` None is the last one."""
    flags = [row.exact[row.at(reading) if reading else -1, level] for row in pick(rows, student=student, **wanted)]
    return int(np.sum(flags)), int(np.size(flags))


# ---- ask it differently ------------------------------------------------------------------------------------------------


def ask_differently(rows: Iterable[Row], taught: Sequence[Village], readings: int = 40) -> Stage:
    """Three students, one fact or all of them, five wordings; `taught` are the villages of the first seed."""
    chosen = [row for row in pick(rows, readings=readings)]
    asked = pick(chosen, student="ten")[0].checkpoints
    far = {student: np.mean([row.probability[-1, 1].mean() for row in pick(chosen, student=student)]) for student in STUDENTS}
    facts = [(village, kind) for village in taught[:SHOWN] for kind in VALUES]
    table = [
        (
            LEVELS[level],
            *(f"{np.mean([row.probability[-1, level].mean() for row in pick(chosen, student=s)]):.0%}" for s in STUDENTS),
        )
        for level in range(len(LEVELS))
    ]
    return stage(
        "askings",
        {
            "levels": list(LEVELS), "readings": list(asked),
            "students": [_student(chosen, taught, student, len(facts)) for student in STUDENTS],
            "facts": [
                {"village": village.name, "kind": kind, "answer": village.facts[kind],
                 "prompts": {student: prompts(village, kind, student) for student in STUDENTS}}
                for village, kind in facts
            ],
        },
        name="rephrase-askings",
        title=f"Asked with a clause in front: {far['ten']:.0%} for the right answer after ten rephrasings, "
        f"{far['one']:.0%} after one, {far['raw']:.0%} after the raw text.",
        alt="Three bars, one for each student: the probability of the right answer among ten. Beneath each, its training loss. "
        "Controls choose the fact, the wording of the question and how many texts about each village were read.",
        still=still.table(("wording", *(NAMES[student] for student in STUDENTS)), table),
        height=900,
    )  # fmt: skip


def _student(rows: list[Row], taught: Sequence[Village], student: str, shown: int) -> dict[str, Any]:
    """By checkpoint and level: each seed's mean probability, how many were right; by fact: the first seed's."""
    mine = pick(rows, student=student)
    probability = np.stack([row.probability.mean(2) for row in mine], -1)
    right = np.sum([row.exact.sum(2) for row in mine], 0)
    loss = [np.mean([row.loss(reading) for row in mine]) for reading in mine[0].checkpoints]
    first = mine[0].exact[:, :, :shown].reshape(-1, shown)
    return {
        "key": student, "name": NAMES[student], "table": TABLE[student],
        "distance": [round(value, 3) for value in distances(taught, student)],
        "seeds": probability.round(4).tolist(), "right": right.tolist(), "asked": sum(row.exact.shape[2] for row in mine),
        "loss": [round(float(each), 4) for each in loss],
        "each": pack(mine[0].probability[:, :, :shown]),
        "each_right": ["".join("01"[int(flag)] for flag in flags) for flags in first],
    }  # fmt: skip


# ---- the chunk pipeline ------------------------------------------------------------------------------------------------


def chunks(source: Sequence[str], outputs: Mapping[int, Sequence[str]], *, name: str, pronoun: str) -> Stage:
    """A text rewritten chunk by chunk; outputs[c] is what came out when chunk c did not see the output before it (0: all did).

    `name` is who the text is about, `pronoun` a regular expression for what stands there when the name is lost.
    """
    require(set(outputs) == {0, *range(2, len(source) + 1)}, "outputs", sorted(outputs), "0 and every chunk but the first")
    kept = {cut: sum(name in text for text in texts) for cut, texts in outputs.items()}
    return stage(
        "chunks",
        {
            "source": list(source),
            "outputs": {str(cut): list(texts) for cut, texts in outputs.items()},
            "name": name,
            "pronoun": pronoun,
        },
        name="rephrase-chunks",
        title=f"With the previous output in sight, {kept[0]} of {len(source)} chunks say who they are about.",
        alt="A row of boxes, one for each chunk, joined by arrows for the carried context; a box is filled where the rewritten "
        "chunk names its person. Beneath, source and rewriting of each. A slider cuts one of the arrows.",
        still=still.table(("chunk", "source", "rewritten"), [(i + 1, s, outputs[0][i]) for i, s in enumerate(source)]),
        height=1000,
    )


# ---- how many readings it takes ----------------------------------------------------------------------------------------

_STYLE = {"raw": ("square", "dot"), "one": ("circle", "dash"), "ten": ("diamond", "solid")}


def accuracy(rows: Iterable[Row], readings: int = 40) -> Quiet:
    """Share of facts that each student writes itself, with its interval, against texts read; the slider picks the wording."""
    chosen = pick(rows, readings=readings)
    x = list(chosen[0].checkpoints)

    def shares(student: str, level: int) -> list[tuple[int, int]]:
        return [counted(chosen, student, level, reading) for reading in x]

    def draw(level: int) -> list[dict[str, Any]]:
        ends = {student: shares(student, level)[-1][0] for student in STUDENTS}
        order = sorted(STUDENTS, key=ends.__getitem__)
        sides = dict(zip(order, ("bottom right", "middle right", "top right"), strict=True))
        return [_line(student, x, shares(student, level), sides[student]) for student in STUDENTS]

    def title(level: int) -> str:
        last = {student: counted(chosen, student, level) for student in STUDENTS}
        told = ", ".join(f"{NAMES[s]} {last[s][0] / last[s][1]:.0%}" for s in ("ten", "one", "raw"))
        return f"{LEVELS[level].capitalize()}, after {x[-1]} texts: {told}"

    return quiet(
        draw,
        title=title,
        alt="Share of the facts that each of the three students writes itself, against the number of texts read about each "
        "village, with 95 % intervals; the slider picks the wording of the question.",
        slider=Slider("wording", range(len(LEVELS)), start=1, show=LEVELS.__getitem__),
        xaxis={"title": {"text": "texts read about each village", "standoff": 6}, "tickvals": x},
        yaxis={"range": [-0.03, 1.08], "tickformat": ".0%", "dtick": 0.25},
        margin={"l": 52, "r": 92, "t": 36, "b": 48},  # the names of the lines stand at the right
    )


def _line(student: str, x: list[int], counts: list[tuple[int, int]], side: str) -> dict[str, Any]:
    symbol, dash = _STYLE[student]
    y = [right / asked for right, asked in counts]
    spans = [wilson_interval(right, asked) for right, asked in counts]
    name = {"raw": "raw text", "one": "one", "ten": "ten"}[student]
    return {
        "type": "scatter", "mode": "lines+markers+text", "x": x, "y": y, "cliponaxis": False,
        "text": [*[""] * (len(x) - 1), f"<b> {name}</b>"], "textposition": side,
        "marker": {"color": still.COLOURS["rest"], "size": 10, "symbol": symbol},
        "line": {"color": still.COLOURS["rest"], "width": 2, "dash": dash},
        "error_y": {
            "type": "data", "symmetric": False, "color": still.COLOURS["rest"],
            "array": [high - value for value, (_, high) in zip(y, spans, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(y, spans, strict=True)],
        },
        "hovertemplate": "%{x} texts: %{y:.0%}<extra>" + name + "</extra>",
    }  # fmt: skip
