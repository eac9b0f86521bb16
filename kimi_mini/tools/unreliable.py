"""Controlled randomness: a world whose answers sometimes fail, come in part, or come broken, as a real service's do.

K2's simulator does the same with "controlled randomness": success, partial failure, edge cases (report, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..checks import is_number, require
from ..corpus.draw import Draw
from .world import Result, World

Outcome = Literal["success", "partial", "error", "malformed"]
OUTCOMES: tuple[Outcome, ...] = ("success", "partial", "error", "malformed")


class Unreliable:
    """Calls to `world` with outcomes drawn by seed and number of the call, or forced: {number of the call: outcome}.

    success     the world's own answer
    error       nothing is done; the caller is told that the service did not answer
    partial     done, but only a part of the answer comes back
    malformed   done, but the answer is a torn piece of JSON

    `rates` are the probabilities of the last three. `outcomes` is what happened so far. A call that the world refuses
    stays refused.
    """

    def __init__(
        self, world: World, seed: int, rates: Mapping[str, float] | None = None, forced: Mapping[int, Outcome] | None = None
    ) -> None:
        rates = dict(rates or {})
        for name, rate in rates.items():
            require(name in OUTCOMES[1:], "name of a rate", name, ", ".join(OUTCOMES[1:]))
            require(is_number(rate) and 0 <= rate <= 1, f"rates[{name!r}]", rate, "a number from 0 to 1")
        require(sum(rates.values()) <= 1, "sum of rates", sum(rates.values()), "at most 1")
        self.world, self.seed, self.rates, self.forced = world, seed, rates, dict(forced or {})
        self.outcomes: list[Outcome] = []

    def __getattr__(self, name: str) -> Any:  # all else is the world's
        return getattr(self.world, name)

    def call(self, name: str, arguments: dict[str, Any]) -> Result:
        number = len(self.outcomes)
        outcome = self.forced.get(number) or self._drawn(number)
        self.outcomes.append(outcome)
        if outcome == "error":
            return Result(False, "the service did not answer; nothing was done")
        result = self.world.call(name, arguments)
        if not result.ok or outcome == "success":
            return result
        return Result(True, _part(result.value) if outcome == "partial" else _torn(result.value))

    def _drawn(self, number: int) -> Outcome:
        left = Draw("unreliable", self.seed, number).number(0, 999_999) / 1_000_000
        for outcome in OUTCOMES[1:]:
            left -= self.rates.get(outcome, 0.0)
            if left < 0:
                return outcome
        return "success"


def _part(value: Any) -> Any:
    """The first half of an object, a list or a text."""
    if isinstance(value, dict):
        return dict(list(value.items())[: (len(value) + 1) // 2])
    return value[: (len(value) + 1) // 2] if isinstance(value, list | str) else value


def _torn(value: Any) -> str:
    from ..chat import compact

    text = compact(value)
    return text[: max(1, len(text) * 2 // 3)]
