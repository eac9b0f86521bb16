"""The tiny DeepSeek-V3 of rows C3 to C5: our model, transformers' model and a loop over experts, on the same weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

import kimi_mini as km
from kimi_mini.hub import hf_slots
from kimi_mini.model import Routing
from kimi_mini.model.layers import SwiGLU


def config(*, vocab: int, width: int, hidden: int, experts: int, k: int, layers: int = 4, heads: int = 8) -> km.ModelConfig:
    """One dense layer, then experts with one shared; 11.4 M weights in 323 matrices at width 256 and 32 experts."""
    return km.ModelConfig(
        vocab_size=vocab, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, q_lora_rank=width // 2,
        kv_lora_rank=width // 4, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, intermediate_size=4 * width,
        moe_intermediate_size=hidden, n_routed_experts=experts, num_experts_per_tok=k, max_position_embeddings=2048,
    )  # fmt: skip


def our_model(c: km.ModelConfig, seed: int = 0) -> km.KimiMini:
    torch.manual_seed(seed)
    return km.KimiMini(c)


def hf_model(model: km.KimiMini, attention: str = "sdpa", experts: str = "grouped_mm") -> DeepseekV3ForCausalLM:
    """transformers' model with the same weights; the defaults are what transformers 5 picks by itself."""
    hf_config = DeepseekV3Config(**model.config.to_hf(), attn_implementation=attention, experts_implementation=experts)
    hf = DeepseekV3ForCausalLM(hf_config)
    ours, theirs = model.state_dict(), hf.state_dict()
    slots = hf_slots(ours, fused_experts=True)
    if set(slots) != set(theirs):
        raise ValueError(f"transformers' keys differ from ours in {sorted(set(slots) ^ set(theirs))[:5]}; expected the same")
    hf.load_state_dict({key: slot.of(ours[slot.name]) for key, slot in slots.items()})
    return hf


def gradients(model: km.KimiMini) -> dict[str, Tensor]:
    """The gradients of ours, or of its looped copy, under Hugging Face's keys."""
    named = {name: p.grad for name, p in model.named_parameters() if ".experts.experts." not in name}
    for layer, block in enumerate(model.blocks):
        experts = getattr(block.mlp, "experts", None)
        if isinstance(experts, ExpertList):
            slabs = experts.slab_gradients()
            named |= {f"blocks.{layer}.mlp.experts.{part}": slab for part, slab in zip(("gate_up", "down"), slabs, strict=True)}
    return {key: slot.of(named[slot.name]) for key, slot in hf_slots(named, fused_experts=True).items()}


class ExpertList(nn.Module):
    """Experts as most small repositories write them: a ModuleList and a loop, with a mask per expert."""

    def __init__(self, gate_up_E2FD: Tensor, down_EDF: Tensor) -> None:
        super().__init__()
        n_experts, width, hidden = down_EDF.shape
        self.experts = nn.ModuleList(SwiGLU(width, hidden) for _ in range(n_experts))
        for expert, (gate, up), down in zip(self.experts, gate_up_E2FD.detach(), down_EDF.detach(), strict=True):
            expert.load_state_dict({"gate.weight": gate, "up.weight": up, "down.weight": down})

    def forward(self, x_TD: Tensor, routing: Routing) -> Tensor:
        out_TD = torch.zeros_like(x_TD)
        for e, expert in enumerate(self.experts):
            token, choice = torch.where(routing.expert_TK == e)
            if len(token):
                out_TD.index_add_(0, token, expert(x_TD[token]) * routing.weight_TK[token, choice, None])
        return out_TD

    def slab_gradients(self) -> tuple[Tensor, Tensor]:
        """The gradients stacked as our slabs are, gate_up_E2FD and down_EDF (zeros for an expert without tokens)."""

        def grad(p: Tensor) -> Tensor:
            return torch.zeros_like(p) if p.grad is None else p.grad

        gate_up = [torch.stack((grad(e.gate.weight), grad(e.up.weight))) for e in self.experts]
        return torch.stack(gate_up), torch.stack([grad(e.down.weight) for e in self.experts])


def with_expert_lists(model: km.KimiMini) -> km.KimiMini:
    """A copy of our model whose experts are looped over."""
    copy = km.KimiMini(model.config)
    copy.load_state_dict(model.state_dict())
    for layer, block in enumerate(copy.blocks):
        if model.config.is_moe(layer):
            block.mlp.experts = ExpertList(block.mlp.experts.gate_up, block.mlp.experts.down)
    return copy
