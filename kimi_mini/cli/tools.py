"""Worlds with tools: list them, call one, serve one over the Model Context Protocol, or evolve tools by the hundred.

A world is drawn from its seed and lasts as long as its process. `serve` speaks MCP on standard input and output and needs the
packages of kimi_mini[agents]. `evolve` writes a line of JSON for each tool that proved valid and unlike the others; --from FILE
adds the domains of such a file to the worlds. Its names and descriptions come from templates unless --writer is the address of
a server that speaks OpenAI's chat API, with --model; what a tool does never comes from a model.

examples:
  python -m kimi_mini tools list
  python -m kimi_mini tools call shop shop '{"item": "lamp"}' --seed 1
  python -m kimi_mini tools serve airline --seed 3
  python -m kimi_mini tools evolve --out evolved.jsonl
  python -m kimi_mini tools serve parcels --from evolved.jsonl
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("do", choices=("list", "call", "serve", "evolve"), help="what to do")
    parser.add_argument("world", nargs="?", help="its name, for call and serve")
    parser.add_argument("tool", nargs="?", help="for call: which")
    parser.add_argument("arguments", nargs="?", default="{}", help="for call: JSON (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the world, or of what evolves (default: %(default)s)"
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="evolved tools to take in")
    parser.add_argument("--out", type=Path, metavar="FILE", help="for evolve: where to")
    parser.add_argument("--writer", metavar="URL", help="for evolve: who words the tools (default: templates, no model)")
    parser.add_argument("--model", metavar="NAME", help="the model to ask for, with --writer")


def run(args: argparse.Namespace) -> int:
    if args.do == "evolve":
        return _evolve(args)
    if args.do == "list":
        for name, tools in _listed(args.source).items():
            print(name)
            print("\n".join(f"  {tool.name:15} {tool.description}" for tool in tools))
        return 0
    world = _world(args)
    if args.do == "serve":
        from ..tools.server import serve

        serve(world)
        return 0
    return _call(world, args)


def _listed(source: Path | None):
    """{world: its tools}."""
    from ..tools import WORLDS
    from ..tools.evolve import load

    found = {name: list(world.tools) for name, world in WORLDS.items()}
    for one in load(source) if source else ():
        found.setdefault(one.recipe.domain, []).append(one.tool)
    return found


def _world(args: argparse.Namespace):
    from ..tools import WORLDS, make
    from ..tools.evolve import DomainWorld, load

    if args.source is None or args.world in WORLDS:
        return make(args.world, args.seed)
    return DomainWorld(args.world, load(args.source), args.seed)


def _call(world, args: argparse.Namespace) -> int:
    try:
        arguments = json.loads(args.arguments)
    except ValueError as error:
        raise ValueError(f"arguments = {args.arguments!r} is no JSON ({error}); expected an object such as '{{}}'") from None
    result = world.call(args.tool or "", arguments)
    print(json.dumps(result.value, indent=2) if result.ok else f"refused: {result.value}")
    return 0 if result.ok else 1


def _evolve(args: argparse.Namespace) -> int:
    from ..tools.evolve import evolve, save

    if args.out is None:
        raise ValueError("--out is missing; expected a file for the evolved tools")
    ask = None
    if args.writer:
        from ..synth import OpenAIEndpoint

        writer = OpenAIEndpoint(args.writer, args.model or "")

        def ask(prompt: str) -> str:
            message = [{"role": "user", "content": prompt}]
            return writer.complete(message, seed=args.seed, max_tokens=200, temperature=0.7).text

    tools, counts = evolve(args.seed, ask=ask, who=args.model or "")
    save(tools, args.out)
    print(counts)
    templates = sum(one.worded_by == "templates" for one in tools)
    print(f"{templates} worded by templates, {len(tools) - templates} by a model; written to {args.out}")
    return 0
