"""The generated domains, document by document: number i depends on domain, seed and i, so more only adds to fewer."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from ..checks import is_int, require
from . import chat, facts, maths
from .draw import Draw

GENERATORS = {"maths": maths, "facts": facts, "chat": chat}
_HELD_OUT = 8  # of 256


class Documents(NamedTuple):
    """The texts of one domain. Held-out ones are whole documents that no training stream may contain."""

    train: list[str]
    held_out: list[str]


def generate(domain: str, count: int, seed: int = 0) -> Documents:
    """The first `count` draws of "maths", "facts" or "chat" without repetitions; about one document in 32 is held out.

    A document's key (the question, the name) decides, by its hash, on which side it is: the same for any `count` and seed.
    Raises ValueError for another domain or a count that is no number.
    """
    require(domain in GENERATORS, "domain", domain, " or ".join(GENERATORS))
    require(is_int(count, 0), "count", count, "an integer >= 0")
    generator, seen, documents = GENERATORS[domain], set(), Documents([], [])
    for number in range(count):
        text = generator.document(Draw(domain, seed, number))
        key = generator.key(text)
        if key not in seen:
            seen.add(key)
            held_out = hashlib.sha256(key.encode()).digest()[0] < _HELD_OUT
            (documents.held_out if held_out else documents.train).append(text)
    return documents
