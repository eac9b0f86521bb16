"""A small model, its folder, and ways to spoil it."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import kimi_mini as km

CONFIG = km.NANO.replace(vocab_size=64, num_hidden_layers=2, num_nextn_predict_layers=0)


def make_model(config: km.ModelConfig = CONFIG, seed: int = 0) -> km.KimiMini:
    torch.manual_seed(seed)
    model = km.KimiMini(config)
    for name, tensor in model.state_dict().items():
        if name.endswith(("norm.weight", "selection_bias")):
            tensor.copy_(torch.randn_like(tensor))
    return model


def same(a: km.KimiMini, b: km.KimiMini) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)


def rewrite(folder, change) -> None:
    """Apply `change` to the dict of stored tensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "model.safetensors")


def edit_config(folder, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder, **kwargs) -> str:
    with pytest.raises(ValueError) as caught:
        km.from_pretrained(folder, **kwargs)
    return str(caught.value)


def fuse(tensors) -> None:
    """Per-expert keys to fused ones, written out by hand: gate rows first."""
    base, n = "model.layers.1.mlp.experts.", CONFIG.n_routed_experts
    gate, up, down = ([tensors.pop(f"{base}{e}.{p}_proj.weight") for e in range(n)] for p in ("gate", "up", "down"))
    tensors[base + "gate_up_proj"] = torch.stack([torch.cat(pair) for pair in zip(gate, up, strict=True)])
    tensors[base + "down_proj"] = torch.stack(down)
