"""Sheets for instructors: a run sheet, rubrics with sample answers, and the known mistakes, out of a lab's exercises."""

from __future__ import annotations

from dataclasses import dataclass, field

from kimi_mini.checks import require

from .exercise import Coding, Guess, LabSpec, Written

LEVELS = ("weak", "fair", "good")
HEAD = (
    "Made by `python -m labs.course sheets`; the texts are in `labs/source/{name}/`. For instructors: it names every mistake."
)


@dataclass(frozen=True)
class Sample:
    """An answer to a written part, made up, with the points that it earns and the reason."""

    points: float
    text: str
    why: str


@dataclass(frozen=True)
class Sheet:
    """What a sheet holds beside the exercises: by exercise a note for the room, and weak, fair and good sample answers."""

    notes: dict[str, str] = field(default_factory=dict)
    samples: dict[str, tuple[Sample, ...]] = field(default_factory=dict)


def check_sheet(spec: LabSpec, sheet: Sheet) -> None:
    """Raise ValueError where a sheet speaks of no exercise, or its samples do not rise from weak to good within the points."""
    names = {each.name for each in spec.exercises}
    written = {each.name: each.points for each in spec.exercises if isinstance(each, Written)}
    require(set(sheet.notes) <= names, f"notes of {spec.name}", sorted(sheet.notes), f"names of {sorted(names)}")
    require(set(sheet.samples) <= set(written), f"samples of {spec.name}", sorted(sheet.samples), f"names of {sorted(written)}")
    for name, samples in sheet.samples.items():
        points = [sample.points for sample in samples]
        good = len(points) == len(LEVELS) and 0 <= points[0] < points[1] < points[2] <= written[name]
        require(good, f"points of the samples of {name!r}", points, f"three, rising, from 0 to {written[name]}")


def render(spec: LabSpec, sheet: Sheet) -> str:
    """The sheet of a lab, in Markdown."""
    check_sheet(spec, sheet)
    minutes, points = (sum(getattr(each, name) for each in spec.exercises) for name in ("minutes", "points"))
    parts = [f"# {spec.title}: for the instructor", HEAD.format(name=spec.name)]
    parts.append(f"Page of the book: `{spec.chapter}`. {minutes} minutes, {points} points.")
    parts += ["## Run sheet", "Minutes are planned, not measured, and count work alone: add what arriving and questions take."]
    parts.append(_table(("minute", "part", "what happens", "points"), _run(spec, sheet)))
    parts += ["## Written parts", *_written(spec, sheet), "## Common failures"]
    parts.append(
        "Each is told to the student with its hint by the notebook's own check, and in the feedback. "
        "`practice` is the report's version; the other names are twists, of which each student has one."
    )
    for exercise in spec.coding:
        parts += [f"### {exercise.title}", _table(("mistake", "in", "hint"), _mistakes(exercise))]
    return "\n\n".join(parts) + "\n"


def _run(spec: LabSpec, sheet: Sheet) -> list[tuple[str, ...]]:
    rows, minute = [], 0
    for number, each in enumerate(spec.exercises, 1):
        if isinstance(each, Coding):
            what = f"`{each.name}` for practice, then `my_{each.name}` (difficulty {each.difficulty} of 3)"
        else:
            what = "each locks a guess, before anybody computes" if isinstance(each, Guess) else "each writes alone"
        note = sheet.notes.get(each.name)
        what += f". {note}" if note else ""
        rows.append((f"{minute}-{minute + each.minutes}", f"{number}. {each.title}", what, str(each.points)))
        minute += each.minutes
    return rows


def _written(spec: LabSpec, sheet: Sheet) -> list[str]:
    parts = []
    for each in spec.exercises:
        if isinstance(each, Written):
            parts += [f"### {each.title} ({each.points} points)", f"**Rubric.** {each.rubric}"]
            if each.name in sheet.samples:
                parts.append("The answers below are made up, and so are the numbers of runs in them.")
            for level, sample in zip(LEVELS, sheet.samples.get(each.name, ()), strict=False):
                quoted = "\n".join(f"> {line}".rstrip() for line in sample.text.splitlines())
                parts.append(f"**{level.capitalize()}: {sample.points:g} of {each.points}.** {sample.why}\n\n{quoted}")
            if each.name not in sheet.samples:
                parts.append("No sample answers are written yet.")
    return parts or ["This lab has none."]


def _mistakes(exercise: Coding) -> list[tuple[str, ...]]:
    """A row for each mistake, with the versions that know it."""
    versions = {"practice": exercise.practice} | {twist.name: twist for twist in exercise.twists}
    known: dict[tuple[str, str], list[str]] = {}
    for version, variant in versions.items():
        for mistake in variant.mistakes:
            known.setdefault((mistake.name, mistake.hint), []).append(version)
    return [(name, "all" if len(inn) == len(versions) else ", ".join(inn), hint) for (name, hint), inn in known.items()]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
