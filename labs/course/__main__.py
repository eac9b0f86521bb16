"""A course with these labs: make the students' notebooks, hand out a version for each, mark what comes back.

examples:
  python -m labs.course build
      write labs/student/ from labs/source/, whose notebooks run in `PYTHONPATH=. jupyter lab`
  python -m labs.course sheets
      write labs/course/sheets/, a page for each lab that only the instructor needs
  python -m labs.course term
      write the book's page that maps chapters and labs onto a lecture, three weeks or a term
  python -m labs.course key --course "Autumn 2026" --out key.json
      once per course; keep this file, and keep it to yourself: it draws the versions and the hidden cases
  python -m labs.course handout --roster roster.csv --key-file key.json --out handout
      handout/STUDENT/labNN.ipynb for every line of roster.csv (columns student, name)
  python -m labs.course grade handins --lab lab04 --roster roster.csv --key-file key.json --due 2026-11-20T23:59 --out marks
      handins/STUDENT/ holds labNN.ipynb and answers-labNN.json; handins/received.csv (columns student, time) says when each
      came, without it the notebook's own time does. Repeat the same line to go on after an interruption; to merge the points
      for written parts that you put into marks/written.csv; or after a test was fixed: marks/changes.csv says what changed.
  python -m labs.course rehearse --lab lab04
      marks a made-up class and says how long it takes here: do it once before the first real one
  python -m labs.course export marks --lab lab04 --form canvas --roster roster.csv --out canvas.csv
      for a gradebook: canvas, moodle, gradescope (a folder), plain. Columns of the roster that they need, where you have them:
      canvas_id, sis_user_id, sis_login_id, section; id_number, email; email
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

import nbformat

from kimi_mini.checks import require
from kimi_mini.sandbox import SandboxUnavailable

from . import find, term
from .export import FORMS, export
from .grade import Grader
from .key import make_key, read_key, read_roster
from .marks import mark_all, strangers, write_text
from .sheet import render
from .student import Address, personal_notebook, public_notebook


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except (ValueError, OSError, SandboxUnavailable) as error:
        print(f"labs.course {args.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m labs.course", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, *options):
        sub = commands.add_parser(name, help=run.__doc__.splitlines()[0], description=run.__doc__)
        sub.set_defaults(run=run)
        for option, settings in options:
            sub.add_argument(option, **settings)

    roster = ("--roster", {"type": Path, "required": True, "metavar": "CSV", "help": "columns student and name"})
    key = ("--key-file", {"type": Path, "required": True, "metavar": "FILE", "help": "the course's key"})
    out = ("--out", {"type": Path, "required": True, "metavar": "PATH", "help": "where to write"})
    due = {"type": datetime.fromisoformat, "metavar": "TIME", "help": "ISO time; 10 %% off per day begun after it"}
    command("build", _build)
    command("sheets", _sheets)
    command("term", _term)
    command("key", _key, ("--course", {"required": True, "metavar": "NAME", "help": "any name"}), out)
    chosen = {"action": "append", "metavar": "NAME", "help": "such as lab04; may be repeated (default: all)"}
    command("handout", _handout, roster, key, ("--lab", chosen), out)
    handins = ("handins", {"type": Path, "help": "a folder with one folder per student id"})
    lab = ("--lab", {"required": True, "metavar": "NAME", "help": "such as lab04"})
    command("grade", _grade, handins, lab, roster, key, ("--due", due), out)
    marks = ("marks", {"type": Path, "help": "the folder that grade wrote"})
    form = ("--form", {"required": True, "choices": FORMS, "help": "the gradebook that will read it"})
    students = {"type": int, "default": 12, "metavar": "N", "help": "hand-ins to make (default: %(default)s)"}
    command("rehearse", _rehearse, lab, ("--students", students))
    command("export", _export, marks, lab, form, roster, out)
    return parser


def _build(args: argparse.Namespace) -> None:
    """Write the public students' notebooks, labs/student/."""
    for name in find.lab_names():
        path = find.STUDENT / f"{name}.ipynb"
        write_text(path, build_public(name))
        print(f"{path.relative_to(find.ROOT)}: {path.stat().st_size:,} bytes")


def build_public(name: str) -> str:
    """A lab's public notebook, as text."""
    notebook = public_notebook(find.load_spec(name), find.load_notebook(name), Address(*find.repository()))
    return nbformat.writes(notebook) + "\n"


def _sheets(args: argparse.Namespace) -> None:
    """Write the instructors' sheets, labs/course/sheets/: minutes, rubrics with sample answers, known mistakes."""
    for name in find.lab_names():
        path = find.SHEETS / f"{name}.md"
        write_text(path, render(find.load_spec(name), find.load_sheet(name)))
        print(path.relative_to(find.ROOT))


def _term(args: argparse.Namespace) -> None:
    """Write book/term.md: which chapters and labs make a lecture, three weeks or a term, and which of them are written."""
    write_text(find.ROOT / "book" / "term.md", term.render())
    print("book/term.md")


def _key(args: argparse.Namespace) -> None:
    """Make a course's key."""
    make_key(args.course, args.out)
    print(f"{args.out}: the key of {args.course!r}; a copy in a safe place spares you drawing all versions anew")


def _handout(args: argparse.Namespace) -> None:
    """Write every student's own notebooks."""
    key, roster = read_key(args.key_file), read_roster(args.roster)
    address = Address(*find.repository())
    names = args.lab or find.lab_names()
    for name in names:
        spec, source = find.load_spec(name), find.load_notebook(name)
        for student in roster:
            notebook = personal_notebook(spec, source, address, student, key.twists(student, spec))
            write_text(args.out / student / f"{name}.ipynb", nbformat.writes(notebook) + "\n")
    print(f"{args.out}: {len(roster)} students, {', '.join(names)}")


def _grade(args: argparse.Namespace) -> None:
    """Mark hand-ins of one lab; writes marks.csv, feedback/, to_read/, written.csv and results/."""
    key, roster = read_key(args.key_file), read_roster(args.roster)
    spec = find.load_spec(args.lab)
    notebook = public_notebook(spec, find.load_notebook(args.lab), Address(*find.repository()))
    if not args.handins.is_dir():
        raise ValueError(f"{args.handins} is no folder; expected one with a folder per student id")
    marked = mark_all(Grader(spec, key, notebook), args.handins, roster, args.due, args.out)
    for name in strangers(args.handins, roster):
        print(f"not marked: {name} is not in {args.roster}")
    print(
        f"{args.out / 'marks.csv'}: {len(marked.rows)} students, {len(marked.ran)} hand-ins run, the others were marked before"
    )
    if marked.changes:
        students = len({change["student"] for change in marked.changes})
        print(f"{args.out / 'changes.csv'}: {len(marked.changes)} marks of {students} students differ from marks-before.csv")


def _export(args: argparse.Namespace) -> None:
    """Write marks in the form that a gradebook imports."""
    read_roster(args.roster)
    count, left_out = export(args.form, find.load_spec(args.lab), args.marks, args.roster, args.out)
    print(f"{args.out}: {count} students")
    if left_out:
        print(f"left out, as written parts are still to read: {', '.join(left_out)}")


def _rehearse(args: argparse.Namespace) -> None:
    """Mark a class that does not exist, and say how long it takes on this machine."""
    from .rehearsal import rehearse  # measures with what only Unix has

    require(args.students >= 1, "students", args.students, "at least 1")
    print(rehearse(find.load_spec(args.lab), find.load_notebook(args.lab), args.students))


if __name__ == "__main__":
    sys.exit(main())
