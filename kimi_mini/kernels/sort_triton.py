"""Sorting assignments by expert as Triton kernels: a stable counting sort in three launches.

Count each expert in each block of assignments; add up the counts of earlier blocks, expert by expert; put every assignment
after the starts of its expert, the earlier blocks, and its own block's earlier equals. No atomics decide an order, and nothing
goes back to the host. Scope: up to 4,096 experts, 2^31 counts (an expert and block each). Limiter: the three launches.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Config, blocks, interpreting, next_power_of_2, require_fit
from .router_ref import Sorted

MAX_EXPERTS = 4096
# By prediction, not yet tuned on a device: BLOCK^2 comparisons a program, STEP at a time so that they stay in registers.
_SORT = Config({"BLOCK": 8, "STEP": 4}) if interpreting() else Config({"BLOCK": 256, "STEP": 32}, warps=8)
_SCAN = 4 if interpreting() else 1024


@triton.jit
def _count(expert_ptr, count_ptr, A, E, n_blocks, BLOCK: tl.constexpr, STEP: tl.constexpr, E_BLOCK: tl.constexpr):
    block = tl.program_id(0)
    at = block * BLOCK + tl.arange(0, BLOCK)
    expert = tl.load(expert_ptr + at, mask=at < A, other=0).to(tl.int32)
    count_E = tl.histogram(expert, E_BLOCK, mask=at < A)
    number = tl.arange(0, E_BLOCK)
    tl.store(count_ptr + number * n_blocks + block, count_E, mask=number < E)


@triton.jit
def _add_up(count_ptr, total_ptr, n_blocks, SCAN: tl.constexpr):
    """An expert's counts become those of the blocks before; and its total."""
    expert = tl.program_id(0)
    before = 0
    for first in range(0, n_blocks, SCAN):
        block = first + tl.arange(0, SCAN)
        count = tl.load(count_ptr + expert * n_blocks + block, mask=block < n_blocks, other=0)
        tl.store(count_ptr + expert * n_blocks + block, before + tl.cumsum(count, 0) - count, mask=block < n_blocks)
        before += tl.sum(count, 0)
    tl.store(total_ptr + expert, before)


@triton.jit
def _place(
    expert_ptr, before_ptr, total_ptr, order_ptr, ends_ptr, A, E, n_blocks,
    BLOCK: tl.constexpr, STEP: tl.constexpr, E_BLOCK: tl.constexpr,
):  # fmt: skip
    block = tl.program_id(0)
    number = tl.arange(0, E_BLOCK)
    total_E = tl.load(total_ptr + number, mask=number < E, other=0)
    end_E = tl.cumsum(total_E, 0)
    tl.store(ends_ptr + number, end_E, mask=(number < E) & (block == 0))

    local = tl.arange(0, BLOCK)
    at = block * BLOCK + local
    expert = tl.load(expert_ptr + at, mask=at < A, other=0).to(tl.int32)
    place = tl.gather(end_E - total_E, expert, 0)
    place += tl.load(before_ptr + expert * n_blocks + block, mask=at < A, other=0)
    for first in range(0, BLOCK, STEP):
        other = first + tl.arange(0, STEP)
        other_expert = tl.load(expert_ptr + block * BLOCK + other, mask=block * BLOCK + other < A, other=-1).to(tl.int32)
        earlier_equal = (other_expert[None, :] == expert[:, None]) & (other[None, :] < local[:, None])
        place += tl.sum(earlier_equal.to(tl.int32), 1)
    tl.store(order_ptr + place, at.to(tl.int64), mask=at < A)


def sort_by_expert(expert_TK: Tensor, n_experts: int) -> Sorted:
    require_fit(n_experts <= MAX_EXPERTS, "experts", n_experts, f"at most {MAX_EXPERTS} (impl='torch': any)")
    expert_A, width = expert_TK.reshape(-1).contiguous(), next_power_of_2(n_experts)
    n_blocks = max(blocks(expert_A.numel(), _SORT.tiles["BLOCK"]), 1)  # one even for no token: it writes the ends
    require_fit(n_experts * n_blocks < 2**31, "counts", n_experts * n_blocks, "fewer than 2^31 (impl='torch': any)")
    count_EB, total_E, ends_E = (
        expert_A.new_empty(s, dtype=torch.int32) for s in ((n_experts, n_blocks), n_experts, n_experts)
    )
    order_A = expert_A.new_empty(expert_A.numel(), dtype=torch.int64)
    sizes = (expert_A.numel(), n_experts, n_blocks)
    _count[(n_blocks,)](expert_A, count_EB, *sizes, E_BLOCK=width, **_SORT.options())
    _add_up[(n_experts,)](count_EB, total_E, n_blocks, SCAN=_SCAN, num_warps=4)
    _place[(n_blocks,)](expert_A, count_EB, total_E, order_A, ends_E, *sizes, E_BLOCK=width, **_SORT.options())
    return Sorted(order_A, ends_E)
