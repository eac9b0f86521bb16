"""Rows sorted by expert, cut into tiles: the table of tiles, products over them, and the sum over a token's choices.

What the routed experts' forward (grouped_mlp_triton) and backward share. An expert's rows fill its own tiles, the last of them
partly; which tile is whose is found on the device, so nothing waits for the loads to be known.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import launch
from .launch import Config, blocks, choose, next_power_of_2
from .sort_triton import sort_by_expert

# By prediction, not yet tuned on a device. BLOCK_M is the same in all tables of a GPU (there is one table of tiles), and meant
# for many rows an expert; `fit` makes it smaller for few.
BY_ROW = {
    "hopper": Config({"BLOCK_M": 128, "BLOCK_N": 256, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "ampere": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 64, "GROUP": 8}, warps=8, stages=4),
    "small": Config({"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 32, "GROUP": 8}, warps=8, stages=4),
    "fp32": Config({"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 16, "GROUP": 8}, warps=4, stages=2),
    "interpreter": Config({"BLOCK_M": 4, "BLOCK_N": 16, "BLOCK_K": 8, "GROUP": 2}),
}
FEW = 96  # assignments an expert, on average, up to which row tiles are of 64
_TABLE_ROWS = 16
_SUM_COLUMNS = 2048


@triton.jit
def _tile_table(ends_ptr, tile_expert_ptr, tile_row_ptr, E, BLOCK_M: tl.constexpr, E_BLOCK: tl.constexpr, ROWS: tl.constexpr):
    """Tile i belongs to the expert before whose end i tiles fit; the tiles that are left over get expert E."""
    tile_R1 = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    number = tl.arange(0, E_BLOCK)
    is_expert = number < E
    end = tl.load(ends_ptr + number, mask=is_expert, other=0)
    start = tl.load(ends_ptr + number - 1, mask=is_expert & (number > 0), other=0)
    rows = tl.where(is_expert, end - start, 0)
    last = tl.cumsum((rows + BLOCK_M - 1) // BLOCK_M, 0)  # an expert's first tile is the end of those before it
    passed_RE = is_expert[None, :] & (last[None, :] <= tile_R1)
    expert = tl.sum(passed_RE.to(tl.int32), 1)
    first_tile = tl.max(tl.where(passed_RE, last[None, :], 0), 1)
    first_row = tl.max(tl.where(passed_RE, end[None, :], 0), 1)
    tile = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    tl.store(tile_expert_ptr + tile, expert)
    tl.store(tile_row_ptr + tile, first_row + (tile - first_tile) * BLOCK_M)


@triton.jit
def grouped(program, n_rows, n_columns, GROUP: tl.constexpr):
    """(row, column) of a tile, GROUP rows at a time: neighbours in time share rows and columns in the cache."""
    first = program // (GROUP * n_columns) * GROUP
    height = tl.minimum(n_rows - first, GROUP)
    within = program % (GROUP * n_columns)
    return first + within % height, within // height


@triton.jit
def _by_row(
    a_ptr, w_ptr, order_ptr, ends_ptr, tile_expert_ptr, tile_row_ptr, y_ptr,
    n_tiles, E, INNER, N, stride_inner, stride_n,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Sorted rows times their expert's matrix [INNER, N]; each row of the result goes to its assignment's place."""
    tile, column = grouped(tl.program_id(0), n_tiles, tl.cdiv(N, BLOCK_N), GROUP)
    expert = tl.load(tile_expert_ptr + tile).to(tl.int64)
    if expert >= E:
        return
    row = tl.load(tile_row_ptr + tile).to(tl.int64) + tl.arange(0, BLOCK_M)
    is_row = row < tl.load(ends_ptr + expert)
    n = column * BLOCK_N + tl.arange(0, BLOCK_N)
    w_ptrs = w_ptr + expert * INNER * N + n[None, :] * stride_n
    y = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for first in range(0, INNER, BLOCK_K):
        i = first + tl.arange(0, BLOCK_K)
        a = tl.load(a_ptr + row[:, None] * INNER + i[None, :], mask=is_row[:, None] & (i < INNER)[None, :], other=0.0)
        w = tl.load(w_ptrs + i[:, None] * stride_inner, mask=(i < INNER)[:, None] & (n < N)[None, :], other=0.0)
        y = tl.dot(a, w, y, input_precision=PRECISION)
    place = tl.load(order_ptr + row, mask=is_row, other=0)
    inside = is_row[:, None] & (n < N)[None, :]
    tl.store(y_ptr + place[:, None] * N + n[None, :], y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _sum_choices(y_ptr, out_ptr, D, K: tl.constexpr, BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for choice in tl.static_range(K):
        total += tl.load(y_ptr + (token * K + choice) * D + d, mask=d < D, other=0.0).to(tl.float32)
    tl.store(out_ptr + token * D + d, total.to(out_ptr.dtype.element_ty), mask=d < D)


class Plan:
    """Who computes what: the sorted assignments and the table of row tiles, for one set of expert_TK."""

    def __init__(self, expert_TK: Tensor, n_experts: int, dtype: torch.dtype) -> None:
        self.tokens, self.k, self.n_experts, self.dtype = *expert_TK.shape, n_experts, dtype
        self.order_A, self.ends_E = sort_by_expert(expert_TK, n_experts)
        assignments = expert_TK.numel()
        self.few = assignments <= FEW * n_experts
        block_m = self.fit(BY_ROW).tiles["BLOCK_M"]
        self.n_tiles = blocks(assignments, block_m) + min(n_experts, assignments)
        programs = blocks(self.n_tiles, _TABLE_ROWS)
        self.tile_expert, self.tile_row = self.ends_E.new_empty(2, programs * _TABLE_ROWS).unbind(0)
        _tile_table[(programs,)](
            self.ends_E, self.tile_expert, self.tile_row, n_experts, block_m, next_power_of_2(n_experts), _TABLE_ROWS
        )

    @property
    def where(self) -> tuple[Tensor, ...]:
        """The pointers that every product over row tiles takes."""
        return self.order_A, self.ends_E, self.tile_expert, self.tile_row

    def fit(self, table: dict[str, Config]) -> Config:
        """The table's row; with few rows an expert, tiles of at most 64 rows (half the warps would spill in _gate_up)."""
        config = choose(table, self.dtype)
        if not self.few or config.tiles["BLOCK_M"] <= 64:
            return config
        return Config({**config.tiles, "BLOCK_M": 64}, config.warps, config.stages)

    def by_row(self, a_AI: Tensor, w_EIN: Tensor) -> Tensor:
        """[T, N]: each sorted row times its expert's matrix (any strides), summed over each token's choices."""
        E, inner, n = w_EIN.shape
        y_TKN = a_AI.new_empty(self.tokens, self.k, n)
        config = self.fit(BY_ROW)
        _by_row[(self.n_tiles * blocks(n, config.tiles["BLOCK_N"]),)](
            a_AI, w_EIN, *self.where, y_TKN, self.n_tiles, E, inner, n, *w_EIN.stride()[1:],
            PRECISION=launch.PRECISION, **config.options(),
        )  # fmt: skip
        out_TN = a_AI.new_empty(self.tokens, n)
        block = min(next_power_of_2(n), _SUM_COLUMNS)
        _sum_choices[(self.tokens, blocks(n, block))](y_TKN, out_TN, n, self.k, block, num_warps=4)
        return out_TN
