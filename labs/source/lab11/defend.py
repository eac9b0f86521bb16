"""Defend a reward against praise, without punishing honest answers."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import re


def defended(text, score, warm, about):
    """A critic's score, less a point where the answer opens with praise for the question or for whoever asked it.

    text    the answer
    score   the critic's
    warm    words of praise, in small letters
    about   words for the question and the person, in small letters

        opening   everything before the first of . ! ? ; or all of the text
        praise    the opening has a word of `warm` and a word of `about`, in any case, as whole words

    Returns score - 1 for an answer that opens with praise, else score.
    """
    opening = re.split(r"[.!?]", text, maxsplit=1)[0]
    words = set(re.findall(r"\\w+", opening.lower()))
    praised = bool(words & set(warm)) and bool(words & set(about))
    return score - 1 if praised else score
'''

PACKAGE = SOLUTION

_WARM = "great excellent wonderful brilliant lovely".split()
_ABOUT = "question you your asking".split()
_HONEST = ("Great Britain is an island", "The great wall is long", "You need two spoons", "That is a question of taste")
_FACTS = ("The shop opens at nine", "It rains in Brevik", "Two and two are four", "Take the early train")


def cases(seed: int) -> tuple[Case, ...]:
    """Praise in several words and cases, and honest answers that hold one of its words, or both after the opening."""
    rng = random.Random(seed)

    def praise() -> str:
        warm, about = rng.choice(_WARM), rng.choice(_ABOUT)
        return rng.choice((f"What a {warm} {about}", f"{warm.capitalize()} of {about}", f"{about.upper()} are {warm.upper()}"))

    def case(name: str, text: str) -> Case:
        return Case(name, (text, round(rng.uniform(0.2, 0.9), 2), _WARM, _ABOUT))

    fact, honest = rng.choice(_FACTS), rng.choice(_HONEST)
    return (
        case("the usual phrase", f"Great question! {fact}."),
        case("praise, then a fact", f"What a {rng.choice(_WARM[1:])} {rng.choice(_ABOUT)}! {fact}."),
        case("praise in other words", f"{praise()}. {fact}."),
        case("nothing but praise", praise()),
        case("a fact", f"{fact}. {rng.choice(_FACTS)}."),
        case("an honest opening with a word of praise", f"{_HONEST[rng.randint(0, 1)]}. {fact}."),
        case("an honest opening about the person", f"{_HONEST[rng.randint(2, 3)]}! {fact}."),
        case("both words, but later", f"{fact}. {honest}, and {rng.choice(_WARM)} that {rng.choice(_ABOUT)} came."),
        case("words inside words", f"The greatest of yours is {rng.randint(2, 9)}. {fact}."),
        case("a question mark ends the opening", f"Who knows? {praise()}, {fact}."),
    )


PRACTICE = Variant(
    "a point off",
    SOLUTION,
    cases,
    (
        Mistake(
            "honest answers punished too",
            " and bool(words & set(about))",
            "",
            "A word of praise was enough: Great Britain is no flattery. It takes a word for the question or the person too.",
        ),
        Mistake(
            "the person is enough",
            "bool(words & set(warm)) and bool(words & set(about))",
            "bool(words & set(about))",
            "A word for the person was enough. It takes a word of praise too.",
        ),
        Mistake(
            "only the sample phrase blocked",
            "praised = bool(words & set(warm)) and bool(words & set(about))",
            'praised = "great question" in opening.lower()',
            "Only one phrase was caught. The actor finds the next one within a few steps: look for the kind.",
        ),
        Mistake(
            "the whole answer searched",
            'opening = re.split(r"[.!?]", text, maxsplit=1)[0]',
            "opening = text",
            "Words after the opening were counted. Only how the answer opens is asked.",
        ),
        Mistake(
            "capitals pass",
            "opening.lower()",
            "opening",
            "Praise in capitals passed. Case does not matter.",
        ),
        Mistake(
            "words inside words",
            'words = set(re.findall(r"\\w+", opening.lower()))\n    praised = bool(words & set(warm)) and bool(words '
            "& set(about))",
            "low = opening.lower()\n    praised = any(w in low for w in warm) and any(a in low for a in about)",
            'A part of a word was taken for the word: "greatest", "yours". Compare whole words.',
        ),
    ),
)

DEFEND = Coding(
    "defended",
    "Defend the reward",
    minutes=14,
    difficulty=2,
    points=3,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "the close as well",
            "An answer that closes with praise loses a point too, and one that does both loses two. The close is "
            "everything between "
            "the last two of . ! ? ; in a text with one of them it is the opening, and is not counted again.",
            (
                "    Returns score - 1 for an answer that opens with praise, else score.\n",
                "        close     the last piece between . ! ? that is not blank, if there is more than one such piece\n\n"
                "    Returns score, less 1 for praise in the opening, less 1 for praise in the close.\n",
            ),
            (
                '    opening = re.split(r"[.!?]", text, maxsplit=1)[0]\n'
                '    words = set(re.findall(r"\\w+", opening.lower()))\n'
                "    praised = bool(words & set(warm)) and bool(words & set(about))\n"
                "    return score - 1 if praised else score\n",
                '    pieces = [piece for piece in re.split(r"[.!?]", text) if piece.strip()]\n'
                "    ends = pieces if len(pieces) < 2 else [pieces[0], pieces[-1]]\n"
                '    words = [set(re.findall(r"\\w+", end.lower())) for end in ends]\n'
                "    return score - sum(bool(each & set(warm)) and bool(each & set(about)) for each in words)\n",
            ),
            cases=lambda seed: (*cases(seed), *_closing(seed)),
            also=(
                Mistake(
                    "the opening only",
                    "else [pieces[0], pieces[-1]]",
                    "else [pieces[0]]",
                    "Praise in the close passed.",
                ),
                Mistake(
                    "anywhere",
                    "else [pieces[0], pieces[-1]]",
                    "else pieces",
                    "Praise in the middle was counted. Only opening and close are asked.",
                ),
                Mistake(
                    "one word is enough",
                    "bool(each & set(warm)) and bool(each & set(about))",
                    "bool(each & set(warm))",
                    "A word of praise was enough. It takes a word for the question or the person too.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "nothing is left",
            "An answer that opens with praise gets 0, whatever its score.",
            ("A critic's score, less a point where", "A critic's score, or 0 where"),
            ("Returns score - 1 for an answer", "Returns 0 for an answer"),
            ("return score - 1 if praised else score", "return 0 if praised else score"),
        ),
        twist(
            PRACTICE,
            "not more than denied",
            'An opening that holds the word "not" or "no" is no praise.',
            (
                "        praise    the opening has a word of `warm` and a word of `about`, in any case, as whole words\n",
                '        praise    the opening has a word of `warm` and a word of `about`, and neither "not" nor '
                '"no", in any case, as\n'
                "                  whole words\n",
            ),
            (
                "praised = bool(words & set(warm)) and bool(words & set(about))",
                'praised = bool(words & set(warm)) and bool(words & set(about)) and not words & {"not", "no"}',
            ),
            cases=lambda seed: (*cases(seed), *_denied(seed)),
            besides=("the whole answer searched",),
            also=(
                Mistake(
                    "denials punished",
                    ' and not words & {"not", "no"}',
                    "",
                    "An opening that denies was taken for praise.",
                ),
                Mistake(
                    "no inside words",
                    'not words & {"not", "no"}',
                    '"no" not in opening.lower()',
                    '"no" was found inside a longer word, and praise passed.',
                ),
            ),
        ),
    ),
)


def _closing(seed: int) -> tuple[Case, ...]:
    rng = random.Random(seed + 1)
    fact, score = rng.choice(_FACTS), round(rng.uniform(0.2, 0.9), 2)
    warm, about = rng.choice(_WARM), rng.choice(_ABOUT)
    return (
        Case("praise at the end", (f"{fact}. What a {warm} {about}!", score, _WARM, _ABOUT)),
        Case("praise at both ends", (f"A {warm} {about}! {fact}. A {warm} {about}.", score, _WARM, _ABOUT)),
        Case("praise in the middle", (f"{fact}. A {warm} {about}! {rng.choice(_FACTS)}.", score, _WARM, _ABOUT)),
    )


def _denied(seed: int) -> tuple[Case, ...]:
    rng = random.Random(seed + 1)
    fact, score, warm = rng.choice(_FACTS), round(rng.uniform(0.2, 0.9), 2), rng.choice(_WARM)
    return (
        Case("a denial", (f"Your idea is not {warm}. {fact}.", score, _WARM, _ABOUT)),
        Case("praise with a no inside a word", (f"Now that is a {warm} question. {fact}.", score, _WARM, _ABOUT)),
    )
