"""The one table between the words of this package and Hugging Face's keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

_OUTSIDE = {
    "embed.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
# Behind `blocks.N.` here and `model.layers.N.` there.
_IN_BLOCK = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn.q_down.weight": "self_attn.q_a_proj.weight",
    "attn.q_norm.weight": "self_attn.q_a_layernorm.weight",
    "attn.q_up.weight": "self_attn.q_b_proj.weight",  # self_attn.q_proj.weight where there is no q_down
    "attn.kv_down.weight": "self_attn.kv_a_proj_with_mqa.weight",
    "attn.kv_norm.weight": "self_attn.kv_a_layernorm.weight",
    "attn.kv_up.weight": "self_attn.kv_b_proj.weight",
    "attn.out.weight": "self_attn.o_proj.weight",
    "mlp_norm.weight": "post_attention_layernorm.weight",
    "mlp.gate.weight": "mlp.gate_proj.weight",
    "mlp.up.weight": "mlp.up_proj.weight",
    "mlp.down.weight": "mlp.down_proj.weight",
    "mlp.router.weight": "mlp.gate.weight",
    "mlp.router.selection_bias": "mlp.gate.e_score_correction_bias",
    "mlp.shared.gate.weight": "mlp.shared_experts.gate_proj.weight",
    "mlp.shared.up.weight": "mlp.shared_experts.up_proj.weight",
    "mlp.shared.down.weight": "mlp.shared_experts.down_proj.weight",
}
# Slabs: one key per expert as released, or one fused key as transformers 5 holds them.
_EXPERTS = {
    "mlp.experts.gate_up": (("gate_proj.weight", "up_proj.weight"), "mlp.experts.gate_up_proj"),
    "mlp.experts.down": (("down_proj.weight",), "mlp.experts.down_proj"),
}


class Slot(NamedTuple):
    """Where a Hugging Face tensor lives in the model: inside tensor `name`, at `index` of its leading axes."""

    name: str
    index: tuple[int, ...] = ()

    def of(self, tensor: Tensor) -> Tensor:
        """The view of `tensor` in Hugging Face's shape (a whole gate_up slab: gate rows on top of up rows)."""
        part = tensor[self.index]
        return part.flatten(1, 2) if part.ndim == 4 else part


def hf_slots(state: Mapping[str, Tensor], fused_experts: bool = False) -> dict[str, Slot]:
    """Hugging Face key -> Slot for every tensor of `state`, a KimiMini's state_dict or named_parameters.

    With `fused_experts` a layer's experts are two keys of three axes, else three keys each. Tensors may be meta.
    """
    slots = {}
    for name, tensor in state.items():
        if name in _OUTSIDE:
            slots[_OUTSIDE[name]] = Slot(name)
            continue
        _, layer, word = name.split(".", 2)
        prefix = f"model.layers.{layer}."
        if word in _EXPERTS:
            slots |= {prefix + key: Slot(name, index) for key, index in _expert_keys(word, len(tensor), fused_experts)}
        elif word == "attn.q_up.weight" and f"blocks.{layer}.attn.q_down.weight" not in state:
            slots[prefix + "self_attn.q_proj.weight"] = Slot(name)
        else:
            slots[prefix + _IN_BLOCK[word]] = Slot(name)
    return slots


def _expert_keys(word: str, n_experts: int, fused: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    parts, fused_key = _EXPERTS[word]
    if fused:
        yield fused_key, ()
        return
    for expert in range(n_experts):
        for i, part in enumerate(parts):
            yield f"mlp.experts.{expert}.{part}", (expert, i) if len(parts) > 1 else (expert,)
