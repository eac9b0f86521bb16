"""Worlds with tools: list them, call one, or serve one over the Model Context Protocol.

A world is drawn from its seed and lasts as long as its process. `serve` speaks MCP on standard input and output and needs the
packages of kimi_mini[agents].

examples:
  python -m kimi_mini tools list
  python -m kimi_mini tools call shop shop '{"item": "lamp"}' --seed 1
  python -m kimi_mini tools serve airline --seed 3
"""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("do", choices=("list", "call", "serve"), help="what to do")
    parser.add_argument("world", nargs="?", help="its name, for call and serve")
    parser.add_argument("tool", nargs="?", help="for call: which")
    parser.add_argument("arguments", nargs="?", default="{}", help="for call: JSON (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the world (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    from ..tools import WORLDS, make

    if args.do == "list":
        for name, world in WORLDS.items():
            print(name)
            print("\n".join(f"  {tool.name:15} {tool.description}" for tool in world.tools))
        return 0
    world = make(args.world, args.seed)
    if args.do == "serve":
        from ..tools.server import serve

        serve(world)
        return 0
    try:
        arguments = json.loads(args.arguments)
    except ValueError as error:
        raise ValueError(f"arguments = {args.arguments!r} is no JSON ({error}); expected an object such as '{{}}'") from None
    result = world.call(args.tool or "", arguments)
    print(json.dumps(result.value, indent=2) if result.ok else f"refused: {result.value}")
    return 0 if result.ok else 1
