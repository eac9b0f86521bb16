"""The shape of the repository: ranks of imports, sizes of files, what an import may pull in, what pages may load."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_mini.dev import ROOT

PACKAGE = ROOT / "kimi_mini"
MODULES = sorted(PACKAGE.rglob("*.py"))
RANKS = [
    {"checks", "device", "whole"},
    {"config", "sandbox"},
    {"presets", "tokenizer"},
    {"chat"},
    {"corpus"},
    {"tools"},
    {"kernels"},
    {"model"},
    {"optim", "hub", "accounting", "generation", "laws"},
    {"train"},
    {"synth", "serve", "parallel", "conformance"},
    {"agentic"},
    {"rl"},
    {"evals"},
    {"claims"},
    {"unpublished"},
    {"viz", "cli", "labs"},
]
RANK_OF = {name: rank for rank, names in enumerate(RANKS) for name in names}
FRONT = {"__init__", "__main__", "dev"}  # the package's own face, and the road, which imports nothing of it
MAX_LINES = 300
HEAVY = ("plotly", "ipywidgets", "IPython", "transformers", "jupyter_core", "notebook", "matplotlib", "pandas")


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _part(path: Path) -> str:
    """`kimi_mini/model/mla.py` belongs to `model`, `kimi_mini/config.py` to `config`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported_modules(path: Path, source: str | None = None) -> set[str]:
    """Dotted names of everything a file imports from this package, at the top or inside a function."""
    found = set()
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(source if source is not None else path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join(above + (node.module.split(".") if node.module else []))
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == PACKAGE.name}


def _climbs(path: Path, source: str | None = None) -> list[str]:
    """Imports of a part of equal or higher rank than the file's own part; its own part is always allowed."""
    here = _part(path)
    parts = {name.split(".")[1] for name in _imported_modules(path, source) if "." in name}
    return sorted(part for part in parts if part != here and RANK_OF.get(part, 99) >= RANK_OF[here])


def test_every_part_of_the_package_has_a_rank():
    assert {_part(path) for path in MODULES} - FRONT - set(RANK_OF) == set(), "give it a place in RANKS"


@pytest.mark.parametrize("path", [p for p in MODULES if _part(p) not in FRONT], ids=_relative)
def test_imports_only_go_down(path):
    assert _climbs(path) == [], f"{_relative(path)} imports from its own rank or a higher one; the ranks are {RANKS}"


def test_nothing_imports_the_road_and_the_road_imports_nothing():
    assert _imported_modules(PACKAGE / "dev.py") == set()
    importers = [_relative(p) for p in MODULES if "kimi_mini.dev" in _imported_modules(p)]
    assert importers == []


@pytest.mark.parametrize(
    ("source", "climbs"),
    [
        ("from kimi_mini.train.step import train_step", ["train"]),
        ("def f():\n    import kimi_mini.viz.show", ["viz"]),
        ("from ..optim import muon", ["optim"]),
        ("from .. import train", ["train"]),
        ("from ..config import ModelConfig\nfrom .rope import rotate\nfrom kimi_mini import kernels", []),
    ],
)
def test_a_climbing_import_is_seen(source, climbs):
    assert _climbs(PACKAGE / "model" / "mla.py", source) == climbs


@pytest.mark.parametrize("path", MODULES, ids=_relative)
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=_relative)
def test_files_say_what_they_are_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), (
        "the first line of its docstring is its entry in the tree"
    )


@pytest.mark.parametrize("module", ["kimi_mini", "kimi_mini.cli"])
def test_importing_the_package_pulls_in_nothing_heavy(module):
    code = f"import sys, {module}; print(sorted(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_the_readme_names_every_part():
    readme = (ROOT / "README.md").read_text()
    folders = {path.split("/")[0] for path in map(_relative, _tracked_text()) if "/" in path and not path.startswith(".")}
    parts = {_part(path) for path in MODULES} - {"__init__", "__main__"}
    assert {name for name in folders | parts if not re.search(rf"^ *{name}(/|\.py)", readme, re.MULTILINE)} == set()


# --- text -------------------------------------------------------------------------------------------------------------

SCRIPTS = [p for folder in ("book/_static", "kimi_mini") for p in sorted((ROOT / folder).rglob("*.js"))]
BANNED_IN_PAGES = {
    r"\bfetch\s*\(": "file:// refuses fetch: ship data as a classic script",
    r"type\s*=\s*[\"']module": "file:// refuses ES modules",
    r"\bXMLHttpRequest\b": "file:// refuses requests for files",
    r"^\s*(import|export)\s.*['\"{]": "file:// refuses ES modules",
    r"\b(cdn\.|unpkg\.com|jsdelivr|cdnjs|googleapis)": "nothing comes from a CDN",
}


@pytest.mark.parametrize("path", SCRIPTS, ids=_relative)
def test_own_scripts_work_from_disk(path):
    text = path.read_text(encoding="utf-8")
    found = {why for pattern, why in BANNED_IN_PAGES.items() if re.search(pattern, text, re.MULTILINE)}
    assert found == set()


def _tracked_text() -> list[Path]:
    """What a clone would hold: tracked files and those about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if run.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_place_on_somebodys_machine():
    place = re.compile(rb"(?<![\w.~/:-])/(?:home|Users|root|work|mnt|private)/\w")
    found = {}
    for path in _tracked_text():
        content = path.read_bytes()
        if b"\0" not in content[:1024] and place.search(content):
            found[_relative(path)] = place.search(content).group()
    assert found == {}


def test_notebooks_are_kept_without_outputs():
    import json

    notebooks = [p for p in _tracked_text() if p.suffix == ".ipynb"]
    cells = [(p, cell) for p in notebooks for cell in json.loads(p.read_text())["cells"] if cell["cell_type"] == "code"]
    assert {_relative(p) for p, cell in cells if cell["outputs"] or cell["execution_count"]} == set()
