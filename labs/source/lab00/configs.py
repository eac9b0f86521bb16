"""Configs to count: one that can be read at a glance, a released one, and drawn ones in which no two widths agree."""

from __future__ import annotations

import random

import kimi_mini as km

# Nine of its layers have experts: an odd number, so that "every second" must be rounded the right way.
SMALL = km.NANO.replace(num_hidden_layers=10)


def draw(rng: random.Random, **fixed) -> km.ModelConfig:
    """A small config whose widths all differ, so that a formula with the wrong field gives another number.

    Two or more dense layers, so many that a quarter of all layers is more than a quarter of those with experts; two or more
    shared experts; an even number of experts per token. `fixed` fields override.
    """
    nope, value, rope = rng.sample((8, 10, 12, 14, 18, 20), 3)
    hidden, intermediate, expert, query, latent = rng.sample(range(24, 100, 4), 5)
    experts = rng.choice((12, 16, 20, 24))
    sizes = dict(
        vocab_size=rng.randrange(160, 400, 8), hidden_size=hidden, num_hidden_layers=rng.choice((8, 9, 12, 13)),
        num_attention_heads=rng.choice((3, 5, 7)), q_lora_rank=query, kv_lora_rank=latent, qk_nope_head_dim=nope,
        qk_rope_head_dim=rope, v_head_dim=value, intermediate_size=intermediate, moe_intermediate_size=expert,
        n_routed_experts=experts, num_experts_per_tok=rng.choice((2, 4)), n_shared_experts=rng.choice((2, 3)),
        first_k_dense_replace=rng.choice((2, 3)), max_position_embeddings=4096,
    )  # fmt: skip
    return km.ModelConfig(**sizes | fixed)


def drawn(seed: int) -> dict[str, km.ModelConfig]:
    """Three drawn configs by name: as K2, with its head tied to the embedding, and without a latent for queries."""
    rng = random.Random(seed)
    return {
        "a drawn config": draw(rng),
        "a drawn config with tied embeddings": draw(rng, tie_word_embeddings=True),
        "a drawn config without a query latent": draw(rng, q_lora_rank=None),
    }


def spread(seed: int) -> dict[str, km.ModelConfig]:
    """What parameter counts are tried on: small and readable first, so that its message is the one that is seen."""
    return {"km.NANO with 10 layers": SMALL, "km.MOONLIGHT": km.MOONLIGHT, **drawn(seed)}
