"""A course with these labs: make the students' notebooks, hand out a version for each, mark what comes back.

examples:
  python -m labs.course build
      write labs/student/ from labs/source/, whose notebooks run in `PYTHONPATH=. jupyter lab`
  python -m labs.course key --course "Autumn 2026" --out key.json
      once per course; keep this file, and keep it to yourself: it draws the versions and the hidden cases
  python -m labs.course handout --roster roster.csv --key-file key.json --out handout
      handout/STUDENT/labNN.ipynb for every line of roster.csv (columns student, name)
  python -m labs.course grade handins --lab lab04 --roster roster.csv --key-file key.json --due 2026-11-20T23:59 --out marks
      handins/STUDENT/ holds labNN.ipynb and answers-labNN.json; handins/received.csv (columns student, time) says when each
      came, without it the notebook's own time does. Repeat the same line to go on after an interruption.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

import nbformat

from kimi_mini.sandbox import SandboxUnavailable

from . import find
from .grade import Grader
from .key import make_key, read_key, read_roster
from .marks import mark_all, strangers, write_text
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
    command("key", _key, ("--course", {"required": True, "metavar": "NAME", "help": "any name"}), out)
    chosen = {"action": "append", "metavar": "NAME", "help": "such as lab04; may be repeated (default: all)"}
    command("handout", _handout, roster, key, ("--lab", chosen), out)
    command(
        "grade",
        _grade,
        ("handins", {"type": Path, "help": "a folder with one folder per student id"}),
        ("--lab", {"required": True, "metavar": "NAME", "help": "such as lab04"}),
        roster,
        key,
        ("--due", due),
        out,
    )
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
    """Mark hand-ins of one lab; writes marks.csv, feedback/, to_read/ and results/."""
    key, roster = read_key(args.key_file), read_roster(args.roster)
    spec = find.load_spec(args.lab)
    notebook = public_notebook(spec, find.load_notebook(args.lab), Address(*find.repository()))
    if not args.handins.is_dir():
        raise ValueError(f"{args.handins} is no folder; expected one with a folder per student id")
    rows = mark_all(Grader(spec, key, notebook), args.handins, roster, args.due, args.out)
    for name in strangers(args.handins, roster):
        print(f"not marked: {name} is not in {args.roster}")
    print(f"{args.out / 'marks.csv'}: {len(rows)} students")


if __name__ == "__main__":
    sys.exit(main())
