"""The router as Triton kernels: sigmoid, bias, grouped top-k, weights and scores in one trip over the logits.

Scope: fp32 logits, up to 4,096 experts, any number of groups. A program is one warp with a few tokens, so that no reduction
leaves the warp. Limiter: bytes (logits read, scores written), then the latency of k reductions in a row.

Choosing works on integers. A choice (score + bias) becomes the upper half of a 64-bit key, ordered as the floats are, NaN
above all, and the lower half names the expert. One maximum then gives value and expert; all keys of a token differ, so its
experts are distinct whatever their scores, and among equals the lowest number wins.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import require
from .launch import Config, blocks, interpreting, next_power_of_2, require_fit

MAX_EXPERTS = 4096
_NOTHING = tl.constexpr(-(2**63))  # below every key, that of -inf included


def _config(n_experts: int, n_group: int) -> Config:
    # By prediction, not yet tuned on a device: one warp, 16 or more experts a thread.
    tiles = {"GROUPS": next_power_of_2(n_group), "SIZE": next_power_of_2(n_experts // n_group)}
    rows = 2 if interpreting() else max(1, 512 // (tiles["GROUPS"] * tiles["SIZE"]))
    return Config({"ROWS": rows, **tiles}, warps=1, stages=1)


@triton.jit
def _keys(value, number):
    """Integers that sort as `value` does (NaN above +inf), told apart by `number`: the lower one wins a tie."""
    bits = tl.where(value == value, value.to(tl.int32, bitcast=True), 0x7FFFFFFF)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.to(tl.int64) << 32) | (0x7FFFFFFF - number).to(tl.int64)


@triton.jit
def _value(keys):
    """The float that went into a key."""
    ordered = (keys >> 32).to(tl.int32)
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)


@triton.jit
def _number(keys):
    return 0x7FFFFFFF - (keys & 0x7FFFFFFF)


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _keep_best_groups(key_RC, N_GROUP: tl.constexpr, TOPK_GROUP: tl.constexpr, GROUPS: tl.constexpr, SIZE: tl.constexpr):
    """The keys without those of closed groups: a group is worth the sum of its two best."""
    ROWS: tl.constexpr = key_RC.shape[0]
    key_RGS = tl.reshape(key_RC, (ROWS, GROUPS, SIZE))
    best_RG = tl.max(key_RGS, 2)
    second_RG = tl.max(tl.where(key_RGS == best_RG[:, :, None], _NOTHING, key_RGS), 2)
    group = tl.arange(0, GROUPS)[None, :]
    worth_RG = tl.where(group < N_GROUP, _keys(_value(best_RG) + _value(second_RG), group), _NOTHING)
    open_RG = tl.zeros((ROWS, GROUPS), tl.int1)
    for _ in tl.static_range(TOPK_GROUP):
        top_R1 = tl.max(worth_RG, 1)[:, None]
        open_RG = open_RG | (worth_RG == top_R1)
        worth_RG = tl.where(worth_RG == top_R1, _NOTHING, worth_RG)
    return tl.reshape(tl.where(open_RG[:, :, None], key_RGS, _NOTHING), (ROWS, GROUPS * SIZE))


@triton.jit
def _forward(
    logits_ptr, bias_ptr, expert_ptr, weight_ptr, score_ptr, T, E, scale,
    K: tl.constexpr, K_BLOCK: tl.constexpr, N_GROUP: tl.constexpr, TOPK_GROUP: tl.constexpr, NORMALISE: tl.constexpr,
    ROWS: tl.constexpr, GROUPS: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, GROUPS * SIZE)[None, :]
    expert = column // SIZE * (E // N_GROUP) + column % SIZE
    is_expert = (column // SIZE < N_GROUP) & (column % SIZE < E // N_GROUP)
    inside = is_expert & (row < T)
    score_RC = _sigmoid(tl.load(logits_ptr + row * E + expert, mask=inside, other=0.0))
    tl.store(score_ptr + row * E + expert, score_RC, mask=inside)
    bias = tl.load(bias_ptr + expert, mask=is_expert, other=0.0).to(tl.float32)
    key_RC = tl.where(is_expert, _keys(score_RC + bias, expert), _NOTHING)
    if N_GROUP > 1:
        key_RC = _keep_best_groups(key_RC, N_GROUP, TOPK_GROUP, GROUPS, SIZE)

    place = tl.arange(0, K_BLOCK)[None, :]
    chosen_RK = tl.zeros((ROWS, K_BLOCK), tl.int64)
    for i in tl.static_range(K):
        top_R1 = tl.max(key_RC, 1)[:, None]
        chosen_RK = tl.where(place == i, _number(top_R1), chosen_RK)
        key_RC = tl.where(key_RC == top_R1, _NOTHING, key_RC)
    wanted = (place < K) & (row < T)
    # The chosen scores once more from their logits, which are near: cheaper than K sums over all experts.
    weight_RK = _sigmoid(tl.load(logits_ptr + row * E + chosen_RK, mask=wanted, other=0.0))
    if NORMALISE:
        weight_RK = weight_RK / (tl.sum(tl.where(place < K, weight_RK, 0.0), 1)[:, None] + 1e-20)
    tl.store(expert_ptr + row * K + place, chosen_RK, mask=wanted)
    tl.store(weight_ptr + row * K + place, weight_RK * scale, mask=wanted)


@triton.jit
def _backward(
    dweight_ptr, dscore_ptr, score_ptr, expert_ptr, dlogits_ptr, T, E, scale,
    K: tl.constexpr, K_BLOCK: tl.constexpr, NORMALISE: tl.constexpr, HAS_DSCORE: tl.constexpr,
    ROWS: tl.constexpr, GROUPS: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, GROUPS * SIZE)[None, :]
    inside = (column < E) & (row < T)
    place = tl.arange(0, K_BLOCK)[None, :]
    wanted = (place < K) & (row < T)
    chosen_RK = tl.load(expert_ptr + row * K + place, mask=wanted, other=0)
    dchosen_RK = tl.load(dweight_ptr + row * K + place, mask=wanted, other=0.0).to(tl.float32) * scale
    if NORMALISE:
        score_RK = tl.load(score_ptr + row * E + chosen_RK, mask=wanted, other=0.0)
        total_R1 = tl.sum(score_RK, 1)[:, None] + 1e-20
        dchosen_RK = (dchosen_RK - tl.sum(dchosen_RK * score_RK, 1)[:, None] / total_R1) / total_R1
    score_RC = tl.load(score_ptr + row * E + column, mask=inside, other=0.0)
    if HAS_DSCORE:
        dscore_RC = tl.load(dscore_ptr + row * E + column, mask=inside, other=0.0)
    else:
        dscore_RC = tl.zeros((ROWS, GROUPS * SIZE), tl.float32)
    for i in tl.static_range(K):
        chosen_R1 = tl.sum(tl.where(place == i, chosen_RK, 0), 1)[:, None]
        dchosen_R1 = tl.sum(tl.where(place == i, dchosen_RK, 0.0), 1)[:, None]
        dscore_RC += tl.where(column == chosen_R1, dchosen_R1, 0.0)
    tl.store(dlogits_ptr + row * E + column, dscore_RC * score_RC * (1.0 - score_RC), mask=inside)


class _Route(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits_TE: Tensor, bias_E: Tensor, k: int, n_group: int, topk_group: int, normalise: bool, scale: float):
        T, E = logits_TE.shape
        expert_TK = torch.empty(T, k, dtype=torch.int64, device=logits_TE.device)
        weight_TK, score_TE = logits_TE.new_empty(T, k), torch.empty_like(logits_TE)
        config = _config(E, n_group)
        _forward[(blocks(T, config.tiles["ROWS"]),)](
            logits_TE, bias_E, expert_TK, weight_TK, score_TE, T, E, scale,
            k, next_power_of_2(k), n_group, topk_group, normalise, **config.options(),
        )  # fmt: skip
        ctx.save_for_backward(expert_TK, score_TE)
        ctx.normalise, ctx.scale = normalise, scale
        ctx.mark_non_differentiable(expert_TK)
        ctx.set_materialize_grads(False)
        return expert_TK, weight_TK, score_TE

    @staticmethod
    @once_differentiable
    def backward(ctx, _, dweight_TK: Tensor | None, dscore_TE: Tensor | None):
        expert_TK, score_TE = ctx.saved_tensors
        (T, E), k = score_TE.shape, expert_TK.shape[1]
        dweight_TK = score_TE.new_zeros(T, k) if dweight_TK is None else dweight_TK.contiguous()
        dscore_TE = None if dscore_TE is None else dscore_TE.contiguous()
        dlogits_TE = torch.empty_like(score_TE)
        config = _config(E, 1)
        _backward[(blocks(T, config.tiles["ROWS"]),)](
            dweight_TK, dscore_TE, score_TE, expert_TK, dlogits_TE, T, E, ctx.scale,
            k, next_power_of_2(k), ctx.normalise, dscore_TE is not None, **config.options(),
        )  # fmt: skip
        return dlogits_TE, None, None, None, None, None, None


def route(
    logits_TE: Tensor, selection_bias_E: Tensor, *, k: int, n_group: int, topk_group: int, normalise: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    require_fit(logits_TE.dtype == torch.float32, "logits_TE's dtype", logits_TE.dtype, "torch.float32")
    require_fit(logits_TE.shape[1] <= MAX_EXPERTS, "experts", logits_TE.shape[1], f"at most {MAX_EXPERTS} (impl='torch': any)")
    fits = selection_bias_E.shape == logits_TE.shape[1:]
    require(fits, "selection_bias_E's shape", list(selection_bias_E.shape), f"[{logits_TE.shape[1]}], one for each expert")
    bias_E = selection_bias_E.detach().contiguous()
    return _Route.apply(logits_TE.contiguous(), bias_E, k, n_group, topk_group, normalise, scale)
