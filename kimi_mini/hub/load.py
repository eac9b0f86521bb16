"""Reading a Hugging Face folder: check everything first, then fill a model one tensor at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .. import kernels
from ..config import ModelConfig, load_hf_dict
from ..device import at_least_fp32
from ..model import KimiMini
from .keys import Slot, hf_slots

_FP8 = torch.float8_e4m3fn
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F8_E4M3": _FP8,
}  # fmt: skip
_FP8_BLOCK = (128, 128)  # rows and columns that share one scale
_SHOWN = 20  # keys listed per kind of complaint


class Stored(NamedTuple):
    """One tensor of a checkpoint, not read yet."""

    file: Any
    key: str
    shape: list[int]
    dtype: str

    def read(self) -> Tensor:
        return self.file.get_tensor(self.key)


def from_pretrained(folder: str | Path, *, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> KimiMini:
    """Load a model from a Hugging Face folder of type `deepseek_v3` or `kimi_k2`: config.json and safetensors.

    Reads per-expert keys (as released) and fused ones (as transformers 5 holds them), one file or shards with an index.
    Weights keep their stored format unless `dtype` is given; block-FP8 (128x128, `weight_scale_inv`) is multiplied out, to
    bf16 unless `dtype` says otherwise; the selection bias is never less than fp32. Left-over rotary tables and multi-token
    prediction layers are skipped. Raises ValueError for a folder that is not whole or does not fit its config.json,
    naming all missing, unexpected and misshapen keys, before any weight is read.
    """
    folder = Path(folder)
    if dtype not in (None, torch.float64, torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"dtype = {dtype!r} will not do; expected None or torch.float64, float32, float16 or bfloat16")
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; expected one with config.json and safetensors files")
    config = _read_config(folder)
    with torch.device("meta"):
        model = KimiMini(config)
    with ExitStack() as files:
        stored = _open_weights(folder, files)
        slots = _match(folder, config, model.state_dict(), stored)
        model.load_state_dict(_fill(model.state_dict(), slots, stored, dtype, device), assign=True)
    return model


def _read_config(folder: Path) -> ModelConfig:
    hf = load_hf_dict(folder)
    try:
        config = ModelConfig.from_hf(hf)
    except ValueError as error:
        raise ValueError(f"{folder / 'config.json'}: {error}") from None
    quantised = hf.get("quantization_config") or {}
    method, block = quantised.get("quant_method", "fp8"), quantised.get("weight_block_size", _FP8_BLOCK)
    if method != "fp8" or tuple(block or ()) != _FP8_BLOCK:
        raise ValueError(
            f"{folder / 'config.json'}: quantization_config has quant_method = {method!r}, weight_block_size = {block!r}; "
            f"expected 'fp8' in blocks of {list(_FP8_BLOCK)}, or weights that are not quantised"
        )
    return config


# ---- files -----------------------------------------------------------------------------------------------------------


def _open_weights(folder: Path, files: ExitStack) -> dict[str, Stored]:
    """Every tensor of the folder by key; only headers are read."""
    stored = {}
    for path in _weight_files(folder):
        try:
            file = files.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is not a whole safetensors file ({error}); copy or download it again") from None
        for key in file.keys():  # noqa: SIM118 (not a dict)
            if key in stored:
                raise ValueError(f"{path} holds {key}, which an earlier shard holds too; expected each tensor once")
            part = file.get_slice(key)
            stored[key] = Stored(file, key, list(part.get_shape()), part.get_dtype())
    return stored


def _weight_files(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise ValueError(f"{folder} has neither {single.name} nor {index.name}; other formats (such as .bin) are not read")
    try:
        names = sorted({str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is damaged ({error!r}); expected JSON with a weight_map from key to file name") from None
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise ValueError(f"{index} points outside its folder: {_listed(outside)}; expected plain file names")
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise ValueError(f"{index} names {_listed(absent)}, not in {folder}; expected all {len(names)} shards")
    return [folder / name for name in names]


# ---- does it fit? ----------------------------------------------------------------------------------------------------


def _match(folder: Path, config: ModelConfig, state: dict[str, Tensor], stored: dict[str, Stored]) -> dict[str, Slot]:
    """The slot of each key to read. Raises ValueError with everything that is wrong at once."""
    slots = hf_slots(state, fused_experts=any(key.endswith("mlp.experts.gate_up_proj") for key in stored))
    found = {key: stored[key] for key in slots if key in stored}
    quantised = [key for key, tensor in found.items() if tensor.dtype == "F8_E4M3"]
    expected = {key: list(slot.of(state[slot.name]).shape) for key, slot in slots.items()}
    expected |= {key + "_scale_inv": kernels.fp8_scale_shape(expected[key], _FP8_BLOCK) for key in quantised}

    complaints = {
        "missing": [key for key in expected if key not in stored],
        "unexpected": [key for key in stored if key not in expected and not _ignored(key, config, stored)],
        "misshapen": [
            f"{key} {stored[key].shape} (expected {shape})"
            for key, shape in expected.items()
            if key in stored and stored[key].shape != shape
        ],
        "in a format that is not read": [f"{k} {t.dtype}" for k, t in found.items() if t.dtype not in _DTYPES],
    }
    if any(complaints.values()):
        lines = [f"  {len(keys)} {kind}: {_listed(keys)}" for kind, keys in complaints.items() if keys]
        raise ValueError("\n".join([f"the weights in {folder} do not fit its config.json:", *lines]))
    if config.tie_word_embeddings and "lm_head.weight" in stored:
        _check_tied(folder, stored)
    return slots


def _ignored(key: str, config: ModelConfig, stored: dict[str, Stored]) -> bool:
    """Left-over rotary tables; a head that is tied; layers behind the last that predict further tokens."""
    if key.endswith("rotary_emb.inv_freq") or (key == "lm_head.weight" and config.tie_word_embeddings):
        return True
    layer = re.match(r"model\.layers\.(\d+)\.", key)
    if layer is None or int(layer[1]) < config.num_hidden_layers:
        return False
    announced = int(layer[1]) < config.num_hidden_layers + config.num_nextn_predict_layers
    return announced or f"{layer[0]}eh_proj.weight" in stored


def _check_tied(folder: Path, stored: dict[str, Stored]) -> None:
    head, embed = stored["lm_head.weight"], stored["model.embed_tokens.weight"]
    if head.shape != embed.shape or not torch.equal(head.read(), embed.read()):
        raise ValueError(
            f"{folder}: tie_word_embeddings = True, but lm_head.weight differs from model.embed_tokens.weight; "
            "expected tie_word_embeddings = false in config.json, or one of the two left out"
        )


def _listed(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


# ---- reading ---------------------------------------------------------------------------------------------------------


def _fill(
    state: dict[str, Tensor], slots: dict[str, Slot], stored: dict[str, Stored], dtype: torch.dtype | None, device
) -> dict[str, Tensor]:
    """Allocate each tensor of the model once and write the stored ones into their places."""
    filled = {
        name: torch.empty(state[name].shape, dtype=kept, device=device) for name, kept in _formats(slots, stored, dtype).items()
    }
    for key, slot in slots.items():
        value = stored[key].read()
        if value.dtype == _FP8:
            value = kernels.dequantize_fp8(value, stored[key + "_scale_inv"].read(), _FP8_BLOCK)
        slot.of(filled[slot.name]).copy_(value)
    return filled


def _formats(slots: dict[str, Slot], stored: dict[str, Stored], dtype: torch.dtype | None) -> dict[str, torch.dtype]:
    """The number format of each tensor of the model: that of its widest part unless `dtype` is given."""
    formats: dict[str, torch.dtype] = {}
    for key, (name, _) in slots.items():
        kept = _DTYPES[stored[key].dtype]
        kept = dtype or (torch.bfloat16 if kept == _FP8 else kept)
        kept = at_least_fp32(kept) if name.endswith("selection_bias") else kept
        formats[name] = torch.promote_types(kept, formats.get(name, kept))
    return formats
