"""The number that QK-Clip needs, out of the kernel that had it in registers all along."""

from __future__ import annotations

from dataclasses import replace

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import changed

from .online_attention import SOLUTION as ATTENTION
from .online_attention import packed
from .own import own_kernel as twist

_S = "S[h] = largest logit[t, s] over all b, t and seen s, signed"
_TOP = "top = tl.max(largest, 0) * 0.6931471805599453"
SOLUTION = changed(
    ATTENTION,
    ("def online_attention(", "def attention_with_maxima("),
    (
        "Causal attention in one pass over the keys, by a Triton kernel that writes no logit to memory.",
        "The same attention, which also says how large each head's logits got (K2 report, 2.1).",
    ),
    ("(logit[t, s]) * v[b, s, h]\n", f"(logit[t, s]) * v[b, s, h]\n        {_S}\n"),
    (
        "    Returns out_BTHM.\n",
        "    Each program writes one number to a place of its own; torch's amax or amin collects them, in a fixed order.\n"
        "    Returns (out_BTHM, S_H).\n",
    ),
    (
        "    attention_kernel[grid](q_BTHN, k_BTHN, v_BTHM, document_BT, out_BTHM, scale,",
        "    found_PJ = out_BTHM.new_empty(B * H, grid[0])  # pairs of batch and head, tiles\n"
        "    maxima_kernel[grid](q_BTHN, k_BTHN, v_BTHM, document_BT, out_BTHM, found_PJ, scale,",
    ),
    ("    return out_BTHM\n", "    return out_BTHM, found_PJ.view(B, H, -1).amax((0, 2))\n"),
    ("def attention_kernel(", "def maxima_kernel("),
    ("document_ptr, out_ptr, scale,", "document_ptr, out_ptr, found_ptr, scale,"),
    (
        "mask=inside_t & (m < M))\n",
        f"mask=inside_t & (m < M))\n    {_TOP}  # natural units again\n"
        "    tl.store(found_ptr + tl.program_id(1) * tl.num_programs(0) + tl.program_id(0), top)\n",
    ),
)

PACKAGE = """
import kimi_mini as km


def attention_with_maxima(q_BTHN, k_BTHN, v_BTHM, document_BT, scale):
    return km.kernels.attention(q_BTHN, k_BTHN, v_BTHM, scale=scale, document_BT=document_BT, impl="triton")
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Heads with only negative logits beside others, several tiles, documents. The largest products of all are hidden ones, the
    largest seen ones are in the last sequence of heads that are not negative and the first one of those that are: on the
    diagonal, or, in a single document, between a late query and an early key."""

    def case(name: str, *lengths: int, negative: int | None = None, **more: int) -> Case:
        made = packed(seed + len(lengths) + lengths[0], name, *lengths, **more)
        q_BTHN, k_BTHN, *rest = made.args
        q_BTHN[:, [1, 4, 5, -2]] *= 10**0.5 / q_BTHN[:, [1, 4, 5, -2]].norm(dim=-1, keepdim=True)
        q_BTHN[:, -1] *= 0.3
        k_BTHN[-1, 4], k_BTHN[-1, 3], k_BTHN[:, -1] = 3 * q_BTHN[-1, 4], 2.5 * q_BTHN[-1, 5], 6 * q_BTHN[:, 1]
        k_BTHN[-1, 2] = 4 * q_BTHN[-1, -2]  # of another document, if there are several
        if negative is not None:
            q_BTHN[:, :, negative], k_BTHN[:, :, negative] = (x[:, :, negative].abs() + 0.2 for x in (q_BTHN, -k_BTHN))
            k_BTHN[:, :, negative] *= -1
            k_BTHN[1:, :, negative] *= 4
        return replace(made, args=(q_BTHN, k_BTHN, *rest))

    return (
        case("two sequences of two heads, one of them negative", 6, 7, negative=0, heads=2, batch=2),
        case("a tile and a tail", 22),
        case("two documents, a negative head", 17, 4, negative=1, heads=2),
    )


_MASK = '        logits = tl.where(seen, logits, float("-inf"))\n'
_LARGER = "        larger = tl.maximum(largest, tl.max(logits, 1))\n"
_CAUSAL = _LARGER.replace("logits,", 'tl.where((s[None, :] <= t[:, None]) & inside_t, logits, float("-inf")),')
_START = 'largest = tl.full((TILE,), float("-inf"), tl.float32)'
_BEFORE = "The maximum counts hidden keys, which no softmax sees. Mask first, then look."
_ZERO = "The search began at 0, which beats every logit of a head that has only negative ones. Begin at -inf."

PRACTICE = Variant(
    "plain",
    SOLUTION,
    cases,
    (
        Mistake("start at 0 for minus infinity", _START, "largest = tl.zeros((TILE,), tl.float32)", _ZERO),
        Mistake("taken before the mask", _MASK + _LARGER, _LARGER + _MASK, _BEFORE),
        Mistake("taken before the documents' mask", _MASK + _LARGER, _CAUSAL + _MASK, _BEFORE),
        Mistake(
            "only the last tile",
            "tl.max(largest, 0)",
            "tl.max(tl.max(logits, 1), 0)",
            "Only the last tile of keys counts. The largest logit so far has been carried along: let it out.",
        ),
        Mistake(
            "without the scale",
            " * 0.6931471805599453",
            " * 0.6931471805599453 / scale",
            "S is a logit, and the scale is part of a logit.",
        ),
        Mistake(
            "in base-2 units",
            " * 0.6931471805599453",
            " * 1.0",
            "S is too large by log2 e, 1.4427: the kernel's logits carry the factor of exp2. Take it back before you store.",
        ),
        Mistake(
            "one head written over another",
            "found_ptr + tl.program_id(1) * tl.num_programs(0)",
            "found_ptr + b * tl.num_programs(0)",
            "Heads wrote to the same place, and other places were never written. Each pair of batch and head has its own.",
        ),
        Mistake(
            "one tile written over another",
            "tl.num_programs(0) + tl.program_id(0), top)",
            "tl.num_programs(0), top)",
            "All tiles of a head wrote to the same place: the last one wins, and other places were never written.",
        ),
        Mistake(
            "over heads",
            "found_PJ.view(B, H, -1).amax((0, 2))",
            "found_PJ.amax().expand(H)",
            "All heads got the same number. The maximum is taken per head.",
        ),
        Mistake(
            "first sequence only",
            "found_PJ.view(B, H, -1).amax((0, 2))",
            "found_PJ.view(B, H, -1)[0].amax(1)",
            "Only the first sequence of the batch counts in what you return. Take the maximum over all of them.",
        ),
    ),
)


def _own_number(name: str, change: str, text: str, start: str, term: str, *mistakes: Mistake) -> Variant:
    """A twist whose number is not the softmax's own maximum, so it is kept beside it."""
    line = f"        kept = tl.maximum(kept, tl.max({term}, 1))\n"
    return twist(
        PRACTICE,
        name,
        change,
        (_S, text),
        (_START, f"{_START}\n    kept = tl.full((TILE,), {start}, tl.float32)"),
        (_MASK, line + _MASK),
        (_TOP, _TOP.replace("largest", "kept")),
        besides=("start at 0 for minus infinity", "taken before the mask", "taken before the documents' mask"),
        also=mistakes,
    )


_EARLIER = 'tl.where(seen & (s[None, :] < t[:, None]), logits, float("-inf"))'
_SIZE = "tl.where(seen, tl.abs(logits), 0.0)"

ATTENTION_WITH_MAXIMA = Coding(
    "attention_with_maxima",
    "Max logits out",
    minutes=25,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "the lowest peak",
            "S is each head's lowest peak: of every query its largest seen logit, and of all queries the smallest of these.",
            (_S, "S[h] = smallest over all b, t of the largest seen logit[t, s] of query t, signed"),
            (_TOP, _TOP.replace("tl.max(largest, 0)", 'tl.min(tl.where(t < T, largest, float("inf")), 0)')),
            (".amax((0, 2))", ".amin((0, 2))"),
            besides=("taken before the documents' mask",),
            also=(
                Mistake(
                    "queries that are none",
                    'tl.where(t < T, largest, float("inf"))',
                    "largest",
                    "The last tile has rows behind the last query. They saw nothing, their peak is -inf: keep them out.",
                ),
                Mistake(
                    "lowest tile",
                    'tl.min(tl.where(t < T, largest, float("inf")), 0)',
                    "tl.max(largest, 0)",
                    "Within a tile the highest peak was taken, and only among tiles the lowest.",
                ),
            ),
        ),
        _own_number(
            "size",
            "S is the largest size of a seen logit, |logit|: a very negative one counts as well.",
            "S[h] = largest |logit[t, s]| over all b, t and seen s",
            "0.0",
            _SIZE,
            Mistake("signed", _SIZE, "tl.where(seen, logits, 0.0)", "The size counts: take tl.abs of the logit."),
            Mistake("taken before the mask", _SIZE, "tl.abs(logits)", _BEFORE),
        ),
        _own_number(
            "earlier keys",
            "For S, a query's own key does not count, only seen keys before it: s < t. The softmax is as it was.",
            "S[h] = largest logit[t, s] over all b, t and seen s < t, signed",
            'float("-inf")',
            _EARLIER,
            Mistake(
                "start at 0 for minus infinity", 'kept = tl.full((TILE,), float("-inf"),', "kept = tl.full((TILE,), 0.0,", _ZERO
            ),
            Mistake(
                "taken before the mask", _EARLIER, 'tl.where(s[None, :] < t[:, None], logits, float("-inf"))',
                "The maximum counts keys of other documents, which no softmax sees.",
            ),
        ),
    ),
)  # fmt: skip
