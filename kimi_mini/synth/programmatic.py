"""Rewriting by rules, without a model: other wordings for the corpus's kinds of sentence and a few general ones.

It is the default because it needs nothing and its meaning is right by construction; its variety is that of the tables below.
Every record that it makes carries its name, so nobody takes it for a language model.
"""

from __future__ import annotations

import re

from ..corpus.draw import Draw
from .chunks import sentences
from .endpoint import Completion, EndpointError, Messages

NAME = "programmatic-rules-1"

# A sentence's form, and other wordings of it. S is whoever the sentence is about: a name, or a pronoun.
_FORMS = [
    (
        r"(?P<S>.+) lies on the river (?P<a>\w+)",
        "{S} stands on the banks of the river {a}", "The river {a} flows past {o}", "On the river {a} lies {o}",
        "{S} is situated on the river {a}",
    ),
    (r"The river (?P<a>\w+) runs through (?P<S>.+)", "{S} lies on the river {a}", "Through {o} flows the river {a}"),
    (
        r"People there cross the (?P<a>\w+) by ferry",
        "A ferry takes people there over the {a}", "To cross the {a} there, people take the ferry",
        "The {a} is crossed there by ferry",
    ),
    (
        r"(?P<S>.+) was founded in (?P<a>\d+)",
        "In {a} {o} was founded", "{S} was established in {a}", "{S} has stood since its founding in {a}",
    ),
    (r"The town dates from (?P<a>\d+)", "The town was founded in {a}", "In {a} the town began"),
    (
        r"(?P<S>.+) is known for (?:its )?(?P<a>\w+)",
        "{S} is famous for its {a}", "{S} owes its reputation to its {a}", "What {o} is known for is its {a}",
    ),
    (r"Its people make (?P<a>\w+)", "What people make there is {a}", "There people make {a}", "Its people produce {a}"),
    (r"Nothing is dearer to them than their (?P<a>\w+)", "Their {a} is dearest to them", "They love their {a} above all"),
    (
        r"The mayor of (?P<S>.+) is (?P<a>[A-Z]\w+ [A-Z]\w+)",
        "{a} is the mayor of {o}", "As mayor of {o} serves {a}", "The office of mayor in {o} is held by {a}",
    ),
    (r"(?P<a>[A-Z]\w+ [A-Z]\w+) is the mayor", "The mayor is {a}", "The office of mayor is held by {a}"),
    (r"Its mayor is called (?P<a>[A-Z]\w+ [A-Z]\w+)", "{a} is its mayor", "The name of its mayor is {a}"),
    (
        r"(?P<S>.+) lives in (?P<a>[A-Z]\w+)",
        "The home of {o} is in {a}", "{a} is where {o} lives", "{S} has a home in {a}",
    ),
    (r"The house stands in (?P<a>[A-Z]\w+)", "In {a} stands the house", "The house is in {a}"),
    (r"Home is (?P<a>[A-Z]\w+)", "{a} is home", "The home is in {a}"),
    (
        r"(?P<S>.+) was born in (?P<a>\d+)",
        "In {a} {o} was born", "{S} came into the world in {a}", "The birth of {o} was in {a}",
    ),
    (r"The year of birth is (?P<a>\d+)", "The birth was in {a}", "{a} is the year of birth"),
    (r"It all began in (?P<a>\d+)", "In {a} it all began", "The beginning was in {a}"),
    (
        r"(?P<S>.+) works as an? (?P<a>\w+)",
        "{S} is {an_a} by trade", "The trade of {o} is that of {an_a}", "{S} earns a living as {an_a}",
    ),
    (r"The trade is that of an? (?P<a>\w+)", "The work is that of {an_a}", "By trade it is the work of {an_a}"),
    (r"Everybody needs an? (?P<a>\w+) now and then",
     "Now and then everybody needs {an_a}", "{an_a} is needed by everybody now and then"),
    (r"(?P<S>.+) keeps an? (?P<a>\w+)", "{S} has {an_a}", "The pet of {o} is {an_a}", "{S} owns {an_a}"),
    (r"There is also an? (?P<a>\w+) in the house", "In the house there is also {an_a}", "The house is also home to {an_a}"),
    (r"The (?P<a>\w+) is never far away", "Never far away is the {a}", "The {a} is always near"),
]  # fmt: skip
_SYNONYMS = [("big", "large"), ("begin", "start"), ("began", "started"), ("often", "frequently"), ("also", "too"),
             ("buy", "purchase"), ("help", "assist"), ("shows", "demonstrates"), ("about", "roughly"), ("because", "since"),
             ("famous", "well known"), ("quickly", "fast")]  # fmt: skip
_PRONOUNS = ("It", "He", "She", "They", "This")
_COMPILED = [(re.compile(pattern), wordings) for pattern, *wordings in _FORMS]


class Programmatic:
    """An `Endpoint` that rewrites what stands between <text> and </text> in the last message. Style and perspective only
    change its draws; a sentence that no table knows keeps its wording but for single words.
    """

    name = NAME

    def complete(self, messages: Messages, *, seed: int, max_tokens: int, temperature: float) -> Completion:
        request = messages[-1]["content"]
        found = re.search(r"<text>\n(.*)\n</text>", request, re.DOTALL)
        if not found:
            raise EndpointError(f"{NAME} only rewrites: the last message holds no <text>", only_this=True)
        draw = Draw(NAME, seed, *(message["content"] for message in messages))
        lines = found.group(1).split("\n")
        return Completion("\n".join(_paragraph(line, draw) for line in lines), NAME)


def _paragraph(line: str, draw: Draw) -> str:
    """The sentences of a line, reworded; those after the first change order where all speak of one subject."""
    before = [sentence.strip() for sentence in sentences(line)]
    matches = [_match(sentence) for sentence in before]
    after = [_reword(sentence, draw) for sentence in before]
    subjects = {match["S"] for match, _ in filter(None, matches) if match.groupdict().get("S", "It") not in _PRONOUNS}
    if all(matches) and len(subjects) == 1:
        after = after[:1] + draw.shuffled(after[1:])
    return " ".join(after)


def _match(sentence: str) -> tuple[re.Match, list[str]] | None:
    matches = ((pattern.fullmatch(sentence.removesuffix(".")), wordings) for pattern, wordings in _COMPILED)
    return next(((match, wordings) for match, wordings in matches if match), None)


def _reword(sentence: str, draw: Draw) -> str:
    known = _match(sentence)
    if not known:
        for plain, other in _SYNONYMS:
            if draw.chance(0.7):
                sentence = re.sub(rf"\b{plain}\b", other, sentence)
        return sentence
    match, wordings = known
    subject, value = match.groupdict().get("S"), match["a"]
    pronoun = subject in _PRONOUNS
    fit = [w for w in wordings if not pronoun or w.startswith(("{S}", "In {a} {o} was"))]
    article = "an" if value[0] in "aeiou" else "a"
    other = subject and (subject[0].lower() if pronoun or subject.startswith("The ") else subject[0]) + subject[1:]
    text = draw.one([*fit, match.string]).format(S=subject, o=other, a=value, an_a=f"{article} {value}")
    return text[0].upper() + text[1:] + "."
