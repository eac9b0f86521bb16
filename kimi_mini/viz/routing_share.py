"""How much of a router's choices is foretold by what is known of a token: its text's domain, its kind, its identity.

The measure is held-out: choices in one half of the text are foretold from the other half, so knowing more cannot look better
by luck, and a label without meaning comes out at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..checks import require

PRIOR = 4.0  # a label's mean counts as if its coarser label's mean had been seen this often besides
KINDS = ("word", "part of a word", "digit", "sign", "space", "end of a text")


@dataclass(frozen=True)
class Share:
    """Share of the variance of choices that was foretold, and the middle 95 % of it over resampled windows."""

    value: float
    low: float
    high: float


def foretold_share(
    choice_NE: np.ndarray, labels: Sequence[np.ndarray], window_N: np.ndarray, *, resamples: int = 500, seed: int = 0
) -> Share:
    """Share of the variance of choice_NE (1 where a token chose an expert) that `labels` foretell.

    labels[j][n] is what is known of token n, the coarsest first; each finer one must lie within one coarser one. window_N
    numbers pieces of text from 0: even ones are foretold from odd ones and the other way round, and the interval comes from
    drawing windows anew. Raises ValueError for misshapen arguments.
    """
    tokens = len(choice_NE)
    shapes = [len(each) for each in (*labels, window_N)]
    require(all(length == tokens for length in shapes), "labels and window_N", shapes, f"{tokens} entries each")
    odd_N = window_N % 2 == 1
    require(0 < odd_N.sum() < tokens, "window_N", window_N, "at least two windows")
    missed_N, spread_N = np.empty(tokens), np.empty(tokens)
    for test_N in (odd_N, ~odd_N):
        guess_ME = _foretell(choice_NE[~test_N], [(each[~test_N], each[test_N]) for each in labels], test_N.sum())
        missed_N[test_N] = ((choice_NE[test_N] - guess_ME) ** 2).sum(1)
        spread_N[test_N] = ((choice_NE[test_N] - choice_NE[~test_N].mean(0)) ** 2).sum(1)
    missed_W, spread_W = np.bincount(window_N, missed_N), np.bincount(window_N, spread_N)
    drawn_RW = np.random.default_rng(seed).integers(len(missed_W), size=(resamples, len(missed_W)))
    low, high = np.quantile(1 - missed_W[drawn_RW].sum(1) / spread_W[drawn_RW].sum(1), [0.025, 0.975])
    return Share(float(1 - missed_W.sum() / spread_W.sum()), float(low), float(high))


def _foretell(seen_ME: np.ndarray, labels: Sequence[tuple[np.ndarray, np.ndarray]], tokens: int) -> np.ndarray:
    """Mean choice of each label, from (labels of what was seen, labels of what is to be foretold); unseen ones fall back."""
    prior_ME = np.broadcast_to(seen_ME.mean(0), seen_ME.shape)
    guess_NE = np.broadcast_to(seen_ME.mean(0), (tokens, seen_ME.shape[1])).copy()
    for seen_M, asked_N in labels:
        size = 1 + max(seen_M.max(), asked_N.max())
        count_K = np.bincount(seen_M, minlength=size)
        total_KE = np.stack(
            [np.bincount(seen_M, column, minlength=size) for column in (seen_ME + PRIOR * _per(count_K[seen_M], prior_ME)).T], 1
        )
        mean_KE = total_KE / (count_K + PRIOR)[:, None]
        known_N = count_K[asked_N] > 0
        guess_NE[known_N] = mean_KE[asked_N[known_N]]
        prior_ME = mean_KE[seen_M]
    return guess_NE


def _per(count_M: np.ndarray, prior_ME: np.ndarray) -> np.ndarray:
    """Each row's part of its label's prior; the rows of one label add up to one prior."""
    return prior_ME / count_M[:, None]


def joint(*labels: np.ndarray) -> np.ndarray:
    """One label for each combination that occurs."""
    return np.unique(np.stack(labels), axis=1, return_inverse=True)[1].reshape(-1)


def kind(text: str) -> int:
    """Which of KINDS a token's text is: a crude stand-in for syntax that needs no parser."""
    if text.startswith(("[BOS]", "[EOS]")):
        return 5
    if not text.strip():
        return 4
    first = text.strip()[0]
    if first.isdigit():
        return 2
    if first.isalpha():
        return 0 if text[0] != first or first.isupper() else 1
    return 3
