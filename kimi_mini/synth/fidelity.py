"""Does a rewriting say what its source says? Checks of numbers, names, negation, lost and added facts.

The checks compare words, they do not understand. They see: a number or name that is gone, new or has changed places with
another; one thing for another of its kind (glass for cheese, March for April); a clause denied in one text and not in the
other, opposites included that a small table has; a clause of which nothing is left; a clause that shares nothing with the
source. They do not see: a changed word beside unchanged ones, outside the tables; one item of a list left out; who does
what to whom; which of several equal things a number belongs to; reasons; tone. Of rewritings labelled by hand after the
rules stood it refused 2 of 9 right ones and let 3 of 14 wrong ones pass. `judge` asks a model instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations

from .endpoint import Endpoint
from .words import Clause, clauses, full_names, kinds, names_in


@dataclass(frozen=True)
class Problem:
    """One reason to refuse: `kind` is number, name, swap, negation, missing, added, empty or judge."""

    kind: str
    detail: str


def check(source: str, rewriting: str, before: str = "") -> tuple[Problem, ...]:
    """Why `rewriting` does not say what `source` says, as far as words show it; empty for one that passes.

    Names of `before`, the text that stands before it, are no new ones: "It was founded" may become "Ulviwell was founded".
    """
    if not rewriting.strip():
        return (Problem("empty", "nothing was written"),)
    names = names_in(source) | names_in(rewriting)
    said, says = clauses(source, names), clauses(rewriting, names)
    problems = [*_numbers(said, says), *_names(source, rewriting, before)]
    problems += _swaps(said, says) if not problems else []
    problems += [*_alike(said, says), *_negations(said, says), *_missing(said, says), *_added(said, says)]
    return tuple(problems)


def _numbers(said: list[Clause], says: list[Clause]) -> list[Problem]:
    before, after = ({number for clause in text for number in clause.numbers} for text in (said, says))
    lost = [Problem("number", f"{number} is gone") for number in sorted(before - after)]
    return lost + [Problem("number", f"{number} is new") for number in sorted(after - before)]


def _names(source: str, rewriting: str, context: str) -> list[Problem]:
    before, after = names_in(source), names_in(rewriting, surely=True)
    old, new = (set(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower())) for text in (f"{source} {context}", rewriting))
    lost = [Problem("name", f"{name} is gone") for name in sorted(before) if name.lower() not in new]
    new_names = [Problem("name", f"{name} is new") for name in sorted(after) if name.lower() not in old]
    mixed = full_names(rewriting, before) - full_names(f"{source} {context}", before)
    return lost + new_names + [Problem("name", f"{' '.join(pair)} is put together anew") for pair in sorted(mixed)]


def _surroundings(text: list[Clause], mark: str) -> set[str]:
    return {other for clause in text if mark in clause.marks for other in clause.marks} - {mark}


def _swaps(said: list[Clause], says: list[Clause]) -> list[Problem]:
    """Two marks whose surroundings fit better when they are exchanged: numbers with numbers, names with names."""
    senses = {sense for clause in said for sense in clause.senses}
    numbers, names = {n for clause in said for n in clause.numbers}, {n for clause in said for n in clause.names}
    found = []
    for kind in [numbers, names, *(kind & senses for kind in kinds())]:
        old = {mark: _surroundings(said, mark) for mark in kind}
        new = {mark: _surroundings(says, mark) for mark in kind}
        for a, b in combinations(sorted(kind), 2):
            apart = old[a] ^ old[b]  # what tells the two from each other; each other does not
            apart -= {a, b}
            kept = len(old[a] & new[a] & apart) + len(old[b] & new[b] & apart)
            swapped = len(old[a] & new[b] & apart) + len(old[b] & new[a] & apart)
            if swapped > 2 * kept:
                found.append(Problem("swap", f"{a} and {b} have changed places"))
    return found


def _negations(said: list[Clause], says: list[Clause]) -> list[Problem]:
    """Clauses of which every closest counterpart differs in a word's sign and in whether it denies."""
    found: list[Problem] = []
    for clause in said:
        shared = [len(other.marks & clause.marks) for other in says]
        closest = [other for other, size in zip(says, shared, strict=True) if size == max(shared) > 0]
        if closest and all(_turned(clause, other) for other in closest):
            found.append(Problem("negation", f"{clause.text!r} is turned round"))
    return found


def _turned(clause: Clause, other: Clause) -> bool:
    differs = any(other.senses.get(sense, sign) != sign for sense, sign in clause.senses.items())
    return differs and (clause.turns - other.turns) % 2 == 1


def _alike(said: list[Clause], says: list[Clause]) -> list[Problem]:
    """One thing for another of its kind."""
    before, after = ({sense for clause in text for sense in clause.senses} for text in (said, says))
    gone = [(sorted((before - after) & kind), sorted((after - before) & kind)) for kind in kinds()]
    return [Problem("swap", f"{', '.join(new)} for {', '.join(old)}") for old, new in gone if old and new]


def _own(clause: Clause, common: set[str]) -> set[str]:
    """What a clause is recognised by."""
    return clause.marks - (clause.names if clause.borrowed else common)


def _common_names(text: list[Clause]) -> set[str]:
    """Names in most of the clauses: what the text is about, so no sign that a clause was kept."""
    return {name for name in {n for c in text for n in c.names} if sum(name in c.names for c in text) > len(text) / 2}


def _missing(said: list[Clause], says: list[Clause]) -> list[Problem]:
    about = _common_names(said)
    there = {mark for clause in says for mark in clause.marks}
    gone = [c for c in said if len(_own(c, about)) >= 2 - bool(c.numbers) and not _own(c, about) & there]
    return [Problem("missing", f"nothing is left of {clause.text!r}") for clause in gone]


def _added(said: list[Clause], says: list[Clause]) -> list[Problem]:
    about = _common_names(says) | _common_names(said)
    there = {mark for clause in said for mark in clause.marks}
    new = [c for c in says if len(_own(c, about)) >= 2 and not _own(c, about) & there]
    return [Problem("added", f"the source says nothing of {clause.text!r}") for clause in new]


_JUDGE = """Compare two texts. Answer SAME if the second states exactly the facts of the first, in whatever words. Answer
DIFFERENT if a fact is changed, missing or added. Write one word.

<first>
{source}
</first>
<second>
{rewriting}
</second>"""


def judge(endpoint: Endpoint, source: str, rewriting: str, seed: int = 0) -> tuple[Problem, ...]:
    """What a model says of the same question; an answer that is not one of the two words is no approval."""
    messages = [{"role": "user", "content": _JUDGE.format(source=source, rewriting=rewriting)}]
    said = endpoint.complete(messages, seed=seed, max_tokens=16, temperature=0.0).text
    words = re.findall(r"\b(SAME|DIFFERENT)\b", said.upper())
    return () if set(words) == {"SAME"} else (Problem("judge", f"{endpoint.name} said {said.strip()[:80]!r}"),)
