"""ModelConfig: one frozen dataclass under Hugging Face's field names; the real presets and two small ones."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checks import is_int, is_number, require


@dataclass(frozen=True)
class YarnScaling:
    """YaRN context extension (arXiv 2309.00071), fields as in `rope_scaling` of config.json."""

    factor: float
    original_max_position_embeddings: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 0.0
    mscale_all_dim: float = 0.0

    def __post_init__(self) -> None:
        require(_is_finite(self.factor) and self.factor >= 1, "rope_scaling.factor", self.factor, "a number >= 1")
        length = self.original_max_position_embeddings
        require(is_int(length, 1), "rope_scaling.original_max_position_embeddings", length, "a positive integer")
        for name in ("beta_fast", "beta_slow"):
            value = getattr(self, name)
            require(_is_finite(value) and value > 0, f"rope_scaling.{name}", value, "a number > 0")
        require(
            self.beta_fast >= self.beta_slow, "rope_scaling.beta_fast", self.beta_fast, f"at least beta_slow = {self.beta_slow}"
        )
        for name in ("mscale", "mscale_all_dim"):
            value = getattr(self, name)
            require(_is_finite(value) and value >= 0, f"rope_scaling.{name}", value, "a number >= 0")


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the model's shape, named as in Hugging Face's `deepseek_v3` config.json.

    Raises ValueError naming the field, its value and what would be right, for any combination the model cannot run.
    The defaults are DeepSeek-V3's where K2 leaves them alone; sizes have none.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    intermediate_size: int
    moe_intermediate_size: int
    n_routed_experts: int
    num_experts_per_tok: int
    max_position_embeddings: int
    q_lora_rank: int | None = None
    n_shared_experts: int = 1
    first_k_dense_replace: int = 1
    moe_layer_freq: int = 1
    n_group: int = 1
    topk_group: int = 1
    routed_scaling_factor: float = 1.0
    norm_topk_prob: bool = True
    scoring_func: str = "sigmoid"
    topk_method: str = "noaux_tc"
    seq_aux: bool = True
    aux_loss_alpha: float = 0.001
    rms_norm_eps: float = 1e-6
    hidden_act: str = "silu"
    attention_bias: bool = False
    rope_theta: float = 10000.0
    rope_scaling: YarnScaling | None = None
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    num_nextn_predict_layers: int = 0
    model_type: str = "deepseek_v3"

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def qk_head_dim(self) -> int:
        """Width of one query or key head: content part plus rotary part."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def cache_width(self) -> int:
        """Elements MLA keeps per token and layer: the latent and the shared rotary key."""
        return self.kv_lora_rank + self.qk_rope_head_dim

    @property
    def softmax_scale(self) -> float:
        """Factor on q . k: d^-1/2, times YaRN's m^2 where mscale_all_dim is set (k2-facts: 0.130861 for K2)."""
        scale = self.qk_head_dim**-0.5
        if self.rope_scaling is not None and self.rope_scaling.mscale_all_dim:
            scale *= yarn_mscale(self.rope_scaling.factor, self.rope_scaling.mscale_all_dim) ** 2
        return scale

    def is_moe(self, layer: int) -> bool:
        """Whether block `layer` (0-based) holds experts rather than one dense MLP."""
        return layer >= self.first_k_dense_replace

    @property
    def num_moe_layers(self) -> int:
        return self.num_hidden_layers - self.first_k_dense_replace

    def replace(self, **changes: Any) -> ModelConfig:
        """A copy with some fields changed, validated again."""
        known = {f.name for f in dataclasses.fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"unknown config field {', '.join(unknown)}; the fields are {', '.join(sorted(known))}")
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_hf(cls, source: dict | str | Path) -> ModelConfig:
        """Read a Hugging Face config: a dict, a config.json, or the folder that holds one.

        Accepts model types `kimi_k2` and `deepseek_v3`, the old layout (`rope_theta` and `rope_scaling` at the top) and
        the new one (`rope_parameters`). Fields that do not shape the model (dtype, quantization_config, ...) are left out.
        """
        return cls(**_fields_from_hf(load_hf_dict(source)))

    def to_hf(self) -> dict[str, Any]:
        """A config.json dict that transformers (4.x and 5.x) loads as `deepseek_v3`; `from_hf` inverts it up to model_type."""
        hf = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        hf["model_type"] = "deepseek_v3"
        hf["architectures"] = ["DeepseekV3ForCausalLM"]
        hf["num_key_value_heads"] = self.num_attention_heads
        hf["head_dim"] = self.qk_rope_head_dim  # transformers sizes its rotary table from it
        hf["rope_interleave"] = True
        if self.rope_scaling is not None:
            hf["rope_scaling"] = {"type": "yarn", "rope_type": "yarn", **dataclasses.asdict(self.rope_scaling)}
        return hf


def yarn_mscale(factor: float, mscale: float) -> float:
    """YaRN's attention temperature m = 0.1 * mscale * ln(factor) + 1 (1 for factor <= 1)."""
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


# ---- validation ------------------------------------------------------------------------------------------------------


def _is_finite(value: object) -> bool:
    return is_number(value) and math.isfinite(value)


_POSITIVE_INTS = (
    "vocab_size hidden_size num_hidden_layers num_attention_heads kv_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim "
    "intermediate_size moe_intermediate_size n_routed_experts num_experts_per_tok max_position_embeddings n_group topk_group "
    "n_shared_experts"
).split()
_ONE_OF = {
    "scoring_func": ("sigmoid",),
    "topk_method": ("noaux_tc",),
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "moe_layer_freq": (1,),
    "model_type": ("deepseek_v3", "kimi_k2"),
}


def _validate(c: ModelConfig) -> None:
    def check(name: str, ok: bool, wanted: str) -> None:
        require(ok, name, getattr(c, name), wanted)

    for name in _POSITIVE_INTS:
        check(name, is_int(getattr(c, name), 1), "a positive integer")
    for name, allowed in _ONE_OF.items():
        check(name, getattr(c, name) in allowed, " or ".join(repr(a) for a in allowed))
    for name in ("norm_topk_prob", "tie_word_embeddings", "seq_aux"):
        check(name, isinstance(getattr(c, name), bool), "true or false")
    for name in ("first_k_dense_replace", "num_nextn_predict_layers"):
        check(name, is_int(getattr(c, name), 0), "an integer >= 0")
    for name in ("routed_scaling_factor", "rms_norm_eps", "rope_theta", "initializer_range"):
        check(name, _is_finite(getattr(c, name)) and getattr(c, name) > 0, "a number > 0")
    check("rope_theta", c.rope_theta > 1, "a number > 1: the base of the slowing frequencies")
    check("aux_loss_alpha", _is_finite(c.aux_loss_alpha) and c.aux_loss_alpha >= 0, "a number >= 0")
    check("q_lora_rank", c.q_lora_rank is None or is_int(c.q_lora_rank, 1), "None or a positive integer")
    check("rope_scaling", c.rope_scaling is None or isinstance(c.rope_scaling, YarnScaling), "None or YarnScaling(...)")
    for name in ("bos_token_id", "eos_token_id"):
        value = getattr(c, name)
        in_range = value is None or (is_int(value, 0) and value < c.vocab_size)
        check(name, in_range, f"None or a token id below vocab_size = {c.vocab_size}")

    layers, experts = c.num_hidden_layers, c.n_routed_experts
    check("first_k_dense_replace", c.first_k_dense_replace <= layers, f"at most num_hidden_layers = {layers}")
    check("qk_rope_head_dim", c.qk_rope_head_dim % 2 == 0, "an even number: positions turn pairs")
    check("num_experts_per_tok", c.num_experts_per_tok <= experts, f"at most n_routed_experts = {experts}")
    check("n_group", experts % c.n_group == 0, f"a divisor of n_routed_experts = {experts}")
    check("topk_group", c.topk_group <= c.n_group, f"at most n_group = {c.n_group}")
    if c.n_group > 1:
        size, k = experts // c.n_group, c.num_experts_per_tok
        check("n_group", size >= 2, f"at most {experts // 2}: a group is scored by its two best experts")
        check("topk_group", c.topk_group * size >= k, f"enough groups of {size} to hold num_experts_per_tok = {k} experts")


# Rope settings that transformers knows and no released model of this family uses.
_ROPE_FIXED = {"attention_factor": None, "truncate": True, "partial_rotary_factor": 1.0}

# ---- Hugging Face layouts --------------------------------------------------------------------------------------------


def load_hf_dict(source: dict | str | Path) -> dict[str, Any]:
    if isinstance(source, dict):
        return source
    path = Path(source)
    if path.is_dir():
        path = path / "config.json"
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no config.json at {path}; expected a Hugging Face model folder or its config.json") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); expected a Hugging Face config.json") from None
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__}; expected a JSON object")
    return loaded


def _fields_from_hf(hf: dict[str, Any]) -> dict[str, Any]:
    known = {f.name: f for f in dataclasses.fields(ModelConfig)}
    model_type = hf.get("model_type")
    require(model_type in _ONE_OF["model_type"], "model_type", model_type, "'deepseek_v3' or 'kimi_k2'")
    fields = {name: hf[name] for name in known if name in hf and name not in ("rope_scaling", "rope_theta")}
    heads = hf.get("num_key_value_heads")
    require(
        heads in (None, hf.get("num_attention_heads")), "num_key_value_heads", heads,
        f"num_attention_heads = {hf.get('num_attention_heads')}: MLA has one key per query head",
    )  # fmt: skip
    require(hf.get("rope_interleave", True) is True, "rope_interleave", hf.get("rope_interleave"), "true")
    missing = [n for n, f in known.items() if f.default is dataclasses.MISSING and n not in fields]
    if missing:
        raise ValueError(f"the config lacks {', '.join(missing)}; expected every size field of a {model_type} config.json")
    return fields | _rope_from_hf(hf, fields["max_position_embeddings"])


def _rope_from_hf(hf: dict[str, Any], max_positions: int) -> dict[str, Any]:
    # Old files carry rope_theta + rope_scaling at the top, files saved by transformers 5 one rope_parameters.
    where = "rope_parameters" if hf.get("rope_parameters") is not None else "rope_scaling"
    rope = hf.get(where) or {}
    require(isinstance(rope, dict), where, rope, "null or a JSON object")
    for name, neutral in _ROPE_FIXED.items():
        require(
            rope.get(name) in (None, neutral), f"{where}.{name}", rope.get(name), f"{neutral} or nothing: no other is built"
        )
    theta = rope.get("rope_theta")
    if theta is None:
        theta = hf.get("rope_theta", 10000.0)
    kind = rope.get("rope_type", rope.get("type", "default"))
    require(kind in ("default", "yarn"), "rope type", kind, "'default' or 'yarn'")
    if kind == "default":
        return {"rope_theta": theta, "rope_scaling": None}
    require("factor" in rope, "rope_scaling.factor", None, "the context extension factor of YaRN")
    names = {f.name for f in dataclasses.fields(YarnScaling)}
    values = {name: value for name, value in rope.items() if name in names and value is not None}
    values.setdefault("original_max_position_embeddings", max_positions)
    return {"rope_theta": theta, "rope_scaling": YarnScaling(**values)}
