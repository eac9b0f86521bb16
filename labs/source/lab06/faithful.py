"""Whether a rewriting says what its source says: numbers with their owners, denials, and nothing lost or added."""

from __future__ import annotations

import random

from kimi_mini.labs import Case
from labs.course.exercise import Coding, Mistake, Variant
from labs.course.twist import twist

SOLUTION = '''
import re


def faithful(source, rewriting, names):
    """Whether a rewriting says of everybody what the source says: a fidelity check for texts of a simple form.

    source       a text; every sentence ends with "." and holds exactly one of `names`, exactly one number, and perhaps "not"
    rewriting    a text of the same form, in other words and perhaps another order
    names        the names that may occur

        a sentence says     (its name, its number, whether it holds the word "not")
        faithful            both texts say the same things, each at least once: nothing lost, nothing added

    Returns True or False.
    """

    def says(text):
        said = []
        for sentence in text.split("."):
            words = re.findall(r"\\w+", sentence)
            if words:
                name = next(word for word in words if word in names)
                number = next(int(word) for word in words if word.isdigit())
                said.append((name, number, "not" in words))
        return said

    before, after = says(source), says(rewriting)
    return set(before) == set(after)
'''

PACKAGE = """
from kimi_mini import synth


def faithful(source, rewriting, names):
    return not synth.check(source, rewriting)
"""

_THINGS = "cats dogs owls hens boats maps lamps ropes".split()


def cases(seed: int) -> tuple[Case, ...]:
    """Honest rewritings in another order, and one for each way to be unfaithful."""
    rng = random.Random(seed)
    names = rng.sample(["Ada", "Boris", "Clara", "Dmitri", "Elena", "Farid"], 4)
    numbers = rng.sample(range(3, 60), 4)
    things = rng.sample(_THINGS, 4)
    facts = list(zip(names, numbers, things, (False, True, False, False), strict=True))

    def plain(name: str, number: int, thing: str, denied: bool) -> str:
        return f"{name} does not have {number} {thing}." if denied else f"{name} has {number} {thing}."

    def other(name: str, number: int, thing: str, denied: bool) -> str:
        return f"It is not so that {name} has {number} {thing}." if denied else f"There are {number} {thing} that {name} has."

    source = " ".join(plain(*fact) for fact in facts)
    turned = [other(*fact) for fact in facts]
    swapped = [facts[0][:1] + (facts[2][1],) + facts[0][2:], facts[1], facts[2][:1] + (facts[0][1],) + facts[2][2:], facts[3]]
    denied = [(*facts[0][:3], True), *facts[1:]]
    affirmed = [facts[0], (*facts[1][:3], False), *facts[2:]]
    changed = [*facts[:3], (facts[3][0], facts[3][1] + 1, *facts[3][2:])]

    def text(found: list) -> str:
        return " ".join(plain(*fact) for fact in found)

    def case(name: str, rewriting: str) -> Case:
        return Case(name, (source, rewriting, names))

    return (
        case("other words", " ".join(turned)),
        case("other words, another order", " ".join(rng.sample(turned, 4))),
        case("two numbers have changed places", text(swapped)),
        case("a fact is missing", text(facts[:3])),
        case("a denial is gone", text(affirmed)),
        case("a denial is new", text(denied)),
        case("a number is another", text(changed)),
    )


def with_more(seed: int) -> tuple[Case, ...]:
    """As `cases`, and a rewriting with a fact of its own."""
    found = cases(seed)
    source, _, names = found[0].args
    extra = f" {names[0]} has {random.Random(seed + 7).randint(70, 99)} ships."
    return (*found, Case("a fact was added", (source, source + extra, names)))


_EQUAL = "return set(before) == set(after)"
_TRIPLE = '(name, number, "not" in words)'

PRACTICE = Variant(
    "all and nothing else",
    SOLUTION,
    cases,
    (
        Mistake(
            "swapped numbers pass",
            _EQUAL,
            "parts = [[sorted(part) for part in zip(*said)] for said in (before, after)]\n"
            "    return len(before) == len(after) and parts[0] == parts[1]",
            "Two numbers changed places and it passed: names and numbers were compared apart. Compare who has what.",
        ),
        Mistake(
            "missing fact passes",
            _EQUAL,
            "return set(before) >= set(after)",
            "A fact is missing and it passed. All that the source says must be there.",
        ),
        Mistake(
            "negation passes",
            _TRIPLE,
            "(name, number, False)",
            'A denial came or went and it passed. Whether the sentence holds "not" is part of what it says.',
        ),
        Mistake(
            "every paraphrase refused",
            _EQUAL,
            "return source == rewriting",
            "An honest rewriting was refused: the words were compared. Compare what the sentences say.",
        ),
        Mistake(
            "order compared",
            _EQUAL,
            "return before == after",
            "A rewriting in another order was refused. The order may change.",
        ),
        Mistake(
            "numbers not compared",
            _TRIPLE,
            '(name, 0, "not" in words)',
            "A number was changed and it passed.",
        ),
        Mistake(
            "everything passes",
            _EQUAL,
            "return True",
            "Everything passed.",
        ),
    ),
)


def _pronouns(seed: int) -> tuple[Case, ...]:
    """Each fact of the source twice; the rewriting says "They" for a name that has just been said."""
    found = []
    for case in cases(seed):
        source, rewriting, names = case.args
        sentences = [sentence.strip() for sentence in rewriting.split(".") if sentence.strip()]
        doubled = [part for sentence in sentences for part in (sentence, _again(sentence, names))]
        twice = [part for sentence in source.split(".") if sentence.strip() for part in (sentence.strip(), _more(sentence))]
        found.append(Case(case.name, (". ".join(twice) + ".", ". ".join(doubled) + ".", names)))
    sentences = found[0].args[1].split(". ")
    lost = ". ".join([sentences[1], sentences[0], *sentences[2:]])
    return (*found, Case('"They" stands where nobody was named before', (found[0].args[0], lost, found[0].args[2])))


def _more(sentence: str) -> str:
    """The same sentence with a number larger by 100."""
    return " ".join(str(int(word) + 100) if word.isdigit() else word for word in sentence.split())


def _again(sentence: str, names: list[str]) -> str:
    return " ".join("They" if word in names else word for word in _more(sentence).split())


FAITHFUL = Coding(
    "faithful",
    "Fidelity check",
    minutes=22,
    difficulty=2,
    points=4,
    practice=PRACTICE,
    package=PACKAGE,
    twists=(
        twist(
            PRACTICE,
            "a summary",
            "A summary is checked: it may leave things out, but all that it says must be said by the source.",
            (
                "        faithful            both texts say the same things, each at least once: nothing lost, nothing added\n",
                "        faithful            all that the rewriting says is said by the source: nothing added; it may "
                "leave out\n",
            ),
            (_EQUAL, "return set(after) <= set(before)"),
            cases=with_more,
            also=(
                Mistake(
                    "additions pass",
                    "return set(after) <= set(before)",
                    "return len(set(after) & set(before)) > 0",
                    "Something that the source does not say passed. A summary adds nothing.",
                ),
                Mistake(
                    "nothing may be left out",
                    "return set(after) <= set(before)",
                    "return set(after) == set(before)",
                    "A summary was refused because it leaves something out. That is what a summary does.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "rounded numbers",
            "Numbers may be rounded: a number of the rewriting agrees with one of the source where it differs by 1 at "
            "most. Name and "
            "denial must agree; every sentence of each text must have one in the other that agrees.",
            (
                "        faithful            both texts say the same things, each at least once: nothing lost, nothing added\n",
                "        agree               the same name, the same denial, and numbers that differ by 1 at most\n"
                "        faithful            every sentence of each text has one in the other that agrees\n",
            ),
            (
                _EQUAL,
                "def agree(a, b):\n        return a[0] == b[0] and abs(a[1] - b[1]) <= 1 and a[2] == b[2]\n\n"
                "    def covered(these, those):\n        return all(any(agree(a, b) for b in those) for a in these)\n\n"
                "    return covered(before, after) and covered(after, before)",
            ),
            cases=lambda seed: rounded_cases(seed),
            also=(
                Mistake(
                    "exact numbers",
                    "abs(a[1] - b[1]) <= 1",
                    "a[1] == b[1]",
                    "A number that was rounded by 1 was refused.",
                ),
                Mistake(
                    "one direction",
                    "return covered(before, after) and covered(after, before)",
                    "return covered(after, before)",
                    "A fact is missing and it passed. Both directions count.",
                ),
                Mistake(
                    "rounded by more",
                    "abs(a[1] - b[1]) <= 1",
                    "abs(a[1] - b[1]) <= 3",
                    "A number that is off by 2 passed. 1 at most.",
                ),
            ),
        ),
        twist(
            PRACTICE,
            "they",
            'A sentence may hold "They" in place of a name, in either text: it means the name of the sentence before. Where no '
            "sentence stands before, the text says nothing that can be checked, and the answer is False.",
            (
                'every sentence ends with "." and holds exactly one of `names`, exactly one number, and perhaps "not"\n',
                'every sentence ends with "." and holds exactly one of `names` or "They", which means the name of\n'
                '                 the sentence before; and exactly one number, and perhaps "not"\n',
            ),
            (
                "        faithful            both texts",
                '        unclear             "They" in the first sentence of a text: then the answer is False\n'
                "        faithful            both texts",
            ),
            (
                "name = next(word for word in words if word in names)",
                'name = next((word for word in words if word in names), said[-1][0] if said else "They")',
            ),
            (
                "before, after = says(source), says(rewriting)\n",
                'before, after = says(source), says(rewriting)\n    if "They" in (before[0][0], after[0][0]):\n'
                "        return False\n",
            ),
            cases=_pronouns,
            besides=("every paraphrase refused",),
            also=(
                Mistake(
                    "they is somebody",
                    'said[-1][0] if said else "They"',
                    '"They"',
                    '"They" was taken for a name of its own. It means the name of the sentence before.',
                ),
            ),
        ),
    ),
)


def rounded_cases(seed: int) -> tuple[Case, ...]:
    """As `with_more`, and a number that is off by 2."""
    found = with_more(seed)
    source, _, names = found[0].args
    sentence = source.split(". ")[-1]
    off = " ".join(str(int(word) + 2) if word.isdigit() else word for word in sentence.split())
    return (*found, Case("a number is off by 2", (source, source.replace(sentence, off), names)))
