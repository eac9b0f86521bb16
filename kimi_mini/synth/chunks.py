"""A document in chunks at sentence borders, rewritten one after the other, each with the previous output in sight."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..checks import is_int, require

Count = Callable[[str], int]  # how many tokens a text has
Rewrite = Callable[[str, str], str]  # (chunk, the rewriting of the chunk before it) -> its rewriting

CHUNK_TOKENS = 256  # the label of a partial excerpt in the report's figure 4
_BORDER = re.compile(r"(?:[.!?]+[\"')\]”’]*\s+|\n+\s*)")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|No|vs|cf|e\.g|i\.e|[A-Z]))\.\s+$")


def count_words(text: str) -> int:
    """Words, the measure where no tokenizer is given."""
    return len(text.split())


def sentences(text: str) -> list[str]:
    """The sentences and lines of `text`, each with the white space after it: joined, they are `text`."""
    found, start = [], 0
    for border in _BORDER.finditer(text):
        if "\n" in border.group() or not _ABBREVIATED.search(text[start : border.end()]):
            found.append(text[start : border.end()])
            start = border.end()
    return found + [text[start:]] * (start < len(text))


def split(text: str, size: int = CHUNK_TOKENS, count: Count = count_words) -> list[str]:
    """Chunks of at most `size` tokens: whole sentences, as many as fit; joined, they are `text`.

    A sentence that is too long by itself is cut between words; a word that is too long stays whole.
    """
    require(is_int(size, 1), "size", size, "an integer >= 1")
    pieces = [piece for sentence in sentences(text) for piece in _fitting(sentence, size, count)]
    return list(_greedy(pieces, size, count))


def _fitting(sentence: str, size: int, count: Count) -> list[str]:
    if count(sentence) <= size:
        return [sentence]
    return list(_greedy(re.findall(r"\s*\S+\s*|\s+", sentence), size, count))


def _greedy(pieces: list[str], size: int, count: Count) -> Iterator[str]:
    chunk = ""
    for piece in pieces:
        if chunk and count(chunk + piece) > size:
            yield chunk
            chunk = ""
        chunk += piece
    if chunk:
        yield chunk


def rewrite_document(text: str, rewrite: Rewrite, size: int = CHUNK_TOKENS, count: Count = count_words) -> str:
    """Every chunk of `text` through `rewrite`, in order, with the previous OUTPUT as context ("" for the first), joined.

    The white space between chunks is the source's; `rewrite` sees chunks without it.
    """
    written, previous = [], ""
    for chunk in split(text, size, count):
        core = chunk.strip()
        if core:
            previous = rewrite(core, previous).strip()
            lead = chunk[: len(chunk) - len(chunk.lstrip())]
            written.append(lead + previous + chunk[len(chunk.rstrip()) :])
        else:
            written.append(chunk)
    return "".join(written)


def equal_budget(documents: list[str], tokens: int, count: Count = count_words) -> list[str]:
    """`documents` in order, again from the first when they run out, until `tokens` are spent; the last one that would
    overspend is left out, so two sets of texts under one budget differ by less than a document.
    """
    require(is_int(tokens, 1), "tokens", tokens, "an integer >= 1")
    sizes = [count(document) for document in documents]
    require(bool(sizes) and min(sizes) > 0, "documents", f"{len(sizes)} of sizes {sizes[:5]}", "documents that are not empty")
    chosen, spent, place = [], 0, 0
    while spent + sizes[place % len(sizes)] <= tokens:
        chosen.append(documents[place % len(sizes)])
        spent += sizes[place % len(sizes)]
        place += 1
    return chosen
