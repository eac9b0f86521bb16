"""Tools that act: worlds with a state, served over the Model Context Protocol, and how more of them are made.

Reading order: world (the protocol), arithmetic, desk, sql, shop, airline (the worlds), unreliable (answers that fail); server,
client (MCP); domains, records, operations, trials, evolve (more tools, made and tried); map (which of them are alike).
"""

from ..checks import require
from .airline import Airline
from .arithmetic import read_expression
from .desk import Calculator, Calendar, Files
from .shop import Shop
from .unreliable import OUTCOMES, Unreliable
from .world import Refused, Result, Tool, World, canonical, schema_fault

WORLDS: dict[str, type[World]] = {world.name: world for world in (Calculator, Calendar, Files, Shop, Airline)}


def make(name: str, seed: int) -> World:
    """A fresh world of WORLDS. Raises ValueError for another name."""
    require(name in WORLDS, "name of a world", name, ", ".join(WORLDS))
    return WORLDS[name](seed)


__all__ = [
    "OUTCOMES", "WORLDS", "Refused", "Result", "Tool", "Unreliable", "World", "canonical", "make", "read_expression",
    "schema_fault",
]  # fmt: skip
