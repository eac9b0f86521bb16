"""Writing a Hugging Face folder: everything into a temporary folder beside the target, then one rename."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..model import KimiMini
from .keys import Slot, hf_slots

_OURS = re.compile(r"config\.json|model\.safetensors(\.index\.json)?|model-\d{5}-of-\d{5}\.safetensors")


def save_pretrained(model: KimiMini, folder: str | Path, *, max_shard_bytes: int = 5 * 10**9) -> None:
    """Write `model` as a Hugging Face `deepseek_v3` folder: config.json and safetensors with per-expert keys.

    Weights keep their format. More than `max_shard_bytes` of them become shards with an index (one tensor is never split).
    The folder appears whole or not at all: an error on the way leaves what was there before. A folder that holds an
    earlier save is replaced; one that holds anything else raises ValueError.
    """
    if not isinstance(max_shard_bytes, int) or max_shard_bytes <= 0:
        raise ValueError(f"max_shard_bytes = {max_shard_bytes!r} will not do; expected a positive number of bytes")
    state = model.state_dict()
    unwritten = [name for name, tensor in state.items() if tensor.is_meta]
    if unwritten:
        raise ValueError(f"{unwritten[0]} is on the meta device and has no values; expected a model with weights")
    folder = Path(folder).resolve()
    _check_target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.saving")
    try:
        temporary.mkdir()
        _write_config(model, temporary)
        _write_weights(state, temporary, max_shard_bytes)
        _replace(folder, temporary)
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's errors
        raise OSError(f"saving to {folder} failed, nothing there has changed: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_target(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; expected a new folder, an empty one, or an earlier save")
    others = sorted(path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name)) if folder.exists() else []
    if others:
        raise ValueError(
            f"{folder} holds other things ({', '.join(others[:5])}); expected a new folder, an empty one, or an earlier save"
        )


def _write_config(model: KimiMini, folder: Path) -> None:
    stored = str(model.embed.weight.dtype).removeprefix("torch.")
    _write_json(folder / "config.json", model.config.to_hf() | {"torch_dtype": stored})


def _write_weights(state: dict[str, Tensor], folder: Path, max_shard_bytes: int) -> None:
    shards = _split(state, max_shard_bytes)
    weight_map = {}
    for number, slots in enumerate(shards, start=1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        # Copies, one shard at a time: safetensors refuses views that share a slab.
        tensors = {key: slot.of(state[slot.name]).cpu().clone() for key, slot in slots.items()}
        save_file(tensors, folder / name, metadata={"format": "pt"})
        shutil.copymode(folder / "config.json", folder / name)  # safetensors makes files only their owner can read
        _flush(folder / name)
        weight_map |= dict.fromkeys(slots, name)
    if len(shards) > 1:
        total = {"total_size": sum(tensor.nbytes for tensor in state.values())}
        _write_json(folder / "model.safetensors.index.json", {"metadata": total, "weight_map": weight_map})


def _split(state: dict[str, Tensor], max_shard_bytes: int) -> list[dict[str, Slot]]:
    """Keys in model order, a new shard whenever the next tensor would overflow the last."""
    shards: list[dict[str, Slot]] = [{}]
    filled = 0
    for key, slot in hf_slots(state).items():
        size = slot.of(state[slot.name]).nbytes
        if shards[-1] and filled + size > max_shard_bytes:
            shards.append({})
            filled = 0
        shards[-1][key] = slot
        filled += size
    return shards


def _replace(folder: Path, temporary: Path) -> None:
    """Put `temporary` where `folder` is; an earlier save steps aside first and comes back if that fails."""
    if not folder.exists():
        os.rename(temporary, folder)
        return
    aside = temporary.with_suffix(".old")
    try:
        os.rename(folder, aside)
        os.rename(temporary, folder)
    except BaseException:
        if aside.exists() and not folder.exists():
            os.rename(aside, folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _flush(path)


def _flush(path: Path) -> None:
    """To the disk before the rename, or a power cut could leave the new name on empty files."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
