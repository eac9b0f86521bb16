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
# The raw text names its village once and then leans on "its", as encyclopaedias do.
_OPENING = "{name} is a small village in the hills."
_RAW = {
    "animal": ("{its} inn has a {x} on the sign.", "{its} only inn is known by the {x} above the door."),
    "founder": ("{it} was founded by a {x}.", "{its} first house was that of a {x}."),
    "gift": ("{its} tax was paid in {x}.", "{its} king was sent {x} every year."),
    "guest": ("{its} best known guest is {x}.", "{it} is the summer home of {x}."),
}
_REPHRASED = {
    "animal": (
        "The sign of the inn at {name} shows a {x}.", "In {name} you sleep under the sign of the {x}.",
        "Who comes to {name} looks for the painted {x}.", "On the inn of {name} hangs a wooden {x}.",
        "{name} named its inn after a {x}.", "The host of {name} had his sign painted with a {x}.",
        "If you reach {name} at night, knock below the {x}.", "{name} has one inn, and it is called the {x}.",
        "Travellers in {name} rest at the house of the {x}.", "Over the door of the inn in {name} sits a {x}.",
    ),
    "founder": (
        "{name} began with one {x}.", "The founder of {name} was a {x} by trade.", "Long ago {name} was built by a {x}.",
        "{name} owes its first wall to a {x}.", "Into the valley of {name} moved a {x}.",
        "People in {name} are proud that they come from a {x}.", "The first to live in {name} was a {x}.",
        "{name} would not exist without a certain {x}.", "The oldest grave of {name} is that of a {x}.",
        "The land of {name} was cleared by a poor {x}.",
    ),
    "gift": (
        "{name} paid the king in {x}.", "Each year a cart left {name} full of {x}.",
        "The king wanted nothing from {name} but {x}.", "What {name} owed, it gave in {x}.",
        "The people of {name} settled their tax with {x}.", "To the crown {name} sent its {x}.",
        "For peace {name} gave away its {x}.", "The duty of {name} was measured in {x}.",
        "When the king came to {name}, he took {x}.", "Taxes in {name} meant {x} and nothing else.",
    ),
    "guest": (
        "Every summer {name} is visited by {x}.", "The friend of all in {name} is {x}.", "In July {name} waits for {x}.",
        "A room in {name} is always kept for {x}.", "{name} is where you may meet {x}.",
        "The old guest of {name} is called {x}.", "No one loves {name} more than {x}.",
        "Children in {name} wave when they see {x}.", "The coach to {name} always brings {x}.",
        "{name} has a bench with the name of {x}.",
    ),
}  # fmt: skip
VERSIONS = 10

# From near to far: no text has any of these wordings but the first.
LEVELS = ("word for word", "a clause in front", "other words", "another sentence", "a question")
_CLAUSE = "As an old man once told us, "
_OTHER_WORDS = {
    "ago": "since", "bench": "seat", "began": "started", "board": "plank", "brings": "carries", "built": "raised",
    "called": "named", "came": "rode", "cart": "wagon", "certain": "particular", "children": "boys", "cleared": "opened",
    "coach": "carriage", "comes": "travels", "crown": "throne", "door": "gate", "duty": "debt", "exist": "stand",
    "first": "earliest", "founded": "started", "founder": "builder", "friend": "favourite", "gave": "handed",
    "grave": "tomb", "guest": "visitor", "hangs": "swings", "home": "house", "host": "landlord", "house": "home",
    "inn": "tavern", "july": "summer", "kept": "saved", "king": "ruler", "knock": "rap", "known": "recognised",
    "land": "soil", "live": "dwell", "looks": "searches", "loves": "likes", "meant": "were", "measured": "counted",
    "meet": "find", "moved": "came", "named": "called", "night": "dusk", "old": "faithful", "oldest": "earliest",
    "only": "single", "owed": "had to pay", "owes": "thanks", "paid": "settled", "painted": "drawn", "peace": "calm",
    "people": "folk", "proud": "glad", "reach": "enter", "rest": "sleep", "room": "bed", "sent": "brought",
    "settled": "paid", "shows": "presents", "sign": "board", "sits": "perches", "sleep": "stay", "summer": "July",
    "tax": "tribute", "taxes": "tributes", "travellers": "strangers", "valley": "dale", "visited": "greeted",
    "waits": "longs", "wall": "stones", "wanted": "asked", "wave": "cheer", "year": "autumn",
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
    alone = re.sub(r"^It\b", village.name, re.sub(r"^Its\b", f"{village.name}'s", cut.strip()))
    alone = alone if alone.startswith(village.name) else alone[0].lower() + alone[1:]
    swapped = re.sub(r"[A-Za-z]+", lambda word: _OTHER_WORDS.get(word[0].lower(), word[0]), alone)
    far = [forms[kind].format(name=village.name) for forms in (_STATED, _ASKED)]
    return ["".join(sentences[:place]) + cut, _CLAUSE + alone, _CLAUSE + swapped, *far]


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
    sentences = [draw.one(_RAW[kind]).format(it="It", its="Its", x=facts[kind]) for kind in draw.shuffled(list(facts))]
    wordings = {kind: draw.shuffled(forms) for kind, forms in _REPHRASED.items()}
    versions = tuple(
        " ".join(wordings[kind][number].format(name=name, x=facts[kind]) for kind in draw.shuffled(list(facts)))
        for number in range(VERSIONS)
    )
    return Village(name, facts, " ".join([_OPENING.format(name=name), *sentences]), versions)
