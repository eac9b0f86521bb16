"""Editions: made of a clean checkout, once, with sums that check; the real book is not built here."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from kimi_mini import dev

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small repository with what an edition takes; building it is writing a page and an empty wheel."""
    texts = {
        ".gitignore": "_build/\nbuild/\ndist/\n",
        "LICENSE": "MIT",
        "LICENSE-TEXT": "CC",
        "requirements.txt": "torch==2.13.0",
        "kimi_mini/data/mini/model.safetensors": "weights",
        "kimi_mini/data/licences/text.txt": "free",
        "kimi_mini/data/mini.json": "{}",
        "kimi_mini/data/tokenizer.json": "{}",
        "kimi_mini/data/claims.json": "[]",
        "labs/student/lab00.ipynb": "{}",
        "labs/source/lab00/lab00.ipynb": "a solution",
        "_build/html/stale.html": "of an earlier build",
        "build/lib/stale.py": "of an earlier build",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*GIT, "-C", tmp_path, *command], check=True)

    def build_book(python):
        (tmp_path / "_build" / "html" / "book").mkdir(parents=True)
        (tmp_path / "_build" / "html" / "index.html").write_text("<p>first")
        (tmp_path / "_build" / "html" / "book" / "glance.html").write_text("<p>second")

    def step(title, command, environment=None, hint=""):
        assert not (tmp_path / "build").exists(), "setuptools would take what lies there"
        assert title == "edition: build the wheel" and "SOURCE_DATE_EPOCH" in environment
        (Path(command[command.index("-w") + 1]) / "kimi_mini-0.1.0-py3-none-any.whl").write_bytes(b"PK")

    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "FIRST_PAGE", tmp_path / "_build" / "html" / "index.html")
    monkeypatch.setattr(dev, "build_book", build_book)
    monkeypatch.setattr(dev, "step", step)
    monkeypatch.setattr(dev, "_versions", lambda python: {"kimi_mini": "0.1.0"})
    return tmp_path


def _names(path):
    """What is in the one folder of an archive, which is named as the archive."""
    with zipfile.ZipFile(path) as archive:
        assert all(name.startswith(f"{path.stem}/") for name in archive.namelist())
        return [name.removeprefix(f"{path.stem}/") for name in archive.namelist()]


def test_an_edition_holds_book_wheel_weights_and_labs(checkout):
    assert dev._edition("python", "2026-autumn") == 0
    folder = checkout / "dist" / "edition-2026-autumn"
    assert [path.name for path in (checkout / "dist").iterdir()] == [folder.name]
    assert {path.name for path in folder.iterdir()} == {
        "LICENSE",
        "LICENSE-TEXT",
        "SHA256SUMS",
        "kimi-mini-book-2026-autumn.zip",
        "kimi-mini-labs-2026-autumn.zip",
        "kimi-mini-weights-2026-autumn.zip",
        "kimi_mini-0.1.0-py3-none-any.whl",
        "manifest.json",
        "requirements.txt",
    }
    assert _names(folder / "kimi-mini-book-2026-autumn.zip") == ["book/glance.html", "index.html"], "built anew, nothing stale"
    assert _names(folder / "kimi-mini-labs-2026-autumn.zip") == ["lab00.ipynb"]
    wanted = ["licences/text.txt", "mini/model.safetensors", "mini.json", "tokenizer.json"]
    assert sorted(_names(folder / "kimi-mini-weights-2026-autumn.zip")) == sorted(wanted)
    manifest = json.loads((folder / "manifest.json").read_text())
    commit = subprocess.run([*GIT, "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert (manifest["tag"], manifest["commit"], manifest["kimi_mini"]) == ("2026-autumn", commit, "0.1.0")
    assert manifest["bytes"] == {
        path.name: path.stat().st_size for path in folder.iterdir() if path.name not in ("manifest.json", "SHA256SUMS")
    }
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in sums} == {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    if shutil.which("sha256sum"):
        assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder).returncode == 0


def test_an_edition_is_not_made_twice(checkout):
    dev._edition("python", "first")
    before = (checkout / "dist" / "edition-first" / "SHA256SUMS").read_bytes()
    with pytest.raises(dev.StepFailed, match="never made twice"):
        dev._edition("python", "first")
    assert (checkout / "dist" / "edition-first" / "SHA256SUMS").read_bytes() == before


def test_what_is_not_committed_is_refused(checkout):
    (checkout / "LICENSE").write_text("changed")
    with pytest.raises(dev.StepFailed, match=r"not everything is committed:\n M LICENSE"):
        dev._edition("python", "first")
    assert (checkout / "_build" / "html" / "stale.html").exists(), "before anything is done"


def test_a_checkout_that_changes_under_the_build_is_refused(checkout, monkeypatch):
    monkeypatch.setattr(dev, "build_book", lambda python: (checkout / "new.txt").write_text("new"))
    with pytest.raises(dev.StepFailed, match="not everything is committed"):
        dev._edition("python", "first")
    assert not (checkout / "dist").exists()


def test_no_checkout_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(dev.StepFailed, match="no git checkout"):
        dev._edition("python", "first")


@pytest.mark.parametrize("tag", ["../x", ".hidden", "a b", "-x", "a/b"])
def test_a_tag_must_name_a_folder(tag):
    with pytest.raises(dev.StepFailed, match="cannot name a folder"):
        dev._edition("python", tag)


def test_a_failed_build_leaves_no_edition(checkout, monkeypatch):
    def fails(*args, **kwargs):
        raise dev.StepFailed("no wheel")

    monkeypatch.setattr(dev, "step", fails)
    with pytest.raises(dev.StepFailed, match="no wheel"):
        dev._edition("python", "first")
    assert not (checkout / "dist" / "edition-first").exists()


def test_the_same_files_give_the_same_zip(checkout, tmp_path):
    files = list((checkout / "kimi_mini").rglob("*"))
    for folder, order in (("a", files), ("b", reversed(files))):
        (tmp_path / folder).mkdir()
        dev.pack(tmp_path / folder / "all.zip", checkout, order, 1_700_000_000)
    assert (tmp_path / "a" / "all.zip").read_bytes() == (tmp_path / "b" / "all.zip").read_bytes()


@pytest.mark.parametrize("arguments", [["edition"], ["edition", "--tag", ""], ["book", "--tag", "first"]])
def test_only_an_edition_has_a_tag(arguments, capsys):
    with pytest.raises(SystemExit):
        dev.main(arguments)
    assert "edition needs --tag TAG" in capsys.readouterr().err
