"""Budget control: an answer that is cut at its budget is penalised, and nobody else is (K2 report, section 3.2.3)."""

from __future__ import annotations

from .types import Rollout, Score


def shaped(score: Score, rollout: Rollout, penalty: float | None) -> float:
    """The reward that trains: the verifier's, except that a truncated answer gets -`penalty` (None: no budget control).

    >>> shaped(Score(1.0, {}), truncated, 0.5)
    -0.5
    """
    return score.reward if rollout.finished or penalty is None else -penalty
