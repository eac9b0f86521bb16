"""Where the labs are: their specifications, their notebooks, and what the book's configuration says of its address."""

from __future__ import annotations

import importlib
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from kimi_mini.checks import require

from .exercise import LabSpec

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "labs" / "source"
STUDENT = ROOT / "labs" / "student"


def lab_names() -> list[str]:
    """Names of all labs, in order."""
    return sorted(path.parent.name for path in SOURCE.glob("*/exercises.py"))


def load_spec(name: str) -> LabSpec:
    """The specification of a lab. Raises ValueError for a name that no lab has."""
    require(name in lab_names(), "lab", name, f"one of {', '.join(lab_names())}")
    spec = importlib.import_module(f"labs.source.{name}.exercises").LAB
    require(spec.name == name, f"name in labs/source/{name}", spec.name, repr(name))
    return spec


def load_notebook(name: str) -> NotebookNode:
    """The instructor's notebook of a lab."""
    return nbformat.read(SOURCE / name / f"{name}.ipynb", as_version=4)


def repository() -> tuple[str, str]:
    """Address of the public repository, empty while there is none, and its branch."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return config["url"].rstrip("/"), config["branch"]
