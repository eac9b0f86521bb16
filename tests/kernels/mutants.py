"""Kernels broken on purpose: a copy of a module with one line changed must fail the check that guards that line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest


@dataclass(frozen=True)
class Mutant:
    """`old` (it stands in the module of kimi_mini.kernels exactly once) becomes `new`; `check(module)` must then fail."""

    module: str
    old: str
    new: str
    check: Callable[[ModuleType], None]

    def __str__(self) -> str:
        return f"{self.module}: {self.new.strip()}"


def original(name: str) -> ModuleType:
    """The module as it is; a check must pass on it, or its failing on a mutant says nothing."""
    return importlib.import_module(f"kimi_mini.kernels.{name}")


def broken(mutant: Mutant, folder: Path) -> ModuleType:
    """The module with that one change, under a name of its own; the file exists because Triton reads the source."""
    source = Path(original(mutant.module).__file__).read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1, f"{mutant.old!r} stands {source.count(mutant.old)} times in {mutant.module}"
    path = folder / "mutant.py"
    path.write_text(source.replace(mutant.old, mutant.new), encoding="utf-8")
    name = f"kimi_mini.kernels._mutant_of_{mutant.module}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def must_die(mutant: Mutant, folder: Path) -> None:
    """The check passes on the module and fails, with an AssertionError, on its mutant."""
    mutant.check(original(mutant.module))
    with pytest.raises(AssertionError):
        mutant.check(broken(mutant, folder))
