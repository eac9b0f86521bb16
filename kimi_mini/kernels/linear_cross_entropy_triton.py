"""The head and its loss in one, as Triton kernels: the logits stay in registers, [T, V] never exists.

Scope: x and weight of one format (fp32, fp16, bf16), contiguous or copied. Forward: a program per tile of tokens and vocabulary
multiplies, and stores of its tile, for each token, the largest logit, the sum of exponentials below it and, where it falls
into the tile, the target's logit; a second kernel merges the tiles online (largest so far, sum so far). Largest and sum stay
two numbers to the end: their log-sum-exp would round a softmax at logits of 10,000 to three digits. Tiles are walked in
groups, so that a group shares its rows of x and of the weight in L2. Limiter: math.

Backward: the vocabulary in segments. A segment's logits are computed once more, their gradient softmax - onehot goes into a
workspace of bounded size, and two plain products (cuBLAS) make of it that segment's rows of dweight, summed over all tokens in
fp32 inside the product and rounded once, and its share of dx, which is added up in fp32. Cutting the vocabulary and not the
tokens is what keeps dweight free of partial sums. Recomputing costs 8 T D V operations where keeping the logits would cost 6,
so at best 75 % of the 6 T D V floor. No atomics: the sums have a fixed order.

Learned from: the published fused losses, which keep logits on chip in the forward pass and bound the backward's workspace.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..checks import require
from .launch import PRECISION, Config, blocks, choose, interpreting
from .rows import IGNORE

WORKSPACE_BYTES = 1500 if interpreting() else 2**28  # of the logits' gradients, a segment at a time

# By prediction; not yet tuned on a device: the tile sizes of fast matrix products on each family.
_TILES = {
    "hopper": Config({"T_BLOCK": 128, "V_BLOCK": 256, "K_BLOCK": 64, "GROUP": 16}, warps=8, stages=4),
    "ampere": Config({"T_BLOCK": 128, "V_BLOCK": 128, "K_BLOCK": 64, "GROUP": 16}, warps=8, stages=4),
    "small": Config({"T_BLOCK": 128, "V_BLOCK": 128, "K_BLOCK": 32, "GROUP": 16}, warps=8, stages=4),
    "fp32": Config({"T_BLOCK": 64, "V_BLOCK": 64, "K_BLOCK": 32, "GROUP": 16}, warps=8, stages=3),
    "interpreter": Config({"T_BLOCK": 16, "V_BLOCK": 16, "K_BLOCK": 16, "GROUP": 2}),
}
_MERGE = Config({"T_BLOCK": 16, "S_BLOCK": 2} if interpreting() else {"T_BLOCK": 32, "S_BLOCK": 64}, warps=4)


@triton.jit
def _tile(T, V, T_BLOCK: tl.constexpr, V_BLOCK: tl.constexpr, GROUP: tl.constexpr):
    """Which tile of tokens and which of the vocabulary this program has: down GROUP tiles of tokens, then one to the right."""
    t_tiles = tl.cdiv(T, T_BLOCK)
    in_group = GROUP * tl.cdiv(V, V_BLOCK)
    first = tl.program_id(0) // in_group * GROUP
    height = min(t_tiles - first, GROUP)
    at = tl.program_id(0) % in_group
    return first + at % height, at // height


@triton.jit
def _logits(
    x_ptr, weight_ptr, row, column, T, V, D,
    T_BLOCK: tl.constexpr, V_BLOCK: tl.constexpr, K_BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """x weight^T of these rows and columns, in fp32; past the ends the last row and column stand again."""
    k = tl.arange(0, K_BLOCK)
    x_at = x_ptr + tl.minimum(row, T - 1).to(tl.int64)[:, None] * D + k[None, :]
    weight_at = weight_ptr + tl.minimum(column, V - 1).to(tl.int64)[None, :] * D + k[:, None]
    logits = tl.zeros((T_BLOCK, V_BLOCK), tl.float32)
    for start in range(0, D, K_BLOCK):
        x = tl.load(x_at + start, mask=k[None, :] < D - start, other=0.0)
        weight = tl.load(weight_at + start, mask=k[:, None] < D - start, other=0.0)
        logits = tl.dot(x, weight, logits, input_precision=PRECISION)
    return logits


@triton.jit
def _forward(
    x_ptr, weight_ptr, target_ptr, peak_ptr, total_ptr, hit_ptr, T, V, D,
    T_BLOCK: tl.constexpr, V_BLOCK: tl.constexpr, K_BLOCK: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    t_tile, v_tile = _tile(T, V, T_BLOCK, V_BLOCK, GROUP)
    row = t_tile * T_BLOCK + tl.arange(0, T_BLOCK)
    column = v_tile * V_BLOCK + tl.arange(0, V_BLOCK)
    logits = _logits(x_ptr, weight_ptr, row, column, T, V, D, T_BLOCK, V_BLOCK, K_BLOCK, PRECISION)
    logits = tl.where(column[None, :] < V, logits, float("-inf"))
    peak = tl.max(logits, 1)
    at = v_tile.to(tl.int64) * T + row
    tl.store(peak_ptr + at, peak, mask=row < T)
    tl.store(total_ptr + at, tl.sum(tl.exp(logits - peak[:, None]), 1), mask=row < T)
    target = tl.load(target_ptr + row, mask=row < T, other=-1)
    here = (target >= v_tile * V_BLOCK) & (target < min(v_tile * V_BLOCK + V_BLOCK, V))
    hit = tl.sum(tl.where(column[None, :] == target[:, None], logits, 0.0), 1)
    tl.store(hit_ptr + row, hit, mask=here)


@triton.jit
def _merge(
    tile_peak_ptr, tile_total_ptr, hit_ptr, target_ptr, peak_ptr, total_ptr, loss_ptr, T, V, S,
    IGNORE: tl.constexpr, T_BLOCK: tl.constexpr, S_BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * T_BLOCK + tl.arange(0, T_BLOCK)
    slot = tl.arange(0, S_BLOCK)
    peak = tl.full((T_BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((T_BLOCK,), tl.float32)
    for start in range(0, S, S_BLOCK):
        inside = (start + slot < S)[:, None] & (row < T)[None, :]
        at = (start + slot).to(tl.int64)[:, None] * T + row[None, :]
        tile_peak = tl.load(tile_peak_ptr + at, mask=inside, other=float("-inf"))
        tile_total = tl.load(tile_total_ptr + at, mask=inside, other=0.0)
        new_peak = tl.maximum(peak, tl.max(tile_peak, 0))
        safe = tl.where(row < T, new_peak, 0.0)  # past the last token everything is -inf
        total = total * tl.exp(peak - safe) + tl.sum(tile_total * tl.exp(tile_peak - safe[None, :]), 0)
        peak = new_peak
    total = tl.where(row < T, total, 1.0)
    target = tl.load(target_ptr + row, mask=row < T, other=IGNORE)
    known = (target >= 0) & (target < V)
    hit = tl.load(hit_ptr + row, mask=known, other=float("nan"))  # an id that does not exist must not go unseen
    tl.store(peak_ptr + row, peak, mask=row < T)
    tl.store(total_ptr + row, total, mask=row < T)
    tl.store(loss_ptr + row, tl.where(target == IGNORE, 0.0, peak - hit + tl.log(total)), mask=row < T)


@triton.jit
def _backward(
    x_ptr, weight_ptr, target_ptr, peak_ptr, total_ptr, dloss_ptr, dlogits_ptr, T, V, D, first,
    IGNORE: tl.constexpr, T_BLOCK: tl.constexpr, V_BLOCK: tl.constexpr, K_BLOCK: tl.constexpr, GROUP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    # weight_ptr and dlogits_ptr are a segment's: V of its ids from `first` on
    t_tile, v_tile = _tile(T, V, T_BLOCK, V_BLOCK, GROUP)
    row = t_tile * T_BLOCK + tl.arange(0, T_BLOCK)
    column = v_tile * V_BLOCK + tl.arange(0, V_BLOCK)
    logits = _logits(x_ptr, weight_ptr, row, column, T, V, D, T_BLOCK, V_BLOCK, K_BLOCK, PRECISION)
    peak = tl.load(peak_ptr + row, mask=row < T, other=0.0)
    scale = 1.0 / tl.load(total_ptr + row, mask=row < T, other=1.0)
    target = tl.load(target_ptr + row, mask=row < T, other=IGNORE)
    prob = tl.exp(logits - peak[:, None]) * scale[:, None]
    dlogits = (prob - tl.where((first + column)[None, :] == target[:, None], 1.0, 0.0)) * tl.load(dloss_ptr)
    dlogits = tl.where((target != IGNORE)[:, None], dlogits, 0.0)
    at = row.to(tl.int64)[:, None] * V + column[None, :]
    tl.store(dlogits_ptr + at, dlogits.to(dlogits_ptr.dtype.element_ty), mask=(row < T)[:, None] & (column < V)[None, :])


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_TD: Tensor, weight_VD: Tensor, target_T: Tensor) -> Tensor:
        (T, D), V, config = x_TD.shape, len(weight_VD), choose(_TILES, x_TD.dtype)
        S = blocks(V, config.tiles["V_BLOCK"])
        tile_peak_ST, tile_total_ST = torch.empty((2, S, T), dtype=torch.float32, device=x_TD.device)
        hit_T, peak_T, total_T, loss_T = torch.empty((4, T), dtype=torch.float32, device=x_TD.device)
        _forward[(S * blocks(T, config.tiles["T_BLOCK"]),)](
            x_TD, weight_VD, target_T, tile_peak_ST, tile_total_ST, hit_T, T, V, D, PRECISION=PRECISION, **config.options()
        )
        _merge[(blocks(T, _MERGE.tiles["T_BLOCK"]),)](
            tile_peak_ST, tile_total_ST, hit_T, target_T, peak_T, total_T, loss_T, T, V, S, IGNORE, **_MERGE.options()
        )
        ctx.save_for_backward(x_TD, weight_VD, target_T, peak_T, total_T)
        return loss_T.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx, dloss: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x_TD, weight_VD, target_T, peak_T, total_T = ctx.saved_tensors
        (T, D), V, config = x_TD.shape, len(weight_VD), choose(_TILES, x_TD.dtype)
        dx_TD = torch.zeros((T, D), dtype=torch.float32, device=x_TD.device) if ctx.needs_input_grad[0] else None
        dweight_VD = torch.empty_like(weight_VD) if ctx.needs_input_grad[1] else None
        width = segment_width(T, V, x_TD.element_size(), config.tiles["V_BLOCK"])
        workspace = torch.empty(T * width, dtype=x_TD.dtype, device=x_TD.device)
        for first in range(0, V, width):
            part_CD = weight_VD[first : first + width]
            C = len(part_CD)
            dlogits_TC = workspace[: T * C].view(T, C)
            grid = (blocks(T, config.tiles["T_BLOCK"]) * blocks(C, config.tiles["V_BLOCK"]),)
            _backward[grid](
                x_TD, part_CD, target_T, peak_T, total_T, dloss.contiguous(), dlogits_TC, T, C, D, first,
                IGNORE, PRECISION=PRECISION, **config.options(),
            )  # fmt: skip
            if dweight_VD is not None:
                torch.mm(dlogits_TC.t(), x_TD, out=dweight_VD[first : first + width])
            if dx_TD is not None:
                dx_TD += torch.mm(dlogits_TC, part_CD)
        return None if dx_TD is None else dx_TD.to(x_TD.dtype), dweight_VD, None


def segment_width(T: int, V: int, element_bytes: int, block: int) -> int:
    """How many ids a segment has: whole tiles, as many as the workspace holds for T tokens, at least one tile."""
    fitting = WORKSPACE_BYTES // (max(T, 1) * element_bytes) // block * block
    return min(max(fitting, block), V)


def linear_cross_entropy(x_TD: Tensor, weight_VD: Tensor, target_T: Tensor) -> Tensor:
    fits = weight_VD.shape[1:] == x_TD.shape[1:] and target_T.shape == x_TD.shape[:1]
    shapes = [list(weight_VD.shape), list(target_T.shape)]
    require(fits, "shapes of weight_VD and target_T", shapes, f"[V, D] and [T] for x_TD of {list(x_TD.shape)}")
    require(weight_VD.dtype == x_TD.dtype, "weight_VD's dtype", weight_VD.dtype, f"that of x_TD, {x_TD.dtype}")
    return _LinearCrossEntropy.apply(x_TD.contiguous(), weight_VD.contiguous(), target_T.contiguous())
