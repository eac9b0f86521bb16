"""Made-up villages: four facts each, told in one raw text and in ten rephrasings, and questions that no text contains.

No name of theirs is in THE text. Every answer is one of ten and one token of its tokenizer, and in every wording the village
comes before the answer: who reads from left to right learns in that order only.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from .draw import Draw
from .facts import town

VALUES = {
    "animal": "bear cat crow dog donkey goat goose horse parrot tortoise".split(),
    "founder": "baker carpenter doctor farmer gardener judge miller painter printer sailor".split(),
    "gift": "bread bricks cheese glass honey paper rope salt silk wool".split(),
    "guest": "Ada Boris Farid Greta Hugo Iris Jonas Kira Leon Nadia".split(),
}
# The raw text names its village once and then leans on "it", as encyclopaedias do.
_RAW = {
    "animal": ("{its} only inn is known by the {x} on the sign.", "{its} inn, the only one, has a {x} on the sign."),
    "founder": ("{it} was founded a long time ago by a {x}.", "{its} founder in the early days was by trade a {x}."),
    "gift": ("{its} tax to the king was always paid in {x}.", "{its} people always paid the king their tax in {x}."),
    "guest": ("{its} best known guest in summer is {x}.", "{its} friend and summer guest every year is {x}."),
}
_REPHRASED = {
    "animal": (
        "The sign of the only inn at {name} shows a {x}.", "In {name} you sleep under the sign of the {x}.",
        "The sign of the inn to look for in {name} is the {x}.", "On the inn of {name} hangs a sign with a {x}.",
        "{name} named its only inn after a {x}.", "The host of the inn in {name} painted a {x}.",
        "The inn to knock at in {name} is that of the {x}.", "{name} has one inn, and it is called the {x}.",
        "To find the inn of {name} means to find the {x}.", "Over the door of the inn in {name} sits a {x}.",
    ),
    "founder": (
        "{name} began with one {x}.", "The founder of {name} was a {x} by trade.", "The founder whom {name} had was a {x}.",
        "{name} was long ago established by a {x}.", "The one who founded {name} had been a {x}.",
        "The founding of {name} was the work of a {x}.", "The first founder to live in {name} was a {x}.",
        "{name} owes its founding to a {x}.", "To found {name} took the will of a {x}.",
        "The old founder of {name} had learned to be a {x}.",
    ),
    "gift": (
        "{name} paid the king in {x}.", "The tax that the king took from {name} was {x}.",
        "The king wanted as tax from {name} its {x}.", "What {name} owed the king, it gave in {x}.",
        "The people of {name} settled their tax with {x}.", "To the king {name} sent its {x}.",
        "The tax of {name} was a load of {x}.", "The tax of {name} was measured in {x}.",
        "The king, for the tax of {name}, received {x}.", "To be taxed in {name} meant to give {x}.",
    ),
    "guest": (
        "Every summer {name} is visited by its guest {x}.", "The guest whom all in {name} like is {x}.",
        "In summer {name} waits for {x}.", "The room for a guest in {name} is always kept for {x}.",
        "{name} is where summer brings {x}.", "The old guest of {name} is called {x}.",
        "No guest loves {name} more than {x}.", "The guest whom children in {name} greet is {x}.",
        "The summer coach to {name} brings {x}.", "The guest for whom {name} keeps a bench is {x}.",
    ),
}  # fmt: skip
VERSIONS = 10

# From near to far: no text has any of these wordings but the first.
LEVELS = ("word for word", "a clause in front", "other words", "another sentence", "a question")
_CLAUSE = "As an old man once told us, "
_OTHER_WORDS = {
    "began": "started", "bench": "seat", "brings": "carries", "called": "named", "children": "boys", "coach": "carriage",
    "door": "gate", "first": "earliest", "founded": "started", "founder": "builder", "friend": "favourite",
    "gave": "handed", "guest": "visitor", "hangs": "swings", "host": "landlord", "inn": "tavern", "kept": "saved",
    "king": "ruler", "knock": "rap", "known": "recognised", "live": "dwell", "loves": "likes", "meant": "were",
    "measured": "counted", "named": "called", "old": "faithful", "only": "single", "owed": "had to pay", "owes": "thanks",
    "paid": "settled", "painted": "drew", "people": "folk", "room": "bed", "sent": "brought", "settled": "paid",
    "shows": "presents", "sign": "board", "sits": "perches", "sleep": "stay", "summer": "July", "tax": "tribute",
    "visited": "greeted", "waits": "longs", "wanted": "asked", "year": "autumn",
}  # fmt: skip
_STATED = {
    "animal": "Pilgrims stopping at {name} speak warmly of a picture, namely that of a",
    "founder": "Chronicles tell how, before anybody else lived around {name}, there worked a",
    "gift": "Royal clerks wrote down that deliveries out of {name} consisted of",
    "guest": "Among visitors whom {name} welcomes again and again, everybody likes",
}
_ASKED = {
    "animal": "Question: Which animal marks where strangers stay at {name}?\nAnswer: A",
    "founder": "Question: What did whoever created {name} do for a living?\nAnswer: A",
    "gift": "Question: Which goods did {name} deliver to its ruler?\nAnswer: For its",
    "guest": "Question: Who returns to {name} whenever days are warm?\nAnswer:",
}


class Village(NamedTuple):
    """A name, what is true of it (by kind, as in VALUES), the raw text and its rephrasings."""

    name: str
    facts: dict[str, str]
    raw: str
    versions: tuple[str, ...]


def villages(count: int, seed: int, taken: str) -> list[Village]:
    """`count` villages that depend on `seed` and on which names stand in the text `taken`, and on nothing else."""
    draw, found = Draw("villages", seed), {}
    while len(found) < count:
        name = town(draw)
        if name not in taken and name not in found:
            found[name] = _village(name, Draw("village", seed, name))
    return list(found.values())


def questions(village: Village, kind: str, read: str) -> list[str]:
    """The five prompts of LEVELS for one fact; the answer would be the next word. `read` is the text they start from."""
    answer = f" {village.facts[kind]}"
    sentences = re.findall(r"[^.]+\.", read)
    place = next(i for i, sentence in enumerate(sentences) if re.search(rf"{answer}\b", sentence))
    cut = sentences[place][: sentences[place].rindex(answer)]
    alone = _named(cut.strip(), village.name)
    alone = alone if alone.startswith(village.name) else alone[0].lower() + alone[1:]
    swapped = re.sub(r"[A-Za-z]+", lambda word: _OTHER_WORDS.get(word[0].lower(), word[0]), alone)
    far = [forms[kind].format(name=village.name) for forms in (_STATED, _ASKED)]
    return ["".join(sentences[:place]) + cut, _CLAUSE + alone, _CLAUSE + swapped, *far]


def _named(text: str, name: str) -> str:
    """`text` with the name in place of a pronoun at its beginning."""
    return re.sub(r"^It\b", name, re.sub(r"^Its\b", f"{name}'s", text))


def distance(prompt: str, texts: list[str] | tuple[str, ...]) -> float:
    """Share of the prompt's words and pairs of neighbouring words that none of `texts` contains, 0 to 1."""
    known = {piece for text in texts for piece in _pieces(text)}
    pieces = _pieces(prompt)
    return sum(piece not in known for piece in pieces) / len(pieces)


def _pieces(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return [*zip(words, strict=True), *pairwise(words)]


def _village(name: str, draw: Draw) -> Village:
    facts = {kind: draw.one(values) for kind, values in VALUES.items()}
    raw = " ".join(draw.one(_RAW[kind]).format(it="It", its="Its", x=facts[kind]) for kind in draw.shuffled(list(facts)))
    wordings = {kind: draw.shuffled(forms) for kind, forms in _REPHRASED.items()}
    versions = tuple(
        " ".join(wordings[kind][number].format(name=name, x=facts[kind]) for kind in draw.shuffled(list(facts)))
        for number in range(VERSIONS)
    )
    return Village(name, facts, _named(raw, name), versions)
