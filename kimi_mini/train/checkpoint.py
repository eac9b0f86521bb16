"""Checkpoints that survive anything: written beside, flushed, renamed whole, `latest` last; nothing is ever unpickled.

<folder>/latest               the name of the newest checkpoint
<folder>/step-00001200/       the run after 1200 updates:
    model.safetensors         weights and selection biases under the model's own names
    optimizer.safetensors     the optimizer's moments under the parameters' names
    state.json                step, optimizer groups, and what the caller adds (data cursor, configs, versions)
    random.json               torch's, Python's and numpy's generators
    SHA256SUMS                of these four, as `sha256sum -c` reads them
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from torch import Tensor
from torch.optim import Optimizer

from ..checks import is_int, require
from ..model import KimiMini
from .reproducible import random_state, set_random_state
from .snapshot import Snapshot, put_back, take

_NAME = re.compile(r"step-\d{8,}")
_FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "random.json")
_SUMS = "SHA256SUMS"


class DamagedCheckpoint(ValueError):
    """A checkpoint is not what was written: a file is missing, truncated or changed."""


class Checkpoint(NamedTuple):
    """A checkpoint in memory, verified but not yet put anywhere; `state` is its state.json."""

    path: Path
    step: int
    snapshot: Snapshot
    state: dict[str, Any]
    random: dict[str, Any]

    def restore(self, model: KimiMini, optimizer: Optimizer) -> None:
        """Put it into `model`, `optimizer` and the random generators; raises ValueError where it does not fit."""
        try:
            put_back(self.snapshot, model, optimizer)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        set_random_state(self.random)


# ---- saving ----------------------------------------------------------------------------------------------------------


def save_checkpoint(
    folder: str | Path, step: int, model: KimiMini, optimizer: Optimizer, state: dict[str, Any], *, keep: int = 2
) -> Path:
    """Write <folder>/step-<step> and point `latest` at it; then remove all but the `keep` newest up to this step.

    `state` is a JSON-ready dict that comes back with the checkpoint. A save that is cut off, even by a kill or a power cut,
    leaves the earlier checkpoints as they were. Raises OSError (full disk, no permission), saying what was needed.
    """
    require(is_int(step, 0), "step", step, "an integer >= 0")
    require(is_int(keep, 1), "keep", keep, "an integer >= 1")
    folder = Path(folder)
    target = folder / f"step-{step:08d}"
    files = _contents(step, model, optimizer, state)
    with _explained(target, sum(map(len, files.values()))):
        folder.mkdir(parents=True, exist_ok=True)
        tidy(folder)
        try:
            _write_folder(target, files)
            _write_flushed(folder / "latest.tmp", f"{target.name}\n".encode())
            os.replace(folder / "latest.tmp", folder / "latest")
            _flush_folder(folder)
        except BaseException:
            tidy(folder)
            raise
    prune(folder, step, keep)
    return target


def prune(folder: Path, step: int, keep: int) -> None:
    """Remove all but the `keep` newest checkpoints up to `step`; newer ones are of another timeline and stay."""
    for path in [path for path in _newest_first(folder) if _step(path) <= step][keep:]:
        os.rename(path, path.with_suffix(".tmp"))  # so that a half-removed one is never taken for a checkpoint
        shutil.rmtree(path.with_suffix(".tmp"))


def tidy(folder: Path) -> None:
    """Remove what a killed save has left; a checkpoint that had stepped aside for its replacement comes back."""
    for path in folder.glob("step-*.old"):
        if not path.with_suffix("").exists():
            os.rename(path, path.with_suffix(""))
    for path in [*folder.glob("step-*.old"), *folder.glob("step-*.tmp")]:
        shutil.rmtree(path, ignore_errors=True)
    (folder / "latest.tmp").unlink(missing_ok=True)


def _contents(step: int, model: KimiMini, optimizer: Optimizer, state: dict[str, Any]) -> dict[str, bytes]:
    snapshot = take(model, optimizer)
    files = {
        "model.safetensors": _tensor_bytes(snapshot.model),
        "optimizer.safetensors": _tensor_bytes(snapshot.moments),
        "state.json": _json_bytes({"step": step, **state, "optimizer": snapshot.groups}),
        "random.json": _json_bytes(random_state(), indent=None),
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    return files | {_SUMS: sums.encode()}


def _tensor_bytes(tensors: dict[str, Tensor]) -> bytes:
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def _json_bytes(content: dict[str, Any], indent: int | None = 2) -> bytes:
    return (json.dumps(content, indent=indent) + "\n").encode()


def _write_folder(target: Path, files: dict[str, bytes]) -> None:
    temporary, aside = target.with_suffix(".tmp"), target.with_suffix(".old")
    temporary.mkdir()
    for name, content in files.items():
        _write_flushed(temporary / name, content)
    _flush_folder(temporary)
    if target.exists():
        os.rename(target, aside)
    os.rename(temporary, target)
    _flush_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _write_flushed(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """A new name is only safe once its folder is on the disk (Windows has no such call)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _explained(target: Path, needed: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kept = ", ".join(path.name for path in _newest_first(target.parent)) or "none yet"
        raise OSError(
            error.errno,
            f"{target} could not be saved ({error.strerror or error}): it needs {needed:,} bytes in {target.parent}. Earlier "
            f"checkpoints are as they were ({kept}); make room, or choose another folder, and resume",
        ) from error


# ---- loading ---------------------------------------------------------------------------------------------------------


def load_checkpoint(folder: str | Path) -> Checkpoint | None:
    """The checkpoint that `latest` names, verified, or else the newest that is whole; None where there is none at all.

    Falling back is announced by a warning that names each damaged file. Raises DamagedCheckpoint when none is whole.
    """
    folder = Path(folder)
    named, complaints = _read_latest(folder)
    paths = _newest_first(folder)
    for path in sorted(paths, key=lambda path: path.name != named):
        try:
            checkpoint = _read(path)
        except DamagedCheckpoint as error:
            complaints.append(str(error))
            continue
        if complaints:
            warnings.warn(f"{'; '.join(complaints)}. Using {path}, the newest checkpoint that is whole", stacklevel=2)
        return checkpoint
    if complaints:
        raise DamagedCheckpoint(
            f"{'; '.join(complaints)}. No checkpoint in {folder} is whole: put one back from a copy, or start in a new folder"
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step-*") if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _read_latest(folder: Path) -> tuple[str | None, list[str]]:
    """(the name in `latest`, complaints about it); no file is no complaint: a first save can be cut off just before it."""
    path = folder / "latest"
    if not path.exists():
        return None, []
    name = path.read_bytes().decode(errors="replace").strip()
    if not _NAME.fullmatch(name):
        return None, [f"{path} holds {name[:40]!r}, not the name of a checkpoint"]
    if not (folder / name).is_dir():
        return None, [f"{path} names {name}, which is not there"]
    return name, []


def _read(path: Path) -> Checkpoint:
    lines = _content(path / _SUMS).decode(errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    files = {}
    for name in _FILES:
        files[name] = _content(path / name)
        if hashlib.sha256(files[name]).hexdigest() != sums.get(name):
            raise DamagedCheckpoint(f"{path / name} is damaged: its {len(files[name]):,} bytes do not match {_SUMS}")
    try:
        model, moments = (safetensors.torch.load(files[name]) for name in _FILES[:2])
        state, random = (json.loads(files[name]) for name in _FILES[2:])
        return Checkpoint(path, state["step"], Snapshot(model, moments, state["optimizer"]), state, random)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:  # right sums over wrong content
        raise DamagedCheckpoint(f"{path} does not hold a checkpoint ({error!r})") from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DamagedCheckpoint(f"{path} is missing") from None
