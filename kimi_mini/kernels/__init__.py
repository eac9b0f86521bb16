"""The operations everything is made of. Each has a slow twin (`ref`), which is its definition, and a fast form (`torch`).

    impl = "ref"     the definition, in plain torch; what a chapter prints
    impl = "torch"   the same numbers by the fast formulation for CPUs and GPUs without Triton
    impl = "auto"    the fastest form there is for these tensors

Legend: B batch, T query tokens, S key tokens, H heads, N query/key width, M value width, C latent, X latent + rotary key,
E experts, K experts per token, D width, F expert width, V vocabulary.
"""

from collections.abc import Callable
from typing import Literal

from ..checks import require
from . import attention_ref, attention_torch, grouped_mlp_ref, grouped_mlp_torch, newton_schulz_ref, newton_schulz_torch, rows
from .newton_schulz_ref import COEFFICIENTS as NEWTON_SCHULZ_COEFFICIENTS
from .newton_schulz_ref import step_coefficients

Impl = Literal["ref", "torch", "auto"]

__all__ = [
    "NEWTON_SCHULZ_COEFFICIENTS",
    "attention",
    "cross_entropy",
    "grouped_mlp",
    "latent_attention",
    "newton_schulz",
    "rms_norm",
    "step_coefficients",
]


def _pick(impl: Impl, ref: Callable, fast: Callable) -> Callable:
    require(impl in ("ref", "torch", "auto"), "impl", impl, "'ref', 'torch' or 'auto'")
    return ref if impl == "ref" else fast


def attention(q_BTHN, k_BTHN, v_BTHM, *, scale, document_BT=None, impl: Impl = "auto"):
    """Causal attention that also says how large its logits got: `(out_BTHM, max_logits_H)`.

    `max_logits_H` is the exact signed maximum of the scaled causal logits over the batch (K2 report, 2.1), detached.
    `document_BT` holds 0 for padding and 1, 2, ... for packed documents; tokens see only their own document, and padding
    stays out of the maximum (-inf when nothing is left).
    """
    run = _pick(impl, attention_ref.attention, attention_torch.attention)
    return run(q_BTHN, k_BTHN, v_BTHM, scale=scale, document_BT=document_BT)


def latent_attention(q_BTHX, cache_BSX, visible_BT, *, latent_dim, scale, impl: Impl = "auto"):
    """Absorbed decoding: attention straight over the latent cache, `(out_BTHC, max_logits_H)`.

    `visible_BT` says how many cached positions each query may see (0: it is padding, its output is zero).
    """
    run = _pick(impl, attention_ref.latent_attention, attention_torch.latent_attention)
    return run(q_BTHX, cache_BSX, visible_BT, latent_dim=latent_dim, scale=scale)


def grouped_mlp(x_TD, expert_TK, weight_TK, gate_up_E2FD, down_EDF, *, impl: Impl = "auto"):
    """The weighted sum of each token's chosen SwiGLU experts, `out_TD`."""
    run = _pick(impl, grouped_mlp_ref.grouped_mlp, grouped_mlp_torch.grouped_mlp)
    return run(x_TD, expert_TK, weight_TK, gate_up_E2FD, down_EDF)


def newton_schulz(x_AB, *, steps=5, coefficients="muon", dtype=None, eps=1e-7, impl: Impl = "auto"):
    """Pull the singular values of each matrix (last two axes) towards 1: about U V^T of its SVD.

    `coefficients` names a row of NEWTON_SCHULZ_COEFFICIENTS; `dtype` is the format of the iteration (default: that of x).
    A zero matrix stays zero.
    """
    run = _pick(impl, newton_schulz_ref.newton_schulz, newton_schulz_torch.newton_schulz)
    return run(x_AB, steps=steps, coefficients=coefficients, dtype=dtype, eps=eps)


def rms_norm(x_D, weight_D, eps, *, impl: Impl = "auto"):
    """x / rms(x) * weight over the last axis; statistics in at least fp32."""
    return _pick(impl, rows.rms_norm_ref, rows.rms_norm_torch)(x_D, weight_D, eps)


def cross_entropy(logits_TV, target_T, *, impl: Impl = "auto"):
    """Sum of -log softmax(logits)[target] over targets that are not -100, in nats and at least fp32."""
    return _pick(impl, rows.cross_entropy_ref, rows.cross_entropy_torch)(logits_TV, target_T)
