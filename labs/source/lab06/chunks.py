"""A document rewritten chunk by chunk, each with what was written before in sight."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from kimi_mini.labs.program import Program
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def rewrite_in_chunks(sentences, size, rewrite):
    """A long document rewritten piece by piece, so that each piece knows how the text before it came out.

    sentences   the document's sentences, in order; none has more than `size` words
    size        the most words of a chunk
    rewrite     rewrite(chunk, previous) returns the chunk in other words; previous is what it is told of the text so far

        chunks      whole sentences joined by a space, as many as fit into `size` words, from the beginning
        previous    what `rewrite` returned for the chunk before; "" for the first one

    Returns the rewritten chunks in the order of the document, joined by a space.
    """
    chunks = []
    for sentence in sentences:
        if chunks and len((chunks[-1] + " " + sentence).split()) <= size:
            chunks[-1] += " " + sentence
        else:
            chunks.append(sentence)
    written = []
    for chunk in chunks:
        previous = written[-1] if written else ""
        written.append(rewrite(chunk, previous))
    return " ".join(written)
'''

PACKAGE = """
from kimi_mini import synth


def rewrite_in_chunks(sentences, size, rewrite):
    return synth.rewrite_document(" ".join(sentences), rewrite, size)
"""

# A writer whose words depend on the chunk, on all that it is told of the text before, and on nothing else.
_WRITER = """
def rewrite(chunk, previous):
    told = sum((place + 1) * ord(letter) for place, letter in enumerate(previous)) % 997
    return f"{chunk[:-1].upper()} after {told}."
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Documents of sentences of several lengths; chunks of one sentence, of a few, and of all."""
    rng = random.Random(seed)
    words = "river mill ferry clock baker letter stone winter market lamp garden road".split()

    def sentence(length: int) -> str:
        return " ".join([rng.choice(words).capitalize(), *(rng.choice(words) for _ in range(length - 1))]) + "."

    def case(name: str, lengths: list[int], size: int) -> Case:
        return Case(name, ([sentence(length) for length in lengths], size, Program(_WRITER)))

    return (
        case("nine sentences, chunks of twelve words", [4, 3, 5, 6, 6, 2, 3, 7, 4], 12),
        case("every sentence a chunk of its own", [5, 6, 4, 6, 5], 6),
        case("one chunk", [3, 4, 2], 20),
        case("the last sentence is alone", [6, 6, 6, 6, 3], 12),
    )


PRACTICE = Variant(
    "previous output",
    SOLUTION,
    cases,
    (
        Mistake(
            "context lost",
            'previous = written[-1] if written else ""',
            'previous = ""',
            "`rewrite` was told nothing of the text before. A name that stands in the first chunk only is lost after it.",
        ),
        Mistake(
            "last piece dropped",
            '" ".join(written)',
            '" ".join(written[:-1] or written)',
            "The last chunk is missing. Nothing may be lost at the end.",
        ),
        Mistake(
            "order changed",
            '" ".join(written)',
            '" ".join(sorted(written))',
            "The chunks came out in another order. They stand in the order of the document.",
        ),
        Mistake(
            "previous source",
            "previous = written[-1] if written else",
            "previous = chunks[len(written) - 1] if written else",
            "`rewrite` was told the source of the chunk before. It is told how that chunk came out.",
        ),
        Mistake(
            "all that was written",
            "previous = written[-1] if written else",
            'previous = " ".join(written) if written else',
            "`rewrite` was told everything so far. It is told the chunk before, or requests grow with the document.",
        ),
        Mistake(
            "one word short",
            "<= size:",
            "< size:",
            "Chunks have fewer words than fit. A chunk may have `size` words exactly.",
        ),
        Mistake(
            "one sentence a chunk",
            "if chunks and len(",
            "if chunks and False and len(",
            "Every sentence became a chunk. As many as fit go together.",
        ),
    ),
)

CHUNKS = Coding(
    "rewrite_in_chunks",
    "Chunk with carried context",
    minutes=18,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "two chunks back",
            "`previous` is what came out for the two chunks before, joined by a space (for the second chunk, what came "
            "out for the "
            "first).",
            (
                '        previous    what `rewrite` returned for the chunk before; "" for the first one\n',
                "        previous    what `rewrite` returned for the two chunks before, joined by a space; for the "
                "second chunk\n"
                '                    that of the first, and "" for the first\n',
            ),
            ("previous = written[-1] if written else", 'previous = " ".join(written[-2:]) if written else'),
            also=(
                Mistake(
                    "one chunk back",
                    '" ".join(written[-2:])',
                    "written[-1]",
                    "`rewrite` was told of one chunk. It is told of the two before, joined by a space.",
                ),
            ),
            besides=("previous source", "all that was written"),
        ),
        twist(
            PRACTICE,
            "from the end",
            "The chunks are rewritten from the last to the first, and `previous` is what came out for the chunk that "
            "follows in the "
            "document. The result stands in the order of the document.",
            (
                '        previous    what `rewrite` returned for the chunk before; "" for the first one\n',
                "        order       the last chunk is rewritten first\n"
                '        previous    what `rewrite` returned for the chunk that follows; "" for the last one\n',
            ),
            ("for chunk in chunks:", "for chunk in reversed(chunks):"),
            ('return " ".join(written)', 'written = written[::-1]\n    return " ".join(written)'),
            besides=("previous source", "order changed"),
            also=(
                Mistake(
                    "left in the order of writing",
                    "written = written[::-1]",
                    "written = written[:]",
                    "The chunks stand in the order in which they were rewritten. Turn them round.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "the last words only",
            "Of what came out for the chunk before, `rewrite` is told the last four words, joined by spaces.",
            (
                '        previous    what `rewrite` returned for the chunk before; "" for the first one\n',
                "        previous    the last four words of what `rewrite` returned for the chunk before, joined by spaces;\n"
                '                    "" for the first one\n',
            ),
            (
                'previous = written[-1] if written else ""',
                'previous = written[-1] if written else ""\n        previous = " ".join(previous.split()[-4:])',
            ),
            also=(
                Mistake(
                    "the first words",
                    "previous.split()[-4:]",
                    "previous.split()[:4]",
                    "`rewrite` was told the first four words. It is told the last four.",
                ),
            ),
            besides=("all that was written",),
        ),
    ),
)
