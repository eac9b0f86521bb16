"""The book's page for whoever plans a course: what makes a lecture, three weeks, a term; and what of it is written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import yaml

from kimi_mini.claims import CHAPTERS

from . import find

# Number: title, chapters. A lab that is written has its own title, and is checked against this one.
LABS = {
    0: ("Count a trillion", (1,)),
    1: ("Attention that remembers", (2, 3)),
    2: ("Route and balance", (4, 5)),
    3: ("Two bets on a budget", (6,)),
    4: ("Muon and the clip", (7, 8)),
    5: ("Write the test that kills it", (9,)),
    6: ("Say it ten ways", (10, 11)),
    7: ("Kernels", (12,)),
    8: ("Share the load", (13, 14)),
    9: ("Build a tool, judge a run", (15,)),
    10: ("Objective and verifier", (16,)),
    11: ("Catch the hacker", (17,)),
    12: ("Roll out, update, deploy", (18, 20)),
    13: ("Audit", (19, 21)),
}
LECTURE = (0, 3, 8)
THREE_WEEKS = (((0, 1, 3, 4), (1, 2)), ((7, 8, 9), (4,)), ((15, 16, 19), (10,)))
TERM = ((0, 1), (2, 3), (4, 5), (6,), (7, 8), (9,), (10, 11), (12,), (13, 14), (15,), (16, 17), (18, 20), (19, 21))
CORE = (0, 1, 2, 4, 5, 10, 13)
PAGE = """\
# For a term

<p class="km-question">You teach this. What fits into a lecture, three weeks, or thirteen?</p>

Of {chapters} chapters {written_chapters} are written, of {labs} labs {written_labs}.
What is planned is named and has no link: a course that starts today is made of what has one.
The chapters carry the lectures; a lab is done in class or at home.
It is marked by machine, except for a few written sentences.

## One lecture

{lecture}

The first screen of each chapter is its five-minute version: the question, the picture, the answer in three sentences.
In class: lab 0, *Count a trillion*.

## Three weeks

{three_weeks}

## A term of thirteen weeks

Seven labs are the core, in bold: {core}.
Choose two of the others.

{term}

## Labs

Minutes are planned, not measured.
All labs finish on two CPU cores.

{lab_table}

## What is assumed

- **Before the first page**: linear algebra, attention with softmax, and one training loop written in PyTorch.
- **Taught here**: rotary positions, mixtures of experts, policy gradients, Triton, and collectives.
- **Chapters may be read alone.** Each defines its terms where they first appear; later ones lean on the order above.
- **Machines**: a laptop or Colab for the students. Whoever marks needs Linux, because hand-ins run in a sandbox.

## How a course runs

`python -m labs.course --help` has each step as one line: a key for the course, a version of each lab for every student,
marks and feedback out of a folder of hand-ins, and the marks in the form of Canvas, Moodle or Gradescope.
`python -m labs.course rehearse` marks a class that does not exist and says how long a real one will take on your machine.
For each lab `labs/course/sheets/` has a run sheet, rubrics with sample answers, and a table of known mistakes.
"""


def render() -> str:
    """The page, from the contents of the book and the labs that are there."""
    pages, written = written_chapters(), written_labs()
    three = [(str(n), _chapters(chapters, pages), _labs(labs, written)) for n, (chapters, labs) in enumerate(THREE_WEEKS, 1)]
    term = []
    for week, chapters in enumerate(TERM, 1):
        here = [number for number, (_, of) in LABS.items() if of[-1] in chapters]
        core = _labs([number for number in here if number in CORE], written)
        choice = _labs([number for number in here if number not in CORE], written)
        labs = [f"**{core}**" if core else "", f"to choose: {choice}" if choice else ""]
        term.append((str(week), _chapters(chapters, pages), "; ".join(filter(None, labs))))
    return PAGE.format(
        chapters=len(CHAPTERS),
        written_chapters=len(pages),
        labs=len(LABS),
        written_labs=len(written),
        lecture="\n".join(f"- {_chapter(number, pages)}" for number in LECTURE),
        three_weeks=_table(("week", "chapters", "lab"), three),
        core=", ".join(map(str, CORE)),
        term=_table(("week", "chapters", "lab"), term),
        lab_table=_table(("lab", "chapters", "notebook"), _lab_rows(written)),
    )


def written_chapters() -> dict[int, str]:
    """File names of the chapters that the contents list, by number: those whose title is one of the plan's."""
    toc = yaml.safe_load((find.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    titles = {_title(find.ROOT / f"{entry['file']}.ipynb"): Path(entry["file"]).name for entry in toc["chapters"]}
    return {number: titles[title] for number, title in enumerate(CHAPTERS) if title in titles}


def written_labs() -> dict[int, str]:
    """Folder names of the labs that are there, by number."""
    return {int(name.removeprefix("lab")): name for name in find.lab_names()}


def _title(path: Path) -> str | None:
    if not path.is_file():
        return None
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return next(line.removeprefix("# ").strip() for line in cells[0]["source"] if line.startswith("# "))


def _chapter(number: int, pages: dict[int, str]) -> str:
    text = f"{number}. {CHAPTERS[number]}"
    return f"[{text}]({pages[number]}.ipynb)" if number in pages else f"{text} (planned)"


def _chapters(numbers: Iterable[int], pages: dict[int, str]) -> str:
    return "; ".join(_chapter(number, pages) for number in numbers)


def _labs(numbers: Iterable[int], written: dict[int, str]) -> str:
    return " or ".join(f"{number}. {LABS[number][0]}{'' if number in written else ' (planned)'}" for number in numbers)


def _lab_rows(written: dict[int, str]) -> list[tuple[str, ...]]:
    rows = []
    for number, (title, chapters) in LABS.items():
        notebook = "planned"
        if number in written:
            name = written[number]
            minutes = sum(each.minutes for each in find.load_spec(name).exercises)
            notebook = f"{{download}}`{name} <../labs/student/{name}.ipynb>`, {minutes} minutes"
        rows.append((f"{number}. {title}", ", ".join(map(str, chapters)), notebook))
    return rows


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rows))
