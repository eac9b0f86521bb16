"""A fused attention kernel in slow motion: one head, tile by tile, over a memory that counts every byte it is asked for.

Three ways to get the same output and the same largest logit: write all logits down, look twice, or keep the maximum of each row
while the tiles go by. `traffic` has the same counts by arithmetic, for sizes that nobody wants to walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..checks import is_int, require
from ..kernels.launch import SHARED_BYTES
from ..presets import K2

STAGES = 2  # tiles of keys and values in flight, so that loading hides behind computing
CHIP = {"shared": SHARED_BYTES["hopper"], "registers": 4 * 65_536}  # bytes of one H100 processor that a block may use


@dataclass
class Memory:
    """The memory off the chip: every number that a tile takes or gives passes here and is counted in bytes."""

    asked: int = field(default=0)

    def load(self, x: Tensor) -> Tensor:
        self.asked += x.numel() * x.element_size()
        return x

    def store(self, x: Tensor) -> Tensor:
        return self.load(x)


@dataclass(frozen=True)
class Step:
    """One tile: its rows and keys, its logits, and what its program keeps of each row: maximum, sum, unfinished output."""

    rows: slice
    keys: slice
    logits_RC: Tensor
    max_R: Tensor
    sum_R: Tensor
    out_RM: Tensor
    is_last: bool  # of these rows


def walk(
    q_TN: Tensor, k_TN: Tensor, v_TM: Tensor, *, scale: float, rows: int, keys: int, memory: Memory | None = None
) -> Iterator[Step]:
    """The tiles of causal attention in the order in which they are computed; tiles that no query may see are left out."""
    memory, T = memory or Memory(), len(q_TN)
    for name, value in (("rows", rows), ("keys", keys)):
        require(is_int(value, 1), name, value, "an integer of at least 1")
    for row in blocks(T, rows, T):
        q_RN = memory.load(q_TN[row])
        max_R = q_TN.new_full((len(q_RN),), float("-inf"))
        sum_R, out_RM = torch.zeros_like(max_R), v_TM.new_zeros(len(q_RN), v_TM.shape[1])
        for key in blocks(row.stop, keys, T):
            logits_RC = logits(q_RN, memory.load(k_TN[key]), row, key, scale)
            new_R = torch.maximum(max_R, logits_RC.amax(1))
            weight_RC = (logits_RC - new_R[:, None]).exp()
            shrink_R = (max_R - new_R).exp()
            sum_R = sum_R * shrink_R + weight_RC.sum(1)
            out_RM = out_RM * shrink_R[:, None] + weight_RC @ memory.load(v_TM[key])
            max_R = new_R
            yield Step(row, key, logits_RC, max_R, sum_R, out_RM, key.start + keys >= row.stop)


def logits(q_RN: Tensor, k_CN: Tensor, row: slice, key: slice, scale: float) -> Tensor:
    """Scaled logits of one tile, minus infinity where a query would look ahead."""
    query_R, key_C = (torch.arange(at.start, at.stop, device=q_RN.device) for at in (row, key))
    return (q_RN @ k_CN.mT * scale).masked_fill(key_C > query_R[:, None], float("-inf"))


def blocks(reach: int, size: int, n: int) -> list[slice]:
    """Blocks of `size` that cover [0, reach) of n places; the last one ends at n at the latest."""
    return [slice(start, min(start + size, n)) for start in range(0, reach, size)]


# ---- three ways --------------------------------------------------------------------------------------------------------


def fused(memory: Memory, q_TN: Tensor, k_TN: Tensor, v_TM: Tensor, scale: float, rows: int, keys: int):
    """One walk; each row's maximum is at hand when its last tile is done, and a program stores the largest."""
    out, largest = [], []
    for step in walk(q_TN, k_TN, v_TM, scale=scale, rows=rows, keys=keys, memory=memory):
        if step.is_last:
            largest.append(_one_number(memory, step.max_R))
            _epilogue(memory, step, out)
    return torch.cat(out), torch.stack(largest).amax()


def two_passes(memory: Memory, q_TN: Tensor, k_TN: Tensor, v_TM: Tensor, scale: float, rows: int, keys: int):
    """A walk that keeps its maximum to itself, then all queries and keys again for the maximum alone."""
    out, largest, T = [], [], len(q_TN)
    for step in walk(q_TN, k_TN, v_TM, scale=scale, rows=rows, keys=keys, memory=memory):
        if step.is_last:
            _epilogue(memory, step, out)
    for row in blocks(T, rows, T):
        q_RN = memory.load(q_TN[row])
        tiles = (logits(q_RN, memory.load(k_TN[key]), row, key, scale).amax() for key in blocks(row.stop, keys, T))
        largest.append(_one_number(memory, torch.stack(list(tiles))))
    return torch.cat(out), torch.stack(largest).amax()


def write_all(memory: Memory, q_TN: Tensor, k_TN: Tensor, v_TM: Tensor, scale: float, rows: int, keys: int):
    """Three kernels with the whole square between them, as a plain product writes it: it knows no mask."""
    out, largest, T = [], [], len(q_TN)
    for row in blocks(T, rows, T):
        q_RN = memory.load(q_TN[row])
        written = [memory.store(logits(q_RN, memory.load(k_TN[key]), row, key, scale)) for key in blocks(T, keys, T)]
        logits_RT = memory.load(torch.cat(written, 1))
        largest.append(_one_number(memory, logits_RT))
        weight_RT = memory.load(memory.store(logits_RT.softmax(1)))
        out.append(memory.store(sum(weight_RT[:, key] @ memory.load(v_TM[key]) for key in blocks(T, keys, T))))
    return torch.cat(out), torch.stack(largest).amax()


def _one_number(memory: Memory, x: Tensor) -> Tensor:
    """The largest of x, stored in fp32."""
    largest = x.amax()
    memory.store(largest.float())
    return largest


def _epilogue(memory: Memory, step: Step, out: list[Tensor]) -> None:
    """Finished rows leave the chip: divided by their sum, with the log-sum-exp that a backward pass wants."""
    out.append(memory.store(step.out_RM / step.sum_R[:, None]))
    memory.store((step.max_R + step.sum_R.log()).float())


WAYS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {"write": write_all, "twice": two_passes, "fused": fused}


def traffic(
    tokens: int, rows: int, keys: int, qk_width: int = K2.qk_head_dim, v_width: int = K2.v_head_dim, element: int = 2
) -> dict[str, int]:
    """Bytes that one head asks of memory in each of WAYS, with numbers of `element` bytes (2: bf16), without a walk."""
    asked = dict.fromkeys(WAYS, 0)
    for row in blocks(tokens, rows, tokens):
        r = row.stop - row.start
        seen = blocks(row.stop, keys, tokens)[-1].stop
        q_and_out, told = element * r * (qk_width + v_width), 4 * (r + 1)  # log-sum-exp of each row, one maximum
        asked["fused"] += q_and_out + element * seen * (qk_width + v_width) + told
        asked["twice"] += q_and_out + element * (seen * (2 * qk_width + v_width) + r * qk_width) + told
        asked["write"] += q_and_out + element * tokens * (qk_width + v_width + 4 * r) + 4
    return asked


def on_chip(rows: int, keys: int, qk_width: int = K2.qk_head_dim, v_width: int = K2.v_head_dim) -> dict[str, int]:
    """Bytes that one program of the fused way must hold, by kind of memory (as in CHIP): tiles in bf16, sums in fp32."""
    return {
        "shared": 2 * (rows * qk_width + STAGES * keys * (qk_width + v_width)),
        "registers": 4 * rows * (keys + v_width + 2),
    }
