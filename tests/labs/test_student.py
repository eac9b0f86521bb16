"""What a student gets: nothing that must not be in it, and everything in it runs."""

import importlib.util
import json
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient

import kimi_mini.labs
from kimi_mini.labs import baked, difference
from labs.course import find
from labs.course.__main__ import build_public
from labs.course.bake import function_of
from labs.course.key import Key
from labs.course.student import Address, personal_notebook, public_notebook, role_of
from tests.labs.notebooks import fill

KEY = Key("Autumn", bytes(range(32)))
NOWHERE = Address("", "main")
LABS = find.lab_names()
NOT_YET = "not yet (nothing is written there)"


@pytest.fixture(autouse=True)
def kernels_find_this_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(find.ROOT))


def _data(notebook):
    """The baked text of a notebook, and the notebook without it."""
    setup = next(cell for cell in notebook.cells if role_of(cell)[0] == "setup")
    text = next(line.split('"')[1] for line in setup.source.splitlines() if 'Lab("' in line)
    return baked.unpack(text), nbformat.writes(notebook).replace(text, "")


def _personal(name, student="ada"):
    spec = find.load_spec(name)
    return personal_notebook(spec, find.load_notebook(name), NOWHERE, student, KEY.twists(student, spec))


def _run(notebook, folder):
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    said = [
        "".join(output.get("text", "") for output in cell.outputs) if cell.cell_type == "code" else ""
        for cell in notebook.cells
    ]
    return list(zip(notebook.cells, said, strict=True))


@pytest.mark.parametrize("name", LABS)
def test_the_public_version_is_what_build_makes(name):
    """Baked numbers may differ in their last bits between machines, nothing else may."""
    made, text = _data(nbformat.reads(build_public(name), as_version=4))
    kept, kept_text = _data(nbformat.read(find.STUDENT / f"{name}.ipynb", as_version=4))
    assert text == kept_text, "python -m labs.course build"
    assert (made["guesses"], list(made["checks"])) == (kept["guesses"], list(kept["checks"]))
    for check, other in zip(made["checks"].values(), kept["checks"].values(), strict=True):
        assert check["hints"] == other["hints"]
        for case, same in zip(check["cases"], other["cases"], strict=True):
            assert case["case"] == same["case"]
            assert difference(case["expected"], same["expected"], case["case"]["largest"]) is None
            assert [mark is None for mark in case["mistakes"]] == [mark is None for mark in same["mistakes"]]


@pytest.mark.parametrize("name", LABS)
def test_no_solution_is_in_it(name):
    spec, source = find.load_spec(name), find.load_notebook(name)
    secret = set()
    for exercise in spec.coding:
        for variant in (exercise.practice, *exercise.twists):
            secret |= set(variant.solution.splitlines()) - set(variant.stub.splitlines())
            assert "".join(variant.solution.split()) not in "".join(variant.stub.split())
    for cell in source.cells:
        if "BEGIN SOLUTION" in cell.source:
            body = cell.source.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0]
            secret |= set(body.splitlines())
    secret = {line.strip() for line in secret if len(line.strip()) >= 16}
    assert len(secret) >= len(spec.coding)
    for notebook in (public_notebook(spec, source, NOWHERE), _personal(name)):
        data, text = _data(notebook)
        everything = json.dumps(data) + "\n".join(str(value) for value in _texts(json.loads(text)))
        assert {line for line in secret | {"BEGIN SOLUTION", "END SOLUTION", KEY.course} if line in everything} == set()
        assert KEY.secret.hex() not in everything and str(KEY.seed(name, spec.coding[0].name)) not in everything
        assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")


def _texts(node):
    """Every text in JSON, metadata and keys included."""
    if isinstance(node, dict):
        return [text for item in node.items() for each in item for text in _texts(each)]
    return [text for each in node for text in _texts(each)] if isinstance(node, list) else [node]


@pytest.mark.parametrize("name", LABS)
def test_it_is_small(name):
    assert len(build_public(name)) < 130_000


def test_students_get_different_versions():
    drawn = {}
    for name in LABS:
        spec = find.load_spec(name)
        for student in map(str, range(60)):
            for exercise, twist in KEY.twists(student, spec).items():
                drawn.setdefault((name, exercise), []).append(twist.name)
            assert KEY.twists(student, spec) == KEY.twists(student, spec)
        for exercise in spec.coding:
            assert {twist.name for twist in exercise.twists} == set(drawn[name, exercise.name])
    assert len({tuple(names) for names in drawn.values()}) == len(drawn), "each exercise is drawn for itself"
    other = Key("Spring", KEY.secret).twists, Key("Autumn", bytes(32)).twists
    spec = find.load_spec(LABS[0])
    for twists in other:
        assert [twists(str(i), spec) for i in range(60)] != [KEY.twists(str(i), spec) for i in range(60)]


@pytest.mark.slow
@pytest.mark.parametrize("name", LABS)
def test_untouched_it_runs_to_its_end_and_says_not_yet(name, tmp_path):
    notebook = nbformat.reads(build_public(name), as_version=4)
    ran = _run(notebook, tmp_path)
    checks = [cell.id for cell, _ in ran if cell.cell_type == "code" and cell.source.startswith("lab.check(")]
    assert len(checks) == 2 * len(find.load_spec(name).coding)
    assert [cell.id for cell, said in ran if NOT_YET in said] == checks
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", LABS)
def test_solved_it_runs_to_its_end_and_all_checks_pass(name, tmp_path):
    spec = find.load_spec(name)
    twists = {exercise: twist.solution for exercise, twist in KEY.twists("ada", spec).items()}
    notebook = fill(_personal(name), twists, {each.name: each.practice.solution for each in spec.coding})
    ran = _run(notebook, tmp_path)
    checks = [said for cell, said in ran if cell.cell_type == "code" and cell.source.startswith("lab.check(")]
    assert [said for said in checks if not said.endswith("cases pass.\n")] == []
    assert len(checks) == 2 * len(spec.coding)


# --- the set-up cell --------------------------------------------------------------------------------------------------


@pytest.fixture
def setup(monkeypatch, tmp_path):
    """`setup(address, installed=False, names=None)` runs a set-up cell; `setup.pip` holds what was installed."""
    pip = []
    real = importlib.util.find_spec
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KIMI_MINI_WHEEL", raising=False)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: pip.append(command) or SimpleNamespace(returncode=0))

    def run(address=NOWHERE, installed=False, names=None):
        hidden = {} if installed else {"kimi_mini": None}
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: hidden.get(name, real(name)) if name not in hidden else None
        )
        spec = find.load_spec(LABS[0])
        notebook = public_notebook(spec, find.load_notebook(LABS[0]), address)
        names = {} if names is None else names
        exec(next(cell for cell in notebook.cells if role_of(cell)[0] == "setup").source, names)
        return names

    run.pip = pip
    return run


def test_where_the_package_is_nothing_is_installed(setup, capsys):
    names = setup(installed=True)
    assert setup.pip == [] and isinstance(names["lab"], kimi_mini.labs.Lab)
    lab = names["lab"]
    assert setup(installed=True, names=names)["lab"] is lab, "a second run keeps what has passed"
    assert capsys.readouterr().out.count("ready on cpu, preset small") == 2


def test_it_installs_from_the_address_and_leaves_torch_alone(setup):
    setup(Address("https://github.com/somebody/book", "main"))
    archive = "https://github.com/somebody/book/archive/refs/heads/main.zip"
    assert setup.pip == [[sys.executable, "-m", "pip", "install", "-q", "--no-deps", archive]]


def test_without_an_address_it_takes_a_wheel(setup, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="put a kimi_mini-.*whl beside it"):
        setup()
    (tmp_path / "kimi_mini-1.0-py3-none-any.whl").touch()
    setup()
    monkeypatch.setenv("KIMI_MINI_WHEEL", "elsewhere.whl")
    setup()
    assert [command[-1] for command in setup.pip] == ["kimi_mini-1.0-py3-none-any.whl", "elsewhere.whl"]


def test_the_badge_follows_from_the_address():
    address = Address("https://github.com/somebody/book", "main")
    assert "(https://colab.research.google.com/github/somebody/book/blob/main/labs/student/lab00.ipynb)" in address.badge(
        "lab00"
    )
    assert "not yet" in NOWHERE.badge("lab00") and "](" not in NOWHERE.badge("lab00")
    with pytest.raises(ValueError, match="github.com"):
        Address("https://example.org/book", "main").badge("lab00")


@pytest.mark.parametrize("name", LABS)
def test_the_instructors_notebook_calls_what_the_specification_has(name):
    """The practice cell, solution and all, is right."""
    spec = find.load_spec(name)
    for cell in find.load_notebook(name).cells:
        role, exercise = role_of(cell)
        if role == "practice":
            assert function_of(cell.source).__name__ == exercise == spec[exercise].name
