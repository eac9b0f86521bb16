"""Configs to count, each under a name that is Python: what a student pastes to try the same one."""

from __future__ import annotations

import random

import kimi_mini as km

# Nine of its layers have experts: an odd number, so that "every second" must be rounded the right way.
SMALL_NAME = "km.NANO.replace(num_hidden_layers=10, v_head_dim=20)"
SMALL = km.NANO.replace(num_hidden_layers=10, v_head_dim=20)


def draw(rng: random.Random, **fixed) -> tuple[str, km.ModelConfig]:
    """A small config and its name. Its widths differ, so that a formula with the wrong field gives another number.

    Two or more dense layers, so many that a quarter of all layers is more than a quarter of those with experts; two or more
    shared experts. `fixed` fields are set besides.
    """
    changes = dict(
        num_hidden_layers=rng.choice((8, 9, 12, 13)),
        first_k_dense_replace=rng.choice((2, 3)),
        num_attention_heads=rng.choice((3, 5, 7)),
        v_head_dim=rng.choice((10, 12, 18, 20)),
        moe_intermediate_size=rng.choice((20, 28, 36, 44)),
        n_shared_experts=rng.choice((2, 3)),
    )
    changes |= fixed
    fields = ", ".join(f"{field}={value!r}" for field, value in changes.items())
    return f"km.NANO.replace({fields})", km.NANO.replace(**changes)


def spread(seed: int) -> dict[str, km.ModelConfig]:
    """What parameter counts are tried on, the most readable first: its message is the one that a student sees.

    After it a released config without a query latent, and drawn ones: as K2, with a tied head, without a query latent.
    """
    rng = random.Random(seed)
    drawn = (draw(rng), draw(rng, tie_word_embeddings=True), draw(rng, q_lora_rank=None))
    return {SMALL_NAME: SMALL, "km.MOONLIGHT": km.MOONLIGHT, **dict(drawn)}
