"""A first text to train on, with nothing to download: code, worked arithmetic and made-up facts.

It is small and plain: code is the source of modules that ship with Python (so it differs from one Python version to the
next), maths and facts are generated from templates. Enough to see a model learn; no measure of how good it is.
"""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import require
from ..tokenizer import Tokenizer

# Readable, pure-Python modules of the standard library, present in every supported version.
CODE_MODULES = (
    "abc bisect calendar cmd codecs colorsys contextlib copy csv dataclasses fnmatch fractions functools getopt graphlib gzip "
    "hashlib heapq json/decoder json/encoder linecache numbers operator pprint queue random reprlib sched shlex shutil "
    "stat statistics tempfile textwrap timeit tokenize traceback types wave weakref"
).split()


class Domain(NamedTuple):
    """The documents of one domain. Held-out ones are whole documents that no training stream may contain."""

    train: list[str]
    held_out: list[str]


def domains(*, seed: int = 0, documents: int = 600) -> dict[str, Domain]:
    """The domains "code", "maths" and "facts"; the same arguments give the same text (code: on the same Python version).

    `documents` is the number of generated documents in each of maths and facts; one in ten of every domain is held out.
    Held-out facts are about other places: their form can be learned from the training part, their content cannot; a
    single held-out sum may occur in training as well. Raises ValueError for a number of documents that cannot be made.
    """
    wanted = f"10 (one is held out) to {len(_NAMES)} (the names of places)"
    require(10 <= documents <= len(_NAMES), "documents", documents, wanted)
    rng = random.Random(seed)
    texts = {
        "code": [_source(name) for name in CODE_MODULES],
        "maths": [_sheet(rng) for _ in range(documents)],
        "facts": [_place(rng, name) for name in rng.sample(_NAMES, documents)],
    }
    return {name: _split(rng, docs) for name, docs in texts.items()}


def pack(tokenizer: Tokenizer, documents: Iterable[str]) -> Tensor:
    """All documents behind each other, each as [BOS] text [EOS]: tokens_N, what a training stream is cut from."""
    return torch.tensor([i for text in documents for i in (tokenizer.bos, *tokenizer.encode(text), tokenizer.eos)])


def _split(rng: random.Random, documents: list[str]) -> Domain:
    shuffled = rng.sample(documents, len(documents))
    tenth = len(documents) // 10
    return Domain(train=shuffled[tenth:], held_out=shuffled[:tenth])


def _source(module: str) -> str:
    path = Path(sysconfig.get_path("stdlib"), f"{module}.py")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; expected a Python whose standard library is there as .py files") from None


# ---- maths: every equation is true -------------------------------------------------------------------------------------


def _sheet(rng: random.Random) -> str:
    tasks = (_addition, _subtraction, _multiplication)
    return "\n\n".join(rng.choice(tasks)(rng) for _ in range(6)) + "\n"


def _addition(rng: random.Random) -> str:
    a, b = rng.randint(10, 999), rng.randint(10, 999)
    lines, carry, places = [f"Question: What is {a} + {b}?"], 0, max(len(str(a)), len(str(b)))
    for place in range(places):
        digits = [a // 10**place % 10, b // 10**place % 10] + [carry] * (carry > 0)
        total = sum(digits)
        carry = total // 10 if place < places - 1 else 0
        step = f"{' + '.join(map(str, digits))} = {total}, write {total - 10 * carry}"
        lines.append(step + (f", carry {carry}." if carry else "."))
    return "\n".join([*lines, f"Answer: {a} + {b} = {a + b}"])


def _subtraction(rng: random.Random) -> str:
    b, difference = rng.randint(10, 499), rng.randint(1, 499)
    a = b + difference
    tens, ones = b // 10 * 10, b % 10
    steps = [f"{a} - {tens} = {a - tens}", f"{a - tens} - {ones} = {difference}"]
    lines = [f"Question: What is {a} - {b}?", f"First take {tens}, then {ones}.", *steps]
    return "\n".join([*lines, f"Answer: {a} - {b} = {difference}"])


def _multiplication(rng: random.Random) -> str:
    a, b = rng.randint(11, 99), rng.randint(3, 9)
    tens, ones = a // 10 * 10, a % 10
    steps = [f"{tens} * {b} = {tens * b}", f"{ones} * {b} = {ones * b}", f"{tens * b} + {ones * b} = {a * b}"]
    lines = [f"Question: What is {a} * {b}?", f"{a} is {tens} and {ones}.", *steps]
    return "\n".join([*lines, f"Answer: {a} * {b} = {a * b}"])


# ---- facts: about places that do not exist -----------------------------------------------------------------------------

_STARTS = "Bel Cor Dra Fen Gar Hol Ist Kel Lor Mar Nor Ost Pel Quen Ros Sel Tor Ul Var Wen".split()
_MIDDLES = "a be di en i lo ma o ra si u vi".split()
_ENDS = "bury dale ford gate ham holm mere mond stad ton wick wood".split()
_NAMES = [start + middle + end for start in _STARTS for middle in _MIDDLES for end in _ENDS]
_TRADES = "clocks paper salt wool glass bells cheese boats maps rope".split()
_PEOPLE = "Ada Boris Clara Dmitri Elena Farid Greta Hugo Iris Jonas Kira Leon Mina Nadia".split()
_SENTENCES = {
    "river": ("{name} lies on the river {river}.", "The river {river} runs through {name}.", "People cross the {river} there."),
    "year": ("{name} was founded in {year}.", "It was founded in {year}.", "The town dates from {year}."),
    "trade": ("{name} is known for its {trade}.", "Its people make {trade}.", "The best {trade} come from {name}."),
    "mayor": ("The mayor of {name} is {mayor}.", "{mayor} is the mayor there.", "Its mayor is called {mayor}."),
}


def _place(rng: random.Random, name: str) -> str:
    facts = {
        "name": name,
        "river": rng.choice(_STARTS) + rng.choice(_MIDDLES),
        "year": rng.randint(1100, 1899),
        "trade": rng.choice(_TRADES),
        "mayor": f"{rng.choice(_PEOPLE)} {rng.choice(_STARTS)}{rng.choice(_ENDS)}",
    }
    paragraphs = []
    for _ in range(3):  # the same facts in three wordings and orders
        first, *rest = rng.sample(list(_SENTENCES), len(_SENTENCES))
        sentences = [_SENTENCES[first][0], *(rng.choice(_SENTENCES[kind]) for kind in rest)]  # form 0 names the place
        paragraphs.append(" ".join(sentence.format(**facts) for sentence in sentences))
    return "\n".join(paragraphs) + "\n"
