"""Made-up facts: places and people that do not exist, each in three wordings and three questions.

One document is one place or person; the held-out ones can be learned in form, not in content.
"""

from __future__ import annotations

from .draw import Draw

_STARTS = (
    "Ab Bel Cor Dra Eld Fen Gar Hol Ist Jor Kel Lor Mar Nor Ost Pel Quen Ros Sel Tor Ul Var Wen Yar Zel Bran Cas Dun Fal Grim"
).split()
_MIDDLES = "a be ca di e en go i la lo ma na o ra ri si ta u vi wo".split()
_ENDS = "bury by dale den fell ford gate ham holm keep ley mere mond port stad ton vale well wick wood".split()
_FIRST = "Ada Boris Clara Dmitri Elena Farid Greta Hugo Iris Jonas Kira Leon Mina Nadia Omar Priya Rosa Sven Tara Yuri".split()
_TRADES = "bells boats bread bricks cheese clocks glass honey lamps maps paper rope salt silk tea wool".split()
_JOBS = "baker carpenter doctor farmer gardener judge miller painter pilot printer sailor singer tailor teacher".split()
_PETS = "cat crow dog donkey goat goose horse owl parrot tortoise".split()

# Form 0 of a sentence names its subject, the others may lean on what stands before them. Last: question and answer.
_PLACE = {
    "river": (
        "{name} lies on the river {river}.", "The river {river} runs through it.", "People there cross the {river} by ferry.",
        "On which river does {name} lie?", "On the {river}.",
    ),
    "year": (
        "{name} was founded in {year}.", "It was founded in {year}.", "The town dates from {year}.",
        "When was {name} founded?", "In {year}.",
    ),
    "trade": (
        "{name} is known for its {trade}.", "Its people make {trade}.", "Nothing is dearer to them than their {trade}.",
        "What is {name} known for?", "For its {trade}.",
    ),
    "mayor": (
        "The mayor of {name} is {mayor}.", "{mayor} is the mayor.", "Its mayor is called {mayor}.",
        "Who is the mayor of {name}?", "{mayor}.",
    ),
}  # fmt: skip
_PERSON = {
    "home": (
        "{name} lives in {home}.", "The house stands in {home}.", "Home is {home}.",
        "Where does {name} live?", "In {home}.",
    ),
    "born": (
        "{name} was born in {born}.", "The year of birth is {born}.", "It all began in {born}.",
        "When was {name} born?", "In {born}.",
    ),
    "job": (
        "{name} works as a {job}.", "The trade is that of a {job}.", "Everybody needs a {job} now and then.",
        "What does {name} do for a living?", "{name} is a {job}.",
    ),
    "pet": (
        "{name} keeps a {pet}.", "There is also a {pet} in the house.", "The {pet} is never far away.",
        "What animal does {name} keep?", "A {pet}.",
    ),
}  # fmt: skip


def document(draw: Draw) -> str:
    """Everything there is to know about one place or person."""
    facts, forms = (_place(draw), _PLACE) if draw.chance(0.6) else (_person(draw), _PERSON)
    lines = []
    for _ in range(3):
        first, *rest = draw.shuffled(list(forms))
        sentences = [forms[first][0], *(forms[kind][draw.number(0, 2)] for kind in rest)]
        lines.append(" ".join(sentences))
    for kind in draw.some(list(forms), 3):
        lines += [f"Question: {forms[kind][3]}", f"Answer: {forms[kind][4]}"]
    return "\n".join(lines).format(**facts) + "\n"


def key(text: str) -> str:
    """What makes a document this one and no other: the name."""
    question = text.split("Question: ", 1)[1].split("?", 1)[0]
    return " ".join(word for word in question.split()[1:] if word[0].isupper())


def town(draw: Draw) -> str:
    """The name of a place."""
    return draw.one(_STARTS) + draw.one(_MIDDLES) + draw.one(_ENDS)


def _place(draw: Draw) -> dict[str, str | int]:
    return {
        "name": town(draw),
        "river": draw.one(_STARTS) + draw.one(_MIDDLES),
        "year": draw.number(1100, 1899),
        "trade": draw.one(_TRADES),
        "mayor": f"{draw.one(_FIRST)} {draw.one(_STARTS)}{draw.one(_ENDS)}",
    }


def _person(draw: Draw) -> dict[str, str | int]:
    return {
        "name": f"{draw.one(_FIRST)} {draw.one(_STARTS)}{draw.one(_ENDS)}",
        "home": town(draw),
        "born": draw.number(1900, 1999),
        "job": draw.one(_JOBS),
        "pet": draw.one(_PETS),
    }
