"""What runs on GitHub: the README's commands, on the declared versions of Python, with no secret but the default token."""

import re

import pytest
import yaml

from kimi_mini.dev import ROOT

FOLDER = ROOT / ".github" / "workflows"
NAMES = ("colab", "pages", "tests")
ALLOWED_CONTEXTS = {"github", "matrix", "steps"}


def _text(name: str) -> str:
    return (FOLDER / f"{name}.yml").read_text()


def _load(name: str) -> tuple[dict, dict, dict]:
    """Triggers, the one job, and the whole; YAML 1.1 reads the key `on` as true."""
    workflow = yaml.safe_load(_text(name))
    (job,) = workflow["jobs"].values()
    return workflow[True], job, workflow


def _commands(job: dict) -> list[str]:
    return [step["run"].strip() for step in job["steps"] if "run" in step]


def test_these_are_all():
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.yml" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_is_bounded_pinned_and_keeps_no_secret(name):
    _, job, workflow = _load(name)
    assert job["runs-on"] == "ubuntu-latest" and job["timeout-minutes"] <= 90
    assert workflow["permissions"]["contents"] == "read"
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@v\d+", action)] == []
    contexts = {expression.split(".")[0] for expression in re.findall(r"\$\{\{\s*([\w.-]+)", _text(name))}
    assert contexts <= ALLOWED_CONTEXTS, "`secrets` is not among them; github.token is the default token"


def test_every_test_runs_on_every_supported_python():
    triggers, job, workflow = _load("tests")
    assert set(triggers) == {"push", "pull_request"}
    assert job["strategy"]["matrix"] == {"python": ["3.11", "3.12", "3.13"]}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert _commands(job)[-1] == "make test"
    pin = re.search(r"grep -o '(.*?)' requirements.txt", _text("tests")).group(1)
    assert re.search(pin, (ROOT / "requirements.txt").read_text(), re.MULTILINE)


def test_the_book_is_published_from_main():
    triggers, job, workflow = _load("pages")
    assert triggers["push"] == {"branches": ["main"]}
    assert workflow["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
    assert _commands(job) == ["make book"]
    paths = [step["with"]["path"] for step in job["steps"] if step.get("uses", "").startswith("actions/upload-pages-artifact")]
    assert paths == ["_build/html"]


def test_colab_is_tried_every_week_and_keeps_its_torch():
    triggers, job, workflow = _load("colab")
    minute, hour, day, month, weekday = triggers["schedule"][0]["cron"].split()
    assert (day, month) == ("*", "*") and all(field.isdigit() for field in (minute, hour, weekday))
    assert workflow["permissions"]["issues"] == "write"
    _, run, issue = _commands(job)
    assert "us-docker.pkg.dev/colab-images/public/runtime" in run
    assert "pip install --no-deps .\n" in run and "dev.test_notebooks" in run
    installed = re.findall(r"pip install (?!--no-deps)(.*)", run)
    assert installed == ["nbval pytest-timeout pytest-xdist"], "none of these needs torch"
    assert "gh issue create" in issue and job["steps"][-1]["if"] == "failure()"


def test_the_readme_names_the_same_commands():
    readme = (ROOT / "README.md").read_text()
    for name in ("tests", "pages"):
        assert f"    {_commands(_load(name)[1])[-1]} " in readme
