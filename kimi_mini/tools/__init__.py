"""Tools that act: worlds with a state, served over the Model Context Protocol, and how more of them are made."""

from .world import Refused, Result, Tool, World, schema_fault

__all__ = ["Refused", "Result", "Tool", "World", "schema_fault"]
