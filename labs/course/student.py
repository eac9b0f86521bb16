"""A student's notebook out of an instructor's: solutions cleared, set-up and twists written, outputs removed."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions
from traitlets.config import Config

from kimi_mini.checks import require

from .bake import bake
from .exercise import Coding, LabSpec, Variant, Written

STUB = "# YOUR CODE HERE\nraise NotImplementedError"
SETUP = """\
# Set-up. Run this cell first; run it again whenever you like, it then changes nothing.
import glob
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("kimi_mini") is None:
    wheels = [*sorted(glob.glob("kimi_mini-*.whl")), os.environ.get("KIMI_MINI_WHEEL")]
    source = next(filter(None, reversed(wheels)), {archive!r})
    if not source:
        raise RuntimeError(
            "kimi_mini is not installed, and this notebook has no address to get it from: put a kimi_mini-*.whl "
            "beside it, or the path of one into the environment variable KIMI_MINI_WHEEL"
        )
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", source]  # --no-deps: torch stays as it is
    if subprocess.run(command).returncode != 0:
        raise RuntimeError(f"kimi_mini could not be installed from {{source}}")
    importlib.invalidate_caches()

from kimi_mini.labs import Lab

if "lab" not in globals():
    # what the checks compare with: cases, and what right and known wrong answers make of them
    lab = Lab("{data}")
print(f"{{lab.name}}: ready on {{lab.device}}, preset {{lab.preset}}.")"""
PUBLIC = "This version is for practice; in a course you get your own."
TWIST = """\
**Your version.** {change}

Write `{function}` below. It is this function that is marked ({points} points, all or none), by cases that are not shown here.
{whose} The marker reads only imports, functions, classes and assignments that call nothing,
so `{function}` must not need a variable that a call made."""


@dataclass(frozen=True)
class Address:
    """The public repository; `url` is empty while there is none."""

    url: str
    branch: str

    @property
    def archive(self) -> str:
        """What pip installs the package from."""
        return self.url and f"{self.url}/archive/refs/heads/{self.branch}.zip"

    def badge(self, lab: str) -> str:
        """Markdown that opens the public version of a lab in Colab, or says why it cannot."""
        if not self.url:
            return (
                "*Open in Colab: not yet, this project has no public address. On Colab, upload this notebook and a wheel, "
                "`kimi_mini-*.whl`, made by `pip wheel --no-deps .`; on your own machine nothing is missing.*"
            )
        require(self.url.startswith("https://github.com/"), "repository.url", self.url, "an address on https://github.com/")
        place = self.url.removeprefix("https://github.com/")
        target = f"https://colab.research.google.com/github/{place}/blob/{self.branch}/labs/student/{lab}.ipynb"
        return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({target})"


def public_notebook(spec: LabSpec, source: NotebookNode, address: Address) -> NotebookNode:
    """The version that anybody may have: the first twist of every exercise."""
    twists = {exercise.name: exercise.twists[0] for exercise in spec.coding}
    return _student_notebook(spec, source, twists, address, address.badge(spec.name), PUBLIC)


def personal_notebook(
    spec: LabSpec, source: NotebookNode, address: Address, student: str, twists: dict[str, Variant]
) -> NotebookNode:
    """The version of one student."""
    badge = f"Version of **{student}**. On Colab, upload this file (File, Upload notebook)."
    whose = "It is drawn for you; the person beside you has another."
    return _student_notebook(spec, source, twists, address, badge, whose)


def _student_notebook(
    spec: LabSpec, source: NotebookNode, twists: dict[str, Variant], address: Address, badge: str, whose: str
) -> NotebookNode:
    check_cells(spec, source)
    notebook = copy.deepcopy(source)
    config = Config(ClearSolutions={"code_stub": {"python": STUB}})
    notebook, _ = ClearSolutions(config=config).preprocess(notebook, {})
    setup = SETUP.format(archive=address.archive, data=bake(spec, twists))
    for number, cell in enumerate(notebook.cells):
        role, name = role_of(cell)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if role == "setup":
            cell.source, place = setup, number
        elif role == "twist-text":
            points = spec[name].points
            twist = twists[name]
            cell.source = TWIST.format(change=twist.change, function=twist.function, points=points, whose=whose)
        elif role == "twist":
            cell.source = twists[name].stub
    notebook.cells.insert(place, nbformat.v4.new_markdown_cell(badge, id="km-badge"))
    nbformat.validate(notebook)
    return notebook


def role_of(cell: NotebookNode) -> tuple[str | None, str | None]:
    """What a cell is for: its role and the exercise that it belongs to."""
    mark = cell.metadata.get("km", {})
    return mark.get("role"), mark.get("exercise")


def check_cells(spec: LabSpec, source: NotebookNode) -> None:
    """Raise ValueError unless every exercise has the cells that it needs, once, and none belongs to no exercise."""
    wanted = [("setup", None)]
    for exercise in spec.exercises:
        if isinstance(exercise, Coding):
            wanted += [(role, exercise.name) for role in ("practice", "twist-text", "twist")]
        elif isinstance(exercise, Written):
            wanted.append(("written", exercise.name))
    found = [role_of(cell) for cell in source.cells if role_of(cell)[0]]
    require(sorted(found, key=str) == sorted(wanted, key=str), f"cells of {spec.name}", sorted(found, key=str), str(wanted))
    for cell in source.cells:
        if role_of(cell)[0] == "practice":
            require("### BEGIN SOLUTION" in cell.source, f"practice cell {cell.id!r}", cell.source[:60], "a solution in it")
