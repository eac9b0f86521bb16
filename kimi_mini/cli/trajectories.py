"""Make agents' runs: tasks in worlds that fail now and then, simulated users, a judge that asks the database, filters.

The same command again goes on where the last one stopped, however it was stopped: every run is in the log (OUT.log.jsonl where
--log does not say otherwise) and none is made twice. --out gets the runs that are well formed, passed by the judge, not too
long and no copies, a line of JSON each, which `datasets.load_dataset("json", data_files=...)` reads. Agent, user and judge are
programs unless an address of a server that speaks OpenAI's chat API is given, with the name of its model; its key comes from
the variable OPENAI_API_KEY. What a program played says so in its record.

examples:
  python -m kimi_mini trajectories --out runs.jsonl --count 200
  python -m kimi_mini trajectories --out runs.jsonl --count 200 --agent http://localhost:8000/v1 --agent-model my-model
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--out", required=True, metavar="FILE", help="the kept runs, a line of JSON each")
    parser.add_argument("--log", metavar="FILE", help="every run with its verdict (default: --out with .log.jsonl)")
    parser.add_argument("--count", default=100, help="runs to make (default: %(default)s)", **number)
    parser.add_argument("--worlds", nargs="+", metavar="NAME", help="shop, airline, files, calendar (default: all, by turns)")
    parser.add_argument("--agent", default="programmatic", metavar="WHO", help="programmatic, mini or an address")
    parser.add_argument("--habit", metavar="NAME", help="of a programmatic agent, such as careful (default: half of them are)")
    parser.add_argument("--user", default="programmatic", metavar="WHO", help="programmatic or an address")
    parser.add_argument("--judge", default="programmatic", metavar="WHO", help="who reads the agent's last words; likewise")
    for who in ("agent", "user", "judge"):
        parser.add_argument(f"--{who}-model", metavar="NAME", help="the model to ask for, with an address")
    parser.add_argument(
        "--failures", type=float, default=0.1, metavar="X", help="share of calls that go wrong (default: %(default)s)"
    )
    parser.add_argument("--longest", default=2048, help="tokens of a run that is kept (default: %(default)s)", **number)
    parser.add_argument("--at-once", default=4, help="runs at a time (default: %(default)s)", **number)
    parser.add_argument(
        "--timeout", type=float, default=60, metavar="S", help="seconds a server may be silent (default: %(default)s)"
    )
    parser.add_argument("--seed", default=0, help="fixes tasks, users and failures (default: %(default)s)", **number)


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..agentic import KINDS
    from ..agentic.pipeline import Settings, collect

    if not 0 <= args.failures <= 1:
        raise ValueError(f"--failures {args.failures} will not do; expected a number from 0 to 1")
    rates = {"error": args.failures / 2, "partial": args.failures / 4, "malformed": args.failures / 4}
    worlds = tuple(args.worlds or KINDS)
    settings = Settings(args.count, worlds, args.seed, args.at_once, rates, longest=args.longest)
    log = args.log or str(Path(args.out).with_suffix(".log.jsonl"))
    if Path(log).resolve() == Path(args.out).resolve():
        raise ValueError(f"--log and --out are both {log}; expected two files")
    player, user, judge = _player(args), _user(args), _endpoint(args, "judge")
    with tqdm(total=args.count, unit="run", disable=None) as bar:
        done = collect(player, user, log, args.out, settings, judge_by=judge, progress=bar.update)
    made, valid, passed, *_, kept = done.funnel
    print(f"{made} made, {valid} valid, {passed} passed, {kept} kept; {done.undone} undone, {done.added} made now")
    judged = judge.name if judge else "programmatic"
    print(f"agent {player.name}, user {user.name}, judge {judged}: {args.out}; every run: {log}")
    if done.undone:
        raise OSError(f"{'; '.join(done.reasons)} (the same command goes on)")


def _player(args: argparse.Namespace):
    from ..agentic import EndpointPlayer, ModelPlayer, ProgrammaticPlayer

    endpoint = None if args.agent == "mini" else _endpoint(args, "agent")
    if args.habit and args.agent != "programmatic":
        raise ValueError(f"--habit {args.habit} goes with a programmatic agent; expected no --agent")
    if args.agent == "mini":
        from ..hub import load_mini

        return ModelPlayer(*load_mini(), "MINI")
    return EndpointPlayer(endpoint) if endpoint else ProgrammaticPlayer(args.habit)


def _user(args: argparse.Namespace):
    from ..agentic import EndpointUser, ProgrammaticUser

    endpoint = _endpoint(args, "user")
    return EndpointUser(endpoint) if endpoint else ProgrammaticUser()


def _endpoint(args: argparse.Namespace, role: str):
    """The server that plays `role`; None for a program."""
    who, model = getattr(args, role), getattr(args, f"{role}_model")
    if who.startswith(("http://", "https://")):
        from ..synth import OpenAIEndpoint

        return OpenAIEndpoint(who, model or "", timeout=args.timeout)
    if model:
        raise ValueError(f"--{role}-model {model} goes with an address; expected --{role} http...")
    if who != "programmatic":
        more = ", mini" if role == "agent" else ""
        raise ValueError(f"--{role} {who!r} will not do; expected programmatic{more} or an http address")
    return None
