"""The operations everything is made of. Each has a slow twin (`ref`), which is its definition, and fast forms.

    impl = "ref"     the definition, in plain torch; what a chapter prints
    impl = "torch"   the same numbers by the fast formulation for CPUs and older GPUs
    impl = "triton"  the same numbers by our own GPU kernels (sm_80 and later; or CPU tensors in Triton's interpreter)
    impl = "auto"    the fastest form there is for these tensors, or what `using` says

Legend: B batch, T query tokens, S key tokens, H heads, N query/key width, M value width, C latent, X latent + rotary key,
E experts, K experts per token, D width, F expert width, V vocabulary, R rotary width, P = R/2 pairs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Literal, get_args

import torch
from torch import Tensor

from ..checks import require
from . import (
    attention_ref,
    attention_torch,
    fp8,
    grouped_mlp_ref,
    grouped_mlp_torch,
    launch,
    linear_cross_entropy_ref,
    linear_cross_entropy_torch,
    newton_schulz_ref,
    newton_schulz_torch,
    router_ref,
    rows,
)
from .fp8 import scale_shape as fp8_scale_shape
from .newton_schulz_ref import COEFFICIENTS as NEWTON_SCHULZ_COEFFICIENTS
from .newton_schulz_ref import step_coefficients
from .router_ref import Sorted

Impl = Literal["ref", "torch", "triton", "auto"]

__all__ = [
    "NEWTON_SCHULZ_COEFFICIENTS",
    "Sorted",
    "add_rms_norm",
    "attention",
    "chosen",
    "cross_entropy",
    "dequantize_fp8",
    "fp8_scale_shape",
    "grouped_mlp",
    "latent_attention",
    "linear_cross_entropy",
    "newton_schulz",
    "quantize_fp8",
    "rms_norm",
    "rope",
    "route",
    "sort_by_expert",
    "step_coefficients",
    "swiglu",
    "swiglu_fp8",
    "using",
]

# The module that holds each operation's Triton kernels, imported at the first use: triton is optional.
_TRITON = {
    "add_rms_norm": "rms_norm_triton",
    "attention": "attention_triton",
    "dequantize_fp8": "fp8_triton",
    "grouped_mlp": "grouped_mlp_triton",
    "latent_attention": "latent_attention_triton",
    "linear_cross_entropy": "linear_cross_entropy_triton",
    "newton_schulz": "newton_schulz_triton",
    "quantize_fp8": "fp8_triton",
    "rms_norm": "rms_norm_triton",
    "rope": "rope_triton",
    "route": "router_triton",
    "sort_by_expert": "sort_triton",
    "swiglu": "swiglu_triton",
    "swiglu_fp8": "fp8_triton",
}
_MULTIPLY = ("attention", "grouped_mlp", "latent_attention", "linear_cross_entropy")  # tiles, in the format of their inputs
_auto: Impl = "auto"


@contextmanager
def using(impl: Impl) -> Iterator[None]:
    """Let "auto" mean `impl` inside the block, in every thread: how a whole model is made to run on one form.

    Operations without a Triton form keep their fast torch one.
    """
    global _auto
    require(impl in get_args(Impl), "impl", impl, " or ".join(map(repr, get_args(Impl))))
    before, _auto = _auto, impl
    try:
        yield
    finally:
        _auto = before


def chosen(op: str, x: Tensor) -> Impl:
    """The form that "auto" is for this operation and tensors like x."""
    impl = _auto if _auto != "auto" else "triton" if launch.can_run_triton(x) else "torch"
    return "torch" if impl == "triton" and op not in _TRITON else impl


def _pick(op: str, impl: Impl, x: Tensor, ref: Callable, fast: Callable) -> Callable:
    """The form of `op` for tensors like x."""
    require(impl in get_args(Impl), "impl", impl, " or ".join(map(repr, get_args(Impl))))
    free = impl == _auto == "auto"  # nobody asked for a form by name
    impl = chosen(op, x) if impl == "auto" else impl
    if impl == "triton":
        _check_triton(op, x)
        form = getattr(import_module(f".{_TRITON[op]}", __name__), op)
        form = _beside(x, form) if x.device.type == "cuda" else form
        return _or_else(form, fast) if free else form
    return ref if impl == "ref" else fast


def _beside(x: Tensor, form: Callable) -> Callable:
    """The form with x's GPU active: Triton launches on the active one, wherever the tensors are."""

    @wraps(form)
    def run(*args, **kwargs):
        with torch.cuda.device(x.device):
            return form(*args, **kwargs)

    return run


def _or_else(form: Callable, fast: Callable) -> Callable:
    """`form`, or `fast` where the arguments do not fit it (too wide, another format): it looks before it starts."""

    @wraps(form)
    def run(*args, **kwargs):
        try:
            return form(*args, **kwargs)
        except launch.Unfit:
            return fast(*args, **kwargs)

    return run


def _check_triton(op: str, x: Tensor) -> None:
    require(op in _TRITON, "impl", "triton", f"'ref' or 'torch' for {op}, which has no Triton form")
    require(launch.has_triton(), "impl", "triton", "'ref' or 'torch' where triton is not installed")
    ran = x.device.type == "cpu"
    require(
        not ran or launch.interpreting(), "impl", "triton",
        "'ref' or 'torch' for CPU tensors (or TRITON_INTERPRET=1 in the environment from the start)",
    )  # fmt: skip
    wrong = ran and x.dtype == torch.bfloat16 and op in _MULTIPLY
    require(not wrong, f"{op}'s dtype", x.dtype, "float32 or float16 (Triton's interpreter multiplies bfloat16 tiles wrongly)")
    known = x.dtype in (torch.float32, *launch.HALF) or not x.is_floating_point()
    require(known, f"{op}'s dtype", x.dtype, "float32, float16 or bfloat16 (float64: 'ref' or 'torch')")


def attention(q_BTHN, k_BTHN, v_BTHM, *, scale, document_BT=None, impl: Impl = "auto"):
    """Causal attention that also says how large its logits got: `(out_BTHM, max_logits_H)`.

    `max_logits_H` is the exact signed maximum of the scaled causal logits over the batch (K2 report, 2.1), detached.
    `document_BT` holds 0 for padding and 1, 2, ... for packed documents; tokens see only their own document, and padding
    stays out of the maximum (-inf when nothing is left).
    """
    run = _pick("attention", impl, q_BTHN, attention_ref.attention, attention_torch.attention)
    return run(q_BTHN, k_BTHN, v_BTHM, scale=scale, document_BT=document_BT)


def latent_attention(q_BTHX, cache_BSX, visible_BT, *, latent_dim, scale, impl: Impl = "auto"):
    """Absorbed decoding: attention straight over the latent cache, `(out_BTHC, max_logits_H)`.

    `visible_BT` says how many cached positions each query may see (0: it is padding, its output is zero).
    """
    run = _pick("latent_attention", impl, q_BTHX, attention_ref.latent_attention, attention_torch.latent_attention)
    return run(q_BTHX, cache_BSX, visible_BT, latent_dim=latent_dim, scale=scale)


def grouped_mlp(x_TD, expert_TK, weight_TK, gate_up_E2FD, down_EDF, *, impl: Impl = "auto"):
    """The weighted sum of each token's chosen SwiGLU experts, `out_TD`."""
    run = _pick("grouped_mlp", impl, x_TD, grouped_mlp_ref.grouped_mlp, grouped_mlp_torch.grouped_mlp)
    return run(x_TD, expert_TK, weight_TK, gate_up_E2FD, down_EDF)


def route(logits_TE, selection_bias_E, *, k, n_group, topk_group, normalise, scale, impl: Impl = "auto"):
    """Who answers for each token, and how loud: `(expert_TK, weight_TK, score_TE)` (DeepSeek-V3 report, equations 12-16).

    Scores are sigmoids of the logits (fp32 or float64). The bias steers who is chosen and never the weights. With groups only
    the `topk_group` of largest worth are open (the sum of a group's two best). A token's experts are distinct and stand in
    falling order of score + bias; weights are scores, divided by the sum of the chosen if `normalise`, times `scale`.
    """
    E = logits_TE.shape[1]
    require(1 <= k <= E, "k", k, f"1 to {E} experts")
    require(E % n_group == 0 and (n_group == 1 or E // n_group >= 2), "n_group", n_group, f"groups of two or more of {E}")
    enough = f"1 to n_group = {n_group}, so that k = {k} experts are open"
    require(topk_group <= n_group and topk_group * (E // n_group) >= k, "topk_group", topk_group, enough)
    run = _pick("route", impl, logits_TE, router_ref.route, router_ref.route)
    how = {"k": k, "n_group": n_group, "topk_group": topk_group, "normalise": normalise, "scale": scale}
    return run(logits_TE, selection_bias_E, **how)


def sort_by_expert(expert_TK, n_experts, *, impl: Impl = "auto") -> Sorted:
    """The assignments in the order of their experts, stable, and where each expert's share ends: `Sorted(order_A, ends_E)`."""
    return _pick("sort_by_expert", impl, expert_TK, router_ref.sort_by_expert, router_ref.sort_by_expert)(expert_TK, n_experts)


def newton_schulz(x_AB, *, steps=5, coefficients="muon", dtype=None, eps=1e-7, impl: Impl = "auto"):
    """Pull the singular values of each matrix (last two axes) towards 1: about U V^T of its SVD.

    `coefficients` names a row of NEWTON_SCHULZ_COEFFICIENTS; `dtype` is the format of the iteration (default: that of x).
    A zero matrix stays zero. The Triton form has no gradient: an optimizer asks for none.
    """
    run = _pick("newton_schulz", impl, x_AB, newton_schulz_ref.newton_schulz, newton_schulz_torch.newton_schulz)
    return run(x_AB, steps=steps, coefficients=coefficients, dtype=dtype, eps=eps)


def rms_norm(x_D, weight_D, eps, *, impl: Impl = "auto"):
    """x / rms(x) * weight over the last axis; statistics in at least fp32."""
    return _pick("rms_norm", impl, x_D, rows.rms_norm_ref, rows.rms_norm_torch)(x_D, weight_D, eps)


def add_rms_norm(x_D, residual_D, weight_D, eps, *, impl: Impl = "auto"):
    """The sum of x and residual, normed and as it is: `(rms_norm(x + residual), x + residual)`; one trip over memory."""
    return _pick("add_rms_norm", impl, x_D, rows.add_rms_norm_ref, rows.add_rms_norm_torch)(x_D, residual_D, weight_D, eps)


def swiglu(gate_F, up_F, *, impl: Impl = "auto"):
    """silu(gate) * up, elementwise (silu(x) = x sigmoid(x)). Both may be strided halves of one tensor."""
    return _pick("swiglu", impl, gate_F, rows.swiglu_ref, rows.swiglu_torch)(gate_F, up_F)


def quantize_fp8(x_AB, block=(1, 128), *, impl: Impl = "auto"):
    """`(q_AB, scale)`, x in about a quarter of fp32's bytes: E4M3 codes and, per tile of (1, 128) or (128, 128), an fp32 scale.

    x is about q * scale; scale = amax / 448 (DeepSeek's layout: `fp8_scale_shape`). Tiles of zeros come back as zeros, tiles
    with NaN or an infinity as NaN. No gradient.
    """
    run = _pick("quantize_fp8", impl, x_AB, fp8.quantize_fp8_ref, fp8.quantize_fp8_torch)
    return run(x_AB.detach(), block)


def dequantize_fp8(q_AB, scale_ab, block=(1, 128), *, dtype=torch.float32, impl: Impl = "auto"):
    """q * scale in `dtype`: what `quantize_fp8` was given, to about 2^-4 of each entry. No gradient."""
    run = _pick("dequantize_fp8", impl, scale_ab, fp8.dequantize_fp8, fp8.dequantize_fp8)
    return run(q_AB, scale_ab, block, dtype)


def swiglu_fp8(gate_TF, up_TF, *, impl: Impl = "auto"):
    """`quantize_fp8(silu(gate) * up)` in tiles of (1, 128), with nothing rounded between; halves of one tensor will do."""
    run = _pick("swiglu_fp8", impl, gate_TF, fp8.swiglu_fp8_ref, fp8.swiglu_fp8_torch)
    return run(gate_TF.detach(), up_TF.detach())


def rope(x_BTHR, cos_BTP, sin_BTP, *, impl: Impl = "auto"):
    """Turn each interleaved pair (x0, x1), (x2, x3), ... of x by its angle; the layout of x stays (x0', x1', x2', ...).

    One table row per token, for each batch row or (B = 1) for all. The Triton form gives the table no gradient.
    """
    return _pick("rope", impl, x_BTHR, rows.rope, rows.rope)(x_BTHR, cos_BTP, sin_BTP)


def cross_entropy(logits_TV, target_T, *, impl: Impl = "auto"):
    """Sum of -log softmax(logits)[target] over targets that are not -100, in nats and at least fp32."""
    return _pick("cross_entropy", impl, logits_TV, rows.cross_entropy_ref, rows.cross_entropy_torch)(logits_TV, target_T)


def linear_cross_entropy(x_TD, weight_VD, target_T, *, impl: Impl = "auto"):
    """`cross_entropy(x @ weight^T, target)`, in nats, without ever holding the logits (but in the ref form).

    One dtype for x and weight. Gradients are those of the sum; ignored tokens (-100) get exactly 0. Scaling the loss down
    before the backward pass costs fp16 its small probabilities: divide the gradients afterwards, as `train_step` does.
    A target outside the vocabulary raises on a CPU; the Triton form, which cannot look without waiting, returns NaN.
    """
    ref, fast = linear_cross_entropy_ref.linear_cross_entropy, linear_cross_entropy_torch.linear_cross_entropy
    return _pick("linear_cross_entropy", impl, x_TD, ref, fast)(x_TD, weight_VD, target_T)
