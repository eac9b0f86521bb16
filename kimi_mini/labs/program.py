"""A case's argument that is itself code: a right or wrong version that a student's test is tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Program:
    """Source text that is called like the first function it defines. Nothing of it runs before the first call.

    So it may be decoded, compared and shown where it must not be run: what a hand-in returns is decoded where it is marked.
    """

    source: str
    _function: Callable[..., Any] | None = field(default=None, init=False, repr=False, compare=False)

    def __call__(self, *args: Any) -> Any:
        """Call it. Raises ValueError for source that defines no function."""
        if self._function is None:
            names: dict[str, Any] = {"__name__": "program"}
            exec(compile(self.source, "<program>", "exec"), names)
            found = [each for each in names.values() if getattr(each, "__module__", "") == "program" and callable(each)]
            if not found:
                raise ValueError("the program defines no function")
            self._function = found[0]
        return self._function(*args)
