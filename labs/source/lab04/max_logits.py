"""The signal that QK-Clip acts on: each head's largest logit."""

from __future__ import annotations

import torch

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import torch


def max_logits(micro_batches, scale):
    """Each head's largest attention logit in one update (K2 report, 2.1).

    micro_batches   a list of pairs (q_BTHN, k_BTHN): batch, position, head, width.
                    Micro-batches may differ in B and T, not in H and N
    scale           what a product is multiplied by, 1 / sqrt(N) as a rule

        S_h = scale * max over micro-batches, sequences b, positions s <= t of  q[b, t, h] . k[b, s, h]

    The maximum is signed: it may be negative. Returns S_H, [H].
    """
    values = []
    for q_BTHN, k_BTHN in micro_batches:
        logits_BHTS = torch.einsum("bthn,bshn->bhts", q_BTHN, k_BTHN) * scale
        positions = torch.arange(q_BTHN.shape[1], device=q_BTHN.device)
        hidden_TS = positions[None, :] > positions[:, None]
        logits_BHTS = logits_BHTS.masked_fill(hidden_TS, float("-inf"))
        values.append(logits_BHTS.transpose(0, 1).flatten(1))
    return torch.cat(values, 1).amax(1)
'''

PACKAGE = """
import torch

import kimi_mini as km


def max_logits(micro_batches, scale):
    return torch.stack([km.kernels.attention(q, k, k, scale=scale)[1] for q, k in micro_batches]).amax(0)
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Of four heads, one has only negative logits. In the others the largest product of all stands above the diagonal; of the
    visible ones, the largest stands on the diagonal in head 0 and far below it in head 1."""
    gen = torch.Generator().manual_seed(seed)

    def pair(batch: int, tokens: int, size: float) -> tuple[torch.Tensor, torch.Tensor]:
        q_BTHN, k_BTHN = torch.randn(2, batch, tokens, 4, 6, generator=gen, dtype=torch.float64)
        k_BTHN[:, -1] = 6 * q_BTHN[:, 1]
        k_BTHN[:, 4, 0] = 4 * q_BTHN[:, 4, 0]
        k_BTHN[:, 0, 1] = 4 * q_BTHN[:, 6, 1]
        q_BTHN[:, :, 2], k_BTHN[:, :, 2] = q_BTHN[:, :, 2].abs(), -k_BTHN[:, :, 2].abs()
        return size * q_BTHN, k_BTHN

    return (
        Case("one micro-batch", ([pair(2, 9, 1.0)], 6**-0.5)),
        Case("two micro-batches", ([pair(2, 8, 4.0), pair(1, 10, 0.5)], 0.3)),
        Case("three micro-batches", ([pair(1, 8, 0.5), pair(3, 9, 3.0), pair(1, 8, 0.4)], 0.2)),
    )


def grouped_cases(seed: int) -> tuple[Case, ...]:
    """The same, with the keys of heads 1 and 2 only."""
    return tuple(
        Case(each.name, ([(q_BTHN, k_BTHN[:, :, 1:3]) for q_BTHN, k_BTHN in each.args[0]], each.args[1]))
        for each in cases(seed)
    )


PRACTICE = Variant(
    "the report's",
    SOLUTION,
    cases,
    (
        Mistake(
            "before the mask",
            '        logits_BHTS = logits_BHTS.masked_fill(hidden_TS, float("-inf"))\n',
            "",
            "The maximum counts keys that come after their query. Those logits are never used: mask them before you look.",
        ),
        Mistake(
            "masked with 0",
            'float("-inf")',
            "0.0",
            "Hidden places were filled with 0, which beats every logit of a head that has only negative ones; fill with -inf.",
        ),
        Mistake(
            "unscaled", ", k_BTHN) * scale", ", k_BTHN)", "Multiply by `scale`: tau is compared with what the softmax gets."
        ),
        Mistake(
            "absolute value",
            ", k_BTHN) * scale",
            ", k_BTHN).abs() * scale",
            "The maximum is signed. A very negative logit is harmless: its probability is 0.",
        ),
        Mistake(
            "over heads",
            "logits_BHTS.transpose(0, 1).flatten(1)",
            "logits_BHTS.flatten().expand(q_BTHN.shape[2], -1)",
            "All heads got the same number. The maximum is taken per head: keep axis H.",
        ),
        Mistake(
            "last micro-batch only",
            "torch.cat(values, 1)",
            "values[-1]",
            "Only the last micro-batch counts in what you return. One update has several: take the maximum over all of them.",
        ),
    ),
)

MAX_LOGITS = Coding(
    "max_logits",
    "The largest logit of each head",
    minutes=20,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "window",
            "Attention looks through a window: a query sees its own position and the three before it, and nothing older.",
            ("positions s <= t of", "positions t - 3 <= s <= t of"),
            (
                "hidden_TS = positions[None, :] > positions[:, None]",
                "back_TS = positions[:, None] - positions[None, :]\n        hidden_TS = (back_TS < 0) | (back_TS > 3)",
            ),
        ),
        twist(
            PRACTICE,
            "strictly earlier",
            "A query does not see its own position, only strictly earlier ones.",
            ("positions s <= t of", "positions s < t of"),
            ("positions[None, :] > positions[:, None]", "positions[None, :] >= positions[:, None]"),
        ),
        twist(
            PRACTICE,
            "grouped keys",
            "There are half as many key heads: query heads 2g and 2g + 1 share key head g. "
            "The result still is one number for each query head.",
            ("(q_BTHN, k_BTHN): batch, position, head, width.", "(q_BTHN, k_BTGN): batch, position, head, width; G = H / 2."),
            ("k[b, s, h]", "k[b, s, h // 2]"),
            (
                "        logits_BHTS = torch.einsum(",
                "        k_BTHN = k_BTHN.repeat_interleave(2, 2)\n        logits_BHTS = torch.einsum(",
            ),
            cases=grouped_cases,
        ),
        twist(
            PRACTICE,
            "second largest",
            "What counts is each head's second largest logit, over all micro-batches together.",
            ("Each head's largest attention logit in", "Each head's second largest attention logit in"),
            ("S_h = scale * max over", "S_h = scale * second largest over"),
            ("The maximum is signed", "The value is signed"),
            ("torch.cat(values, 1).amax(1)", "torch.cat(values, 1).topk(2, dim=1).values[:, 1]"),
        ),
    ),
)
