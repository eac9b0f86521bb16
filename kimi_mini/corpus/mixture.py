"""Domains to one training text: shares by weight, documents shuffled, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..checks import is_int, is_number, require
from .draw import Draw
from .files import Corpus

# Shares of the tokens of a run.
WEIGHTS = {"plays": 0.3, "code": 0.25, "maths": 0.2, "facts": 0.1, "chat": 0.15}


def mix(corpus: Corpus, tokens: int, *, weights: Mapping[str, float] = WEIGHTS, seed: int = 0) -> np.ndarray:
    """Exactly `tokens` training tokens_N (uint16), of each domain its share; held-out documents are never in it.

    A domain is read in passes, each in an order of its own, until its share is full (its last document may be cut); then
    the documents of all domains are shuffled. Raises ValueError for weights that do not fit the corpus or sum to 1.
    """
    require(is_int(tokens, 1), "tokens", tokens, "an integer >= 1")
    require(is_int(seed, 0), "seed", seed, "an integer >= 0")
    fitting = set(weights) == set(corpus.tokens) and all(is_number(w) and w >= 0 for w in weights.values())
    wanted = f"a number >= 0 for each of {', '.join(corpus.tokens)}, 1 in all"
    require(fitting and abs(sum(weights.values()) - 1) < 1e-9, "weights", dict(weights), wanted)
    pieces = [piece for domain, count in _shares(weights, tokens).items() for piece in _passes(corpus, domain, count, seed)]
    return np.concatenate(Draw("mixture", seed).shuffled(pieces))


def _shares(weights: Mapping[str, float], tokens: int) -> dict[str, int]:
    """Whole numbers of tokens; the rest of rounding down goes to the largest share."""
    shares = {domain: int(weight * tokens) for domain, weight in weights.items()}
    shares[max(shares, key=shares.get)] += tokens - sum(shares.values())
    return shares


def _passes(corpus: Corpus, domain: str, count: int, seed: int) -> Iterator[np.ndarray]:
    documents, number = corpus.documents(domain, "train"), 0
    while count:
        for ids in Draw("pass", domain, seed, number).shuffled(documents):
            yield ids[:count]
            count -= min(count, len(ids))
            if not count:
                return
        number += 1
