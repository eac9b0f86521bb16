"""Equal tokens for every student, and no question of the exam among them."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
def reading_list(documents, tokens, asked):
    """What a student reads: documents in order, again from the first when they run out, until the tokens are spent.

    documents   texts; a text has as many tokens as words here
    tokens      how many tokens the student may read; at least as many as the longest document has
    asked       the wordings of the exam's questions: a document that holds one of them is left out everywhere

        order   the first document, the second, ..., the last, the first again, ...
        end     the document that would overspend is not read, and nothing after it

    Returns the documents in the order in which they are read; one that is read twice stands there twice.
    """
    fair = [document for document in documents if not any(wording in document for wording in asked)]
    read, spent, place = [], 0, 0
    while True:
        document = fair[place % len(fair)]
        cost = len(document.split())
        if spent + cost > tokens:
            return read
        read.append(document)
        spent += cost
        place += 1
'''

PACKAGE = """
from kimi_mini import synth


def reading_list(documents, tokens, asked):
    fair = [document for document in documents if not any(wording in document for wording in asked)]
    return synth.equal_budget(fair, tokens)
"""


def cases(seed: int) -> tuple[Case, ...]:
    """Documents of several lengths, budgets of less than one pass and of several, exams with and without their wordings."""
    rng = random.Random(seed)
    words = "river mill ferry clock baker letter stone winter market lamp garden road".split()

    def document(length: int) -> str:
        return " ".join(rng.choice(words) for _ in range(length)) + f" {rng.randint(100, 999)}."

    def case(name: str, lengths: list[int], tokens: int, held: tuple[int, ...]) -> Case:
        documents = [document(length) for length in lengths]
        asked = [" ".join(documents[place].split()[2:5]) + " " + documents[place].split()[5] for place in held]
        return Case(name, (documents, tokens, asked))

    return (
        case("ten versions, about three passes", [9, 7, 11, 8, 10, 12, 7, 9, 8, 10], 300, ()),
        case("one text again and again", [13], 150, ()),
        case("less than one pass", [9, 12, 8, 10, 11], 33, ()),
        case("two documents hold a question", [9, 12, 8, 10, 11, 7], 120, (1, 4)),
        case("the budget ends with a document", [9], 50, ()),
        case("a short document after the end", [14, 15, 6, 14], 90, ()),
    )


PRACTICE = Variant(
    "in order, round and round",
    SOLUTION,
    cases,
    (
        Mistake(
            "documents counted for tokens",
            "cost = len(document.split())",
            "cost = 10",
            "Every document was given the same cost. Its tokens count: long texts spend more.",
        ),
        Mistake(
            "test wordings in training",
            "if not any(wording in document for wording in asked)",
            "if document",
            "A document with a question's own wording was read. Then the exam asks for what was learned by heart.",
        ),
        Mistake(
            "ten versions ten times",
            "        if spent + cost > tokens:\n            return read\n",
            "        if place == 10 * len(fair):\n            return read\n",
            "Every document was read ten times, whatever the budget. Ten versions are then ten times the tokens of one.",
        ),
        Mistake(
            "each once",
            "        if spent + cost > tokens:\n",
            "        if spent + cost > tokens or place == len(fair):\n",
            "The reading ended with the last document though tokens were left. Begin again from the first.",
        ),
        Mistake(
            "overspent",
            "if spent + cost > tokens:",
            "if spent >= tokens:",
            "The budget was overspent. The document that would go beyond it is not read.",
        ),
        Mistake(
            "letters counted",
            "len(document.split())",
            "len(document)",
            "Letters were counted. A text has as many tokens as words here.",
        ),
        Mistake(
            "the last one again",
            "document = fair[place % len(fair)]",
            "document = fair[min(place, len(fair) - 1)]",
            "After the first pass only the last document was read. Begin again from the first.",
        ),
    ),
)

BUDGET = Coding(
    "reading_list",
    "Equal budget",
    minutes=13,
    difficulty=1,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "there and back",
            "Every second pass goes backwards: first to last, then last to first, then first to last, and so on (at the turn a "
            "document is read twice in a row).",
            (
                "        order   the first document, the second, ..., the last, the first again, ...\n",
                "        order   the first document, ..., the last, the last again, ..., the first, the first again, ...\n",
            ),
            (
                "document = fair[place % len(fair)]",
                "turn, at = divmod(place, len(fair))\n        document = fair[::-1][at] if turn % 2 else fair[at]",
            ),
            also=(
                Mistake(
                    "always forward",
                    "fair[::-1][at] if turn % 2 else fair[at]",
                    "fair[at]",
                    "Every pass went forward. Every second one goes backwards.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "skip what does not fit",
            "A document that would overspend is skipped, and the pass goes on with the next; the reading ends after a "
            "whole pass in "
            "which nothing fitted.",
            (
                "        end     the document that would overspend is not read, and nothing after it\n",
                "        end     a document that would overspend is skipped; it is over when none of len(documents) in "
                "a row fits\n",
            ),
            ("read, spent, place = [], 0, 0", "read, spent, place, skipped = [], 0, 0, 0"),
            (
                "        if spent + cost > tokens:\n            return read\n",
                "        if spent + cost > tokens:\n            skipped += 1\n            place += 1\n"
                "            if skipped == len(fair):\n                return read\n            continue\n        "
                "skipped = 0\n",
            ),
            also=(
                Mistake(
                    "over at the first",
                    "if skipped == len(fair):",
                    "if skipped == 1:",
                    "The reading ended at the first document that did not fit. Skip it and go on.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "cut to fit",
            "The document that would overspend is cut after the words that are left (joined by spaces), so that all tokens are "
            "spent; if none are left, nothing is added.",
            (
                "        end     the document that would overspend is not read, and nothing after it\n",
                "        end     of the document that would overspend the words that are still paid for are read, if any\n",
            ),
            (
                "            return read\n",
                '            rest = " ".join(document.split()[: tokens - spent])\n'
                "            return read + [rest] * bool(rest)\n",
            ),
            also=(
                Mistake(
                    "not cut",
                    "return read + [rest] * bool(rest)",
                    "return read",
                    "Tokens were left unspent. The last document is cut so that it fits.",
                ),
                Mistake(
                    "an empty rest",
                    "return read + [rest] * bool(rest)",
                    "return [*read, rest]",
                    "An empty text was added where no token was left.",
                ),
            ),
        ),
    ),
)
