"""Configs as released, and the two small ones of this project."""

from .config import ModelConfig, YarnScaling

# moonshotai/Kimi-K2-Instruct, config.json.
K2 = ModelConfig(
    model_type="kimi_k2", vocab_size=163840, hidden_size=7168, num_hidden_layers=61, num_attention_heads=64,
    q_lora_rank=1536, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128,
    intermediate_size=18432, moe_intermediate_size=2048, n_routed_experts=384, num_experts_per_tok=8, n_shared_experts=1,
    first_k_dense_replace=1, routed_scaling_factor=2.827, rope_theta=50000.0, max_position_embeddings=131072,
    rope_scaling=YarnScaling(32.0, 4096, beta_fast=1.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0),
    bos_token_id=163584, eos_token_id=163585,
)  # fmt: skip

# deepseek-ai/DeepSeek-V3, config.json; its multi-token-prediction layer is not part of the main model.
DEEPSEEK_V3 = K2.replace(
    model_type="deepseek_v3", vocab_size=129280, num_attention_heads=128, n_routed_experts=256, first_k_dense_replace=3,
    n_group=8, topk_group=4, routed_scaling_factor=2.5, rope_theta=10000.0, max_position_embeddings=163840,
    rope_scaling=YarnScaling(40.0, 4096, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0),
    bos_token_id=0, eos_token_id=1, num_nextn_predict_layers=1,
)  # fmt: skip

# moonshotai/Moonlight-16B-A3B, config.json: no query latent, two shared experts.
MOONLIGHT = ModelConfig(
    vocab_size=163840, hidden_size=2048, num_hidden_layers=27, num_attention_heads=16,
    q_lora_rank=None, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128,
    intermediate_size=11264, moe_intermediate_size=1408, n_routed_experts=64, num_experts_per_tok=6, n_shared_experts=2,
    first_k_dense_replace=1, routed_scaling_factor=2.446, rms_norm_eps=1e-5, rope_theta=50000.0,
    max_position_embeddings=8192, bos_token_id=163584, eos_token_id=163586,
)  # fmt: skip

# The book's own model: every organ of K2, about five million parameters.
MINI = ModelConfig(
    model_type="kimi_k2", vocab_size=2048, hidden_size=192, num_hidden_layers=5, num_attention_heads=6,
    q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32,
    intermediate_size=512, moe_intermediate_size=48, n_routed_experts=32, num_experts_per_tok=4, n_shared_experts=1,
    first_k_dense_replace=1, routed_scaling_factor=1.996, rope_theta=10000.0, max_position_embeddings=2048,
)  # fmt: skip

# Small enough to train inside a unit test.
NANO = MINI.replace(
    vocab_size=512, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, q_lora_rank=32, kv_lora_rank=24,
    qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, intermediate_size=128, moe_intermediate_size=32,
    n_routed_experts=8, num_experts_per_tok=2, routed_scaling_factor=1.409, max_position_embeddings=512,
)  # fmt: skip

PRESETS = {"k2": K2, "deepseek-v3": DEEPSEEK_V3, "moonlight": MOONLIGHT, "mini": MINI, "nano": NANO}
