"""How many bytes the fused attention moves, from its loops alone."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def traffic(B, T, H, N, M, tile, number):
    """Bytes that the attention of part 4 moves between memory and the chip, read and written together.

    B, T, H, N, M    sizes: batch, positions, heads, width of queries and keys, width of values
    tile             queries, and keys, in a tile
    number           bytes of one number

        a program       one for each batch, head and tile of queries
        reads           its queries once; then tile after tile keys and values, up to the tile on the diagonal
        writes          its outputs once

    A row behind the last position is masked: it is neither read nor written. Document numbers do not count.
    Returns a whole number.
    """
    moved = 0
    for first in range(0, T, tile):
        queries = min(tile, T - first)
        keys = first + queries
        read = queries * N + keys * N + keys * M
        written = queries * M
        moved += read + written
    return B * H * moved * number
'''

PACKAGE = """
from kimi_mini.viz.tile_walk import traffic as of_a_head


def traffic(B, T, H, N, M, tile, number):
    also = 4 * (T + -(-T // tile))  # its kernel also hands out a sum for each row and a largest logit for each tile
    return B * H * (of_a_head(T, tile, tile, N, M, number)["fused"] - also)
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Whole tiles, a tail, values as wide as keys and not, fp32 and half precision, K2's shape."""
    rng = random.Random(seed)

    def case(name: str, tiles: int, tail: int, tile: int, number: int) -> Case:
        batch, heads, width = rng.randint(1, 3), rng.randint(2, 9), rng.choice((24, 40, 48))
        return Case(name, (batch, tiles * tile + tail, heads, width, width - 8, tile, number))

    return (
        case("one tile, fp32", 1, 0, 16, 4),
        case("whole tiles", rng.randint(3, 9), 0, 16, 2),
        case("a tail", rng.randint(2, 9), rng.randint(1, 31), 32, 4),
        Case("a layer of K2, 128 x 128", (1, 1024 * rng.randint(3, 8), 64, 192, 128, 128, 2)),
    )


_READ = "read = queries * N + keys * N + keys * M"

PRACTICE = Variant(
    "fused",
    SOLUTION,
    cases,
    (
        Mistake("numbers for bytes", "moved * number", "moved", "Those are numbers, not bytes: one has `number` of them."),
        Mistake("read alone", "moved += read + written", "moved += read", "What is written is missing: the outputs, once."),
        Mistake("the mask saves nothing", "keys = first + queries", "keys = T", "Tiles behind the diagonal are never read."),
        Mistake(
            "keys once",
            "keys = first + queries",
            "keys = queries",
            "Each program reads the keys from the beginning on: what another program has read is on another part of the chip.",
        ),
        Mistake(
            "empty rows counted", "queries = min(tile, T - first)", "queries = tile", "Rows behind the end are masked."
        ),
        Mistake("values as wide as keys", "keys * M", "keys * N", "Values have width M."),
        Mistake("one head", "B * H * moved", "B * moved", "There is a program for each batch, head and tile: H is missing."),
    ),
)  # fmt: skip

_RULE = "tile after tile keys and values, up to the tile on the diagonal"

TRAFFIC = Coding(
    "traffic",
    "Count the traffic",
    minutes=8,
    difficulty=1,
    points=2,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "two passes",
            "The kernel walks twice: the first time over the keys alone, for largest logit and sum, then over keys and values.",
            (_RULE, "tile after tile keys, up to the tile on the diagonal;\n                        then the same keys again, and the values"),  # noqa: E501
            (_READ, "read = queries * N + 2 * keys * N + keys * M"),
            also=(
                Mistake(
                    "values twice", "2 * keys * N + keys * M", "2 * keys * N + 2 * keys * M", "The first walk reads no values."
                ),
            ),
        ),
        twist(
            PRACTICE,
            "logits written",
            "The logits of every tile up to the diagonal are written, 4 bytes each, and read again, before values are read.",
            (_RULE, "tile after tile keys; writes that tile of logits, and reads it again;\n                        and values; all this up to the tile on the diagonal"),  # noqa: E501
            ("its outputs once\n", "its outputs once\n\n    A logit has 4 bytes, whatever `number` says.\n"),
            ("moved += read + written", "moved += (read + written) * number + 2 * 4 * queries * keys"),
            ("moved * number", "moved"),
            besides=("values as wide as keys",),
            also=(
                Mistake("logits once", "2 * 4 * queries", "4 * queries", "The logits are written and read: twice 4 bytes."),
                Mistake(
                    "logits in `number`", "2 * 4 * queries", "2 * number * queries", "A logit has 4 bytes in any case."
                ),
                Mistake("values as wide as keys", "keys * N + keys * M", "keys * N + keys * N", "Values have width M."),
            ),
        ),
        twist(
            PRACTICE,
            "window of a tile",
            "Attention looks back one tile: a program reads the tile of keys and values on the diagonal and the one before it.",
            (_RULE, "keys and values of the tile on the diagonal and of the one before, if there is one"),
            ("keys = first + queries", "keys = min(first, tile) + queries"),
            also=(
                Mistake("all tiles", "min(first, tile) + queries", "first + queries", "At most two tiles of keys are read."),
                Mistake(
                    "one tile too many at the beginning", "min(first, tile) + queries", "tile + queries",
                    "The first tile of queries has no tile before it.",
                ),
            ),
        ),
    ),
)  # fmt: skip
