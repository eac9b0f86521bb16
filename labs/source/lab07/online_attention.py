"""Attention that never writes its logits down: one pass over tiles of keys, with a running maximum and a running sum."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant

from .own import own_kernel as twist

SOLUTION = '''
import torch
import triton
import triton.language as tl


def online_attention(q_BTHN, k_BTHN, v_BTHM, document_BT, scale):
    """Causal attention in one pass over the keys, by a Triton kernel that writes no logit to memory.

    q_BTHN, k_BTHN, v_BTHM    fp32, contiguous: batch, position, head, width of queries and keys N, of values M
    document_BT               [B, T], whole numbers from 1: texts that were packed into one sequence; each is a run of positions
    scale                     what a product is multiplied by, 1 / sqrt(N) as a rule

        logit[t, s] = scale * q[b, t, h] . k[b, s, h]
        seen[t, s]  = s <= t and document[b, t] == document[b, s]
        out[b, t, h] = sum over seen s of softmax over seen s (logit[t, s]) * v[b, s, h]

    One program for each batch, head and tile of 16 queries. It walks over tiles of 16 keys and keeps, for every query, the
    largest logit so far, the sum of exp(logit - largest), and the sum of exp(logit - largest) * v.
    T, N and M need not be whole tiles; use tl.dot(..., input_precision="ieee").
    Returns out_BTHM.
    """
    B, T, H, N = q_BTHN.shape
    M = v_BTHM.shape[3]
    out_BTHM = torch.empty_like(v_BTHM)
    columns = max(triton.next_power_of_2(N), 16), max(triton.next_power_of_2(M), 16)
    grid = (triton.cdiv(T, 16), B * H)
    attention_kernel[grid](q_BTHN, k_BTHN, v_BTHM, document_BT, out_BTHM, scale, T, H, N, M, 16, *columns)
    return out_BTHM


@triton.jit
def attention_kernel(
    q_ptr, k_ptr, v_ptr, document_ptr, out_ptr, scale, T, H, N, M,
    TILE: tl.constexpr, N_BLOCK: tl.constexpr, M_BLOCK: tl.constexpr,
):
    b, h = tl.program_id(1) // H, tl.program_id(1) % H
    t = tl.program_id(0) * TILE + tl.arange(0, TILE)
    n, m = tl.arange(0, N_BLOCK)[None, :], tl.arange(0, M_BLOCK)[None, :]
    row_t = ((b * T + t) * H + h)[:, None]
    inside_t = (t < T)[:, None]
    q = tl.load(q_ptr + row_t * N + n, mask=inside_t & (n < N), other=0.0)
    document_t = tl.load(document_ptr + b * T + t, mask=t < T, other=0)
    largest = tl.full((TILE,), float("-inf"), tl.float32)
    total = tl.zeros((TILE,), tl.float32)
    out = tl.zeros((TILE, M_BLOCK), tl.float32)
    for start in range(0, (tl.program_id(0) + 1) * TILE, TILE):
        s = start + tl.arange(0, TILE)
        row_s = ((b * T + s) * H + h)[:, None]
        inside_s = (s < T)[:, None]
        k = tl.load(k_ptr + row_s * N + n, mask=inside_s & (n < N), other=0.0)
        v = tl.load(v_ptr + row_s * M + m, mask=inside_s & (m < M), other=0.0)
        document_s = tl.load(document_ptr + b * T + s, mask=s < T, other=-1)
        seen = (s[None, :] <= t[:, None]) & (document_s[None, :] == document_t[:, None])
        logits = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        logits = logits * 1.4426950408889634  # of exp2, which is what a GPU has
        logits = tl.where(seen, logits, float("-inf"))
        larger = tl.maximum(largest, tl.max(logits, 1))
        shift = tl.where(larger == float("-inf"), 0.0, larger)  # no key seen yet
        shrink = tl.exp2(largest - shift)
        weights = tl.exp2(logits - shift[:, None])
        total = total * shrink + tl.sum(weights, 1)
        out = out * shrink[:, None] + tl.dot(weights, v, input_precision="ieee")
        largest = larger
    tl.store(out_ptr + row_t * M + m, out / total[:, None], mask=inside_t & (m < M))
'''

PACKAGE = """
import kimi_mini as km


def online_attention(q_BTHN, k_BTHN, v_BTHM, document_BT, scale):
    return km.kernels.attention(q_BTHN, k_BTHN, v_BTHM, scale=scale, document_BT=document_BT, impl="triton")[0]
"""


def packed(seed: int, name: str, *lengths: int, heads: int = 1, batch: int = 1, size: float = 2.0, keys: int = 1) -> Case:
    """Documents of those lengths in one sequence; in a second sequence, the other way round. The largest logit of
    query 18 is with key 16, in the second tile; `keys` query heads share a key head."""
    gen = torch.Generator().manual_seed(seed)
    tokens = sum(lengths)
    q_BTHN, k_BTHN = (torch.randn(batch, tokens, h, 10, generator=gen) for h in (heads, heads // keys))
    if tokens > 18:
        k_BTHN[:, 16] = 2 * q_BTHN[:, 18, ::keys]
    if (
        size > 10
    ):  # query 0 sees nothing but far below 0, and query 17 its largest in the first tile; none of it concerns query 18
        q0, q17, q18 = (q_BTHN[:, t, ::keys] for t in (0, 17, 18))
        k_BTHN[:, 0], k_BTHN[:, 3] = (
            x - (x * q18).sum(-1, True) / (q18 * q18).sum(-1, True) * q18 for x in (-8 * q0, 20 * q17)
        )
    v_BTHM = torch.randn(batch, tokens, heads // keys, 7, generator=gen)
    numbers = torch.arange(1, len(lengths) + 1)
    first_T = numbers.repeat_interleave(torch.tensor(lengths))
    document_BT = torch.stack([first_T, first_T.flip(0)][:batch])
    return Case(name, (q_BTHN, k_BTHN, v_BTHM, document_BT, size / 10**0.5), kernel=True)


def cases(seed: int, keys: int = 1) -> tuple[Case, ...]:
    """Several heads and sequences, several tiles, and documents that begin behind a whole tile of hidden keys."""
    return (
        packed(seed, "two sequences of several heads", 6, 7, heads=2 * keys, batch=2, keys=keys),
        packed(seed + 1, "large logits, a document behind a hidden tile", 19, 4, heads=keys, size=30.0, keys=keys),
        packed(seed + 2, "three documents", 3, 18, 2, heads=keys, keys=keys),
    )


_SEEN = "(s[None, :] <= t[:, None]) & (document_s"
_SHIFT = 'shift = tl.where(larger == float("-inf"), 0.0, larger)  # no key seen yet'

PRACTICE = Variant(
    "plain",
    SOLUTION,
    cases,
    (
        Mistake(
            "old sum not rescaled",
            "total = total * shrink +",
            "total = total +",
            "When a larger logit comes, what was summed before was relative to the old largest. Multiply the old sum by "
            "exp(old largest - new largest).",
        ),
        Mistake(
            "old output not rescaled",
            "out = out * shrink[:, None] +",
            "out = out +",
            "When a larger logit comes, the output so far was relative to the old largest. Multiply it by "
            "exp(old largest - new largest), as the sum.",
        ),
        Mistake(
            "mask off by one at a tile edge",
            "(s[None, :] <= t[:, None])",
            "(s[None, :] <= t[:, None] + 1)",
            "Queries see the key behind them, except at the end of a tile, where your loop stops in time. s <= t is right.",
        ),
        Mistake(
            "places within the tile",
            "(s[None, :] <= t[:, None])",
            "((s - start)[None, :] <= (t - tl.program_id(0) * TILE)[:, None])",
            "The mask compares places within the tiles. That is right on the diagonal only: add where each tile begins.",
        ),
        Mistake(
            "does not see itself",
            "(s[None, :] <= t[:, None])",
            "((s[None, :] < t[:, None]) | (s[None, :] + t[:, None] == 0))",
            "A query sees its own key too: s <= t.",
        ),
        Mistake(
            "fully masked tile gives NaN",
            _SHIFT,
            "shift = larger",
            "Where a query has seen no key yet, the largest logit is -inf, and exp(-inf - -inf) is NaN, which stays. Take "
            "0 off in its place.",
        ),
        Mistake(
            "largest of the tile alone",
            "larger = tl.maximum(largest, tl.max(logits, 1))",
            "larger = tl.max(logits, 1)",
            "The largest of the last tile was taken off, not the largest so far: where it is far smaller, exp overflows.",
        ),
        Mistake(
            "scale twice",
            "tl.dot(q, tl.trans(k)",
            "tl.dot(q * scale, tl.trans(k)",
            "The scale was applied twice, to the query and to the product. Once is enough.",
        ),
        Mistake(
            "exp2 of natural logits",
            "logits = logits * 1.4426950408889634",
            "logits = logits * 1.0",
            "exp2 was taken of logits as they are. exp(x) is exp2(x * log2 e), and log2 e is 1.4427; or use tl.exp.",
        ),
        Mistake(
            "only the last tile of keys",
            "range(0, (tl.program_id(0) + 1) * TILE, TILE)",
            "range(tl.program_id(0) * TILE, (tl.program_id(0) + 1) * TILE, TILE)",
            "Only the tile of keys on the diagonal was looked at. Begin at key 0.",
        ),
        Mistake(
            "documents not kept apart",
            " & (document_s[None, :] == document_t[:, None])",
            "",
            "Queries see other documents. Keys of another number are hidden.",
        ),
        Mistake(
            "not divided",
            "out / total[:, None]",
            "out",
            "The weights do not add up to 1: divide by the sum at the end, once.",
        ),
    ),
)

_RULE = "s <= t and document[b, t] == document[b, s]"
_LOGIT = "logit[t, s] = scale * q[b, t, h] . k[b, s, h]"
_DOT = 'logits = tl.dot(q, tl.trans(k), input_precision="ieee") * scale\n'

ONLINE_ATTENTION = Coding(
    "online_attention",
    "Online softmax attention",
    minutes=50,
    difficulty=3,
    points=6,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "window",
            "A query sees its own position and the five before it, as far as they are in its document, and nothing older.",
            (_RULE, "t - 5 <= s <= t and document[b, t] == document[b, s]"),
            (_SEEN, "(s[None, :] <= t[:, None]) & (s[None, :] >= t[:, None] - 5) & (document_s"),
            besides=("only the last tile of keys", "largest of the tile alone"),
            also=(
                Mistake(
                    "window off by one",
                    "t[:, None] - 5)",
                    "t[:, None] - 4)",
                    "The window is one too short: its own position and the five before it are six keys.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "a place for nothing",
            "The softmax has one more place, with logit 0 and no value: the sum of the weights of the seen keys is below 1.",
            (
                "sum over seen s of softmax over seen s (logit[t, s]) * v[b, s, h]",
                "sum over seen s of exp(logit[t, s]) / (1 + sum over seen s of exp(logit[t, s])) * v[b, s, h]",
            ),
            ('largest = tl.full((TILE,), float("-inf"), tl.float32)', "largest = tl.zeros((TILE,), tl.float32)"),
            ("total = tl.zeros((TILE,), tl.float32)", "total = tl.full((TILE,), 1.0, tl.float32)"),
            besides=("fully masked tile gives NaN",),
            also=(
                Mistake(
                    "1 added at the end",
                    "out / total[:, None]",
                    "out / (total + 1.0 - tl.exp2(-largest))[:, None]",
                    "1 was added to a sum that is relative to the largest logit, where it weighs exp(-largest). Begin with it.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "older is less",
            "Distance costs: 0.2 (t - s) is taken off each logit, behind the scale.",
            (_LOGIT, _LOGIT + " - 0.2 (t - s)"),
            (_DOT, _DOT.rstrip() + " - 0.2 * (t[:, None] - s[None, :])\n"),
            also=(
                Mistake(
                    "distance in base 2",
                    "logits = logits * 1.4426950408889634",
                    "logits = logits * 1.4426950408889634 + 0.08853900817779268 * (t[:, None] - s[None, :])",
                    "The distance came off behind the factor of exp2, so it weighs less by log2 e. Take it off before.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "shared keys",
            "Two query heads share a head of keys and values: query head h reads head h // 2 of them. out still has H heads.",
            (
                "q_BTHN, k_BTHN, v_BTHM    fp32, contiguous: batch,",
                "q_BTHN, k_BTGN, v_BTGM    fp32, contiguous, G = H / 2 heads of keys and values: batch,",
            ),
            ("my_online_attention(q_BTHN, k_BTHN, v_BTHM,", "my_online_attention(q_BTHN, k_BTGN, v_BTGM,"),
            (_LOGIT, "logit[t, s] = scale * q[b, t, h] . k[b, s, h // 2]"),
            ("(logit[t, s]) * v[b, s, h]", "(logit[t, s]) * v[b, s, h // 2]"),
            ("M = v_BTHM.shape[3]", "M = v_BTGM.shape[3]"),
            ("torch.empty_like(v_BTHM)", "v_BTGM.new_empty(B, T, H, M)"),
            ("](q_BTHN, k_BTHN, v_BTHM, document_BT,", "](q_BTHN, k_BTGN, v_BTGM, document_BT,"),
            ("row_s = ((b * T + s) * H + h)[:, None]", "row_s = ((b * T + s) * (H // 2) + h // 2)[:, None]"),
            cases=lambda seed: cases(seed, keys=2),
            also=(
                Mistake(
                    "heads dealt out in turn",
                    "(H // 2) + h // 2)",
                    "(H // 2) + h % (H // 2))",
                    "Neighbouring query heads share: 0 and 1 read key head 0, 2 and 3 read key head 1.",
                ),
            ),
        ),
    ),
)
