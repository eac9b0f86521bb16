"""Two faces of one set of weights: a KimiMini and transformers' DeepseekV3ForCausalLM, over a grid of configs."""

from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DeepseekV3ForCausalLM
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter
from transformers.utils import logging

import kimi_mini as km
from kimi_mini.hub import hf_slots
from kimi_mini.model import Router

logging.disable_progress_bar()

BASE = km.ModelConfig(
    vocab_size=61, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, q_lora_rank=20, kv_lora_rank=16,
    qk_nope_head_dim=10, qk_rope_head_dim=8, v_head_dim=12, intermediate_size=40, moe_intermediate_size=14,
    n_routed_experts=8, num_experts_per_tok=3, max_position_embeddings=512, routed_scaling_factor=1.7,
    rms_norm_eps=1e-5, initializer_range=0.15,
)  # fmt: skip
YARN = km.YarnScaling(8.0, 64, beta_fast=4.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)

# name -> changes to BASE. Wherever there are experts, selection biases are random; "bias_shift" moves all of them.
GRID = {
    "plain": {},
    "groups": dict(n_group=4, topk_group=2),
    "groups_of_three": dict(n_routed_experts=12, n_group=4, topk_group=3),
    "groups_negative_choice": dict(n_group=4, topk_group=2, bias_shift=-2.0),
    "yarn": dict(rope_scaling=YARN),
    "yarn_step": dict(rope_scaling=km.YarnScaling(8.0, 64, beta_fast=1.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0)),
    "yarn_unequal_mscale": dict(rope_scaling=km.YarnScaling(8.0, 64, mscale=0.7, mscale_all_dim=1.3)),
    "yarn_without_all_dim": dict(rope_scaling=km.YarnScaling(8.0, 64, mscale=0.7)),
    "yarn_without_mscale": dict(rope_scaling=km.YarnScaling(8.0, 64)),
    "no_q_latent": dict(q_lora_rank=None),
    "three_shared_experts": dict(n_shared_experts=3),
    "unnormalised": dict(norm_topk_prob=False),
    "tied": dict(tie_word_embeddings=True),
    "all_dense": dict(first_k_dense_replace=3),
    "no_dense": dict(first_k_dense_replace=0),
    "one_layer_one_choice": dict(num_hidden_layers=1, first_k_dense_replace=0, num_experts_per_tok=1),
    "every_expert_chosen": dict(num_experts_per_tok=8),
    "wide_values": dict(v_head_dim=32),
    "all_at_once": dict(
        q_lora_rank=None, n_shared_experts=2, n_group=2, topk_group=1, norm_topk_prob=False, tie_word_embeddings=True,
        rope_scaling=YARN, rope_theta=1000.0, num_hidden_layers=2, bias_shift=-1.0,
    ),
}  # fmt: skip


class Pair(NamedTuple):
    """The same weights in both implementations."""

    ours: km.KimiMini
    theirs: DeepseekV3ForCausalLM


def randomise(model: km.KimiMini, bias_shift: float = 0.0) -> km.KimiMini:
    """Move the tensors that start as constants, so that leaving one out would show."""
    for name, tensor in model.state_dict().items():
        if name.endswith("norm.weight"):
            tensor.copy_(1 + 0.3 * torch.randn_like(tensor))
        if name.endswith("selection_bias"):
            tensor.copy_(bias_shift + 0.3 * torch.randn_like(tensor))
    return model


def load_theirs(folder, dtype: torch.dtype) -> DeepseekV3ForCausalLM:
    # Eager forms: the grouped experts of transformers refuse float64, and its fused attention casts differently.
    return DeepseekV3ForCausalLM.from_pretrained(
        folder, dtype=dtype, experts_implementation="eager", attn_implementation="eager"
    ).eval()


def random_tokens(config: km.ModelConfig, batch: int = 2, length: int = 13) -> Tensor:
    generator = torch.Generator().manual_seed(99)
    return torch.randint(config.vocab_size, (batch, length), generator=generator)


@contextmanager
def recorded_routes(pair: Pair):
    """Two lists, ours and theirs, that fill with one (expert_TK, weight_TK) per MoE layer and call, sorted by expert."""
    ours, theirs, hooks = [], [], []

    def by_expert(expert_TK: Tensor, weight_TK: Tensor) -> tuple[Tensor, Tensor]:
        expert_TK, order = expert_TK.sort(-1)
        return expert_TK, weight_TK.gather(1, order)

    for module in pair.ours.modules():
        if isinstance(module, Router):
            record = lambda _, __, out: ours.append(by_expert(out.expert_TK, out.weight_TK))  # noqa: E731
            hooks.append(module.register_forward_hook(record))
    for module in pair.theirs.modules():
        if isinstance(module, DeepseekV3TopkRouter):
            hooks.append(module.register_forward_hook(lambda _, __, out: theirs.append(by_expert(out[2], out[1]))))
    try:
        yield ours, theirs
    finally:
        for hook in hooks:
            hook.remove()


def our_gradients_by_their_names(model: km.KimiMini) -> dict[str, Tensor]:
    """Gradients of ours under transformers' parameter names and shapes (experts fused)."""
    parameters = dict(model.named_parameters())
    return {key: slot.of(parameters[slot.name].grad) for key, slot in hf_slots(parameters, fused_experts=True).items()}
