"""The figures of the chapter on the scoreboard: the ranking machine, the two means of Tau2, and errors against questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..checks import require
from ..evals.reported import MODELS, TABLES, Row, count_firsts, mean_of
from ..evals.statistics import Z, standard_error
from . import still
from .quiet import Quiet, Slider, beneath, caption, quiet
from .stage import Stage, stage

TABLE = TABLES["instruct"]
CHIPS = tuple(row for row in TABLE.rows if len(row.values) > 3)  # without the row that only three models have
TAU2 = tuple(TABLE[key] for key in ("retail", "airline", "telecom"))


def ranking_machine() -> Stage:
    """Seven models as lanes, ten benchmarks as chips; means by benchmark or by question, intervals, and who is first."""
    firsts = count_firsts(CHIPS, TABLE.models)
    alone = {first[0]: count for first, count in firsts.items() if len(first) == 1}
    data = {
        "models": [{"key": model, "name": MODELS[model]} for model in TABLE.models],
        "chips": [_chip(row) for row in CHIPS],
        "choices": 2 ** len(CHIPS) - 1, "z": Z,
        "firsts": sorted(alone.items(), key=lambda item: -item[1]),
        "shared": sum(count for first, count in firsts.items() if len(first) > 1),
    }  # fmt: skip
    means = {model: mean_of(CHIPS, model) for model in TABLE.models}
    rows = sorted(means.items(), key=lambda item: -(item[1] or 0))
    return stage(
        "ranking",
        data,
        name="ranking-machine",
        title=f"{len(alone)} of {len(TABLE.models)} models can be first: it depends on what is counted.",
        alt="Seven models as lanes with a mark for each counted benchmark and one for their mean, the highest mean on top. Ten "
        "benchmarks as chips are counted or left out; a model that lacks a figure is not ranked and says so.",
        still=still.table(
            ("model", "mean of ten benchmarks"),
            [(MODELS[model], "not ranked: a figure is missing" if mean is None else f"{mean:.1f}") for model, mean in rows],
        ),
        height=1100,
    )


def _chip(row: Row) -> dict[str, Any]:
    return {
        "key": row.key, "name": row.name, "metric": row.metric or "", "questions": row.questions,
        "values": dict(row.values), "vendor": list(row.vendor),
    }  # fmt: skip


def two_means(models: Sequence[str] = ("k2", "opus", "sonnet", "gpt", "deepseek", "gemini", "qwen")) -> Quiet:
    """Tau2 of every model by domain and by task; the slider says which."""
    ways = (False, True)

    def draw(weighted: bool) -> list[dict[str, Any]]:
        means = [mean_of(TAU2, model, weighted=weighted) for model in models]
        names = [f"<b>{MODELS[model]}</b>" if model == "k2" else MODELS[model] for model in models]
        return [
            {
                "type": "bar", "orientation": "h", "x": [round(mean, 2) for mean in means], "y": names,
                "text": [f"{mean:.1f}" for mean in means], "textposition": "outside",
                "marker": {"color": still.COLOURS["rest"]},
                "hovertemplate": "%{y}: %{x}<extra></extra>",
            }
        ]  # fmt: skip

    def title(weighted: bool) -> str:
        tasks = sum(row.questions for row in TAU2)
        way = f"by task: {tasks} tasks count alike" if weighted else "by domain: three domains count alike"
        return f"Tau2 of K2 is {mean_of(TAU2, 'k2', weighted=weighted):.1f} {way}"

    return quiet(
        draw,
        title=title,
        alt="Mean of retail, airline and telecom for seven models, as bars. By domain K2 has 64.3, by task 66.1; Claude Opus 4 "
        "is first both ways.",
        slider=Slider("mean", ways, start=1, show=lambda weighted: "by task" if weighted else "by domain"),
        xaxis={"title": beneath("percent of tasks"), "range": [0, 80]},
        yaxis={"autorange": "reversed"},
        margin={"l": 150, "r": 12, "t": 36, "b": 48},
    )


def errors_by_questions(score: float = 0.658) -> Quiet:
    """One standard error of a score, in points, against the number of questions, with the benchmarks whose count is known."""
    require(0 < score < 1, "score", score, "a share between 0 and 1")
    counts = [10, 14, 20, 30, 50, 80, 114, 198, 300, 500, 1000, 2000]
    known: dict[int, list[str]] = {}
    for row in CHIPS:
        if row.questions:
            known.setdefault(row.questions, []).append(row.name)

    def draw() -> list[dict[str, Any]]:
        error = [round(100 * standard_error(score, count), 3) for count in counts]
        marks = sorted(known)
        return [
            {
                "type": "scatter", "mode": "lines", "x": counts, "y": error,
                "line": {"color": still.COLOURS["rest"], "width": 2},
                "hovertemplate": "%{x} questions: %{y} points<extra></extra>",
            },
            {
                "type": "scatter", "mode": "markers+text", "x": marks, "textposition": "top right",
                "y": [round(100 * standard_error(score, count), 3) for count in marks],
                "text": [_short(known[count]) for count in marks], "cliponaxis": False,
                "marker": {"size": 9, "color": still.COLOURS["rest"]},
                "hovertemplate": "%{x} questions: %{y} points<extra></extra>",
            },
        ]  # fmt: skip

    few, many = (100 * standard_error(score, count) for count in (30, 500))
    return quiet(
        draw,
        title=f"A score of {100 * score:.1f} is known to {few:.1f} points on 30 questions, to {many:.1f} on 500",
        alt=f"One standard error in points against the number of questions, falling from {few:.1f} at 30 to {many:.1f} at 500.",
        xaxis={"title": beneath("questions"), "type": "log", "tickvals": [30, 50, 114, 198, 500, 2000], "range": [1, 3.4]},
        yaxis={"rangemode": "tozero"},
        annotations=caption("one standard error, points"),
    )


def _short(names: list[str]) -> str:
    """The benchmarks of one size, in few letters."""
    first = names[0].removesuffix(" Verified")
    return first if len(names) == 1 else f"{first} +{len(names) - 1}"
