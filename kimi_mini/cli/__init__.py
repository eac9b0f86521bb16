"""The command line: `python -m kimi_mini COMMAND`; the commands are those of `_COMMANDS`.

Each command is a module with `add_arguments(parser)`, `run(args)` and a docstring, which is its help. None imports torch
before it runs, so help and `account` come at once.
"""

from __future__ import annotations

import argparse
import os
import sys

from . import account, conformance, evaluate, generate, rephrase, rl, tools, train, trajectories

_COMMANDS = {
    "account": account, "train": train, "generate": generate, "eval": evaluate, "conformance": conformance,
    "rephrase": rephrase, "tools": tools, "trajectories": trajectories, "rl": rl,
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status: the command's own (0 as a rule), 2 for bad input (told in one line), 130."""
    args = _parser().parse_args(argv)
    try:
        status = _COMMANDS[args.command].run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has seen enough; keep Python from flushing into the closed pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\nstopped{f': {stop}' * bool(str(stop))}", file=sys.stderr)
        return 130
    return status or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kimi_mini",
        description="Kimi K2 in miniature: count it, train it, talk to it, measure it.",
        epilog="python -m kimi_mini COMMAND --help tells more and gives examples.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        summary = module.__doc__.splitlines()[0]
        sub = commands.add_parser(
            name, help=summary, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(sub)
    return parser
