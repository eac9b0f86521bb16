"""The three lists of what to install agree, and the road's own script runs on a bare Python."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kimi_mini import dev

PROJECT = tomllib.loads((dev.ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
INSTALLED_BY_DEFAULT = ("book", "labs", "test")


def _pins() -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (dev.ROOT / "requirements.txt").read_text().splitlines()]
    pins = [Requirement(line) for line in lines if line]
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in pins), "requirements.txt pins one version of each"
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def _declared() -> list[Requirement]:
    return [Requirement(text) for text in sum((EXTRAS[extra] for extra in INSTALLED_BY_DEFAULT), PROJECT["dependencies"])]


def test_requirements_are_the_declared_packages_and_the_build_tool():
    assert set(_pins()) == {canonicalize_name(requirement.name) for requirement in _declared()} | {"setuptools"}


def test_every_pin_lies_in_its_declared_range():
    pins = _pins()
    outside = [str(r) for r in _declared() if not r.specifier.contains(pins[canonicalize_name(r.name)])]
    assert not outside, f"pyproject.toml and requirements.txt disagree on {outside}"


def test_what_extras_share_has_one_range():
    ranges = {}
    for requirement in map(Requirement, sum(EXTRAS.values(), PROJECT["dependencies"])):
        ranges.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier))
    assert {name: found for name, found in ranges.items() if len(found) > 1} == {}


def test_every_dependency_has_a_reason():
    text = (dev.ROOT / "pyproject.toml").read_text()
    lines = re.findall(r'^    "[a-z][\w-]*[><=].*$', text, re.MULTILINE)
    assert len(lines) == len(PROJECT["dependencies"]) + sum(map(len, EXTRAS.values()))
    assert [line for line in lines if not re.search(r"# .{10}", line)] == []


def test_conda_only_brings_python_and_pip():
    packages = yaml.safe_load((dev.ROOT / "environment.yml").read_text())["dependencies"]
    assert packages == [f"python{PROJECT['requires-python']}", "pip", {"pip": ["-r requirements.txt", "-e ."]}]


def test_the_package_needs_no_plotting_notebook_or_server_library():
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert names == {"torch", "numpy", "einops", "safetensors", "tokenizers", "tqdm"}


def test_the_road_starts_on_a_bare_python():
    """Only the standard library, before anything is installed; -S hides site-packages, -I everything else."""
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse((dev.ROOT / "kimi_mini" / "dev.py").read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported <= sys.stdlib_module_names
    code = f"import sys; sys.path.insert(0, {str(dev.ROOT)!r}); import runpy; sys.argv = ['dev', '--help']; "
    code += "runpy.run_module('kimi_mini.dev', run_name='__main__')"
    run = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "test-quick" in run.stdout


def test_a_failing_step_is_named(capfd):
    with pytest.raises(dev.StepFailed, match=r"stand on one leg \(exit status 3\)"):
        dev.step("stand on one leg", [sys.executable, "-c", "raise SystemExit(3)"])
    assert "==> stand on one leg" in capfd.readouterr().out


def test_lanes_run_to_their_end_and_any_failure_counts(capfd):
    ran = []

    def falls():
        ran.append("falls")
        raise dev.StepFailed("it fell")

    assert dev._run_lanes({"first": falls, "second": lambda: ran.append("second")}) == 1
    assert ran == ["falls", "second"]
    out = capfd.readouterr().out
    assert "first: FAILED (it fell)" in out and "second: passed" in out


def test_without_a_built_book_the_browser_lane_fails_and_does_not_run():
    def no_book():
        raise dev.StepFailed("a page has a warning")

    ran = []
    assert dev._run_lanes({"book": no_book, "browser": lambda: ran.append("browser")}) == 1
    assert ran == []


def test_without_a_browser_the_lane_says_so(monkeypatch, capfd):
    ran = []
    monkeypatch.setattr(dev, "find_chromium", lambda: None)
    monkeypatch.setattr(dev, "pytest", lambda python, *options, **environment: ran.append(options))
    monkeypatch.setattr(dev, "build_book", lambda python: ran.append("book"))
    assert dev._test("python") == 0
    assert "book" in ran and not any("browser" in options for options in ran)
    assert "SKIPPED browser: no Chromium" in capfd.readouterr().out


def test_an_up_to_date_environment_is_left_alone(tmp_path, monkeypatch):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    (tmp_path / "kimi-mini.stamp").write_text(dev._environment_key())
    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "step", lambda title, *args, **kwargs: pytest.fail(f"ran a step: {title}"))
    assert dev.install() == str(python)


def test_a_changed_requirement_is_installed(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "step", lambda title, *args, **kwargs: steps.append(title))
    monkeypatch.setattr(dev, "_has_gpu", lambda: True)
    (tmp_path / "kimi-mini.stamp").write_text("the key of other requirements")
    dev.install()
    assert steps == ["create .venv", "install requirements.txt", "install kimi_mini"]
    assert (tmp_path / "kimi-mini.stamp").read_text() == dev._environment_key()


def test_torch_comes_from_the_usual_index_when_its_own_does_not_answer(monkeypatch, capfd):
    def refused(title, command, *args, **kwargs):
        assert dev.TORCH_CPU_INDEX in command and "--no-deps" in command
        raise dev.StepFailed(title)

    monkeypatch.setattr(dev, "step", refused)
    monkeypatch.setattr(dev, "_has_gpu", lambda: False)
    monkeypatch.setattr(dev.platform, "system", lambda: "Linux")
    dev._install_torch(["pip"])
    assert "does not answer" in capfd.readouterr().out
