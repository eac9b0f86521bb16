"""The model of rows G13 to G15 and T1, ours and transformers', on the same weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import Parameter

import kimi_mini as km

from .. import tiny

SIZES = ("vocab", "layers", "width", "heads", "experts", "k", "hidden", "nope", "rope", "value", "latent")


def config(
    *, vocab: int, layers: int, width: int, heads: int, experts: int, k: int, hidden: int,
    nope: int = 128, rope: int = 64, value: int = 128, latent: int = 512, positions: int = 4096,
) -> km.ModelConfig:  # fmt: skip
    """One dense layer, then experts with one shared."""
    return km.ModelConfig(
        vocab_size=vocab, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, q_lora_rank=width // 2,
        kv_lora_rank=latent, qk_nope_head_dim=nope, qk_rope_head_dim=rope, v_head_dim=value, intermediate_size=4 * width,
        moe_intermediate_size=hidden, n_routed_experts=experts, num_experts_per_tok=k, max_position_embeddings=positions,
    )  # fmt: skip


def our_model(c: km.ModelConfig, device: torch.device, compute: torch.dtype) -> km.KimiMini:
    """fp32 weights, made on the device; activations in `compute`."""
    torch.manual_seed(0)
    with device:
        return km.KimiMini(c, compute)


def hf_model(model: km.KimiMini, dtype: torch.dtype) -> nn.Module:
    """transformers' model as it comes (sdpa, grouped_mm) with the same weights in `dtype`; its buffers stay as they are."""
    with model.embed.weight.device:
        hf = tiny.hf_model(model)
    for parameter in hf.parameters():
        parameter.data = parameter.data.to(dtype)
    hf.generation_config.eos_token_id = None
    return hf


def matrices(hf: nn.Module) -> tuple[list[Parameter], list[Parameter]]:
    """Of transformers' model: what Muon learns, slabs of experts split into matrices, and the rest.

    torch's Muon takes matrices only. The pieces share memory with the model; `share_gradients` gives them their gradients.
    """
    split, rest = [], []
    for name, parameter in hf.named_parameters():
        inside = parameter.ndim >= 2 and ".layers." in name
        (split.extend(map(Parameter, pieces(name, parameter.data))) if inside else rest.append(parameter))
    return split, rest


def pieces(name: str, slab: Tensor) -> list[Tensor]:
    """The matrices of one parameter or of its gradient; gate and up apart."""
    if slab.ndim == 2:
        return [slab]
    halves = slab.unflatten(1, (2, -1)).flatten(0, 1) if name.endswith("gate_up_proj") else slab
    return list(halves.unbind(0))


def share_gradients(hf: nn.Module, split: list[Parameter]) -> None:
    """Let the pieces see the gradients of the slabs they are pieces of."""
    grads = [
        piece
        for name, parameter in hf.named_parameters()
        if parameter.ndim >= 2 and ".layers." in name
        for piece in pieces(name, parameter.grad)
    ]
    for parameter, grad in zip(split, grads, strict=True):
        parameter.grad = grad
