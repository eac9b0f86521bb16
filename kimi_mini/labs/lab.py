"""`lab`, the one object of a lab's notebook: checks functions, locks guesses, hands in."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..checks import is_number, require
from ..device import pick_device
from .answers import answers_file, lock, read_answers
from .baked import alike, fingerprint, unpack
from .cases import attempt, difference, unsolved

SECONDS_PER_CASE = 20


class Lab:
    """A lab that is being worked on. `data` is the text that its set-up cell holds; the answers file lies in `folder`.

    `device` is the first GPU or the CPU, `preset` is "large" on a GPU and "small" elsewhere.
    """

    def __init__(self, data: str, folder: str | Path = ".") -> None:
        content = unpack(data)
        self.name: str = content["lab"]
        self.device = pick_device()
        self.preset = "large" if self.device.type == "cuda" else "small"
        self._checks: dict[str, Any] = content["checks"]
        self._guesses: dict[str, list[float]] = content["guesses"]
        self._path = Path(folder).absolute() / answers_file(self.name)  # a later chdir must not lose it
        self._passed: set[str] = set()

    @property
    def answers(self) -> dict[str, dict[str, float]]:
        """The locked guesses, {name: {"value", "confidence"}}. Raises ValueError for a file that no lab wrote."""
        return read_answers(self._path, self.name)

    def passed(self, name: str) -> bool:
        """Whether the last check of `name` passed, or the guess of that name is locked."""
        self._know(name)
        return name in self._passed or (name in self._guesses and name in self.answers)

    def check(self, name: str, function: Callable) -> bool:
        """Try `function` on the visible cases, say what is wrong with the first that fails, and whether all passed."""
        self._know(name, self._checks)
        self._passed.discard(name)
        cases = self._checks[name]["cases"]
        outcomes = list(_attempts(function, cases))
        if all(map(unsolved, outcomes)):
            print(f"{name}: not yet (nothing is written there).")
            return False
        wrong = [_judge(case, outcome) for case, outcome in zip(cases, outcomes, strict=False)]
        print(f"{name}: {wrong.count(None)} of {len(cases)} cases pass.", end="")
        if not any(wrong):
            print()
            self._passed.add(name)
            return True
        right = [text is None for text in wrong]
        first = right.index(False)
        print(f' "{cases[first]["case"]["name"]}": {wrong[first].rstrip(".")}.')
        if hint := recognise(self._checks[name], outcomes, right):
            print(f"It looks like this: {hint}")
        return False

    def guess(self, name: str, value: float | None, confidence: float | None, *, low: float, high: float) -> None:
        """Lock a prediction from `low` to `high`, with how sure you are in percent. It is made once; None is "not yet"."""
        self._know(name, self._guesses)
        require([low, high] == self._guesses[name], f"low, high of {name}", (low, high), str(tuple(self._guesses[name])))
        try:
            print(f"{name}: {self._guess(name, value, confidence)}")
        except (ValueError, OSError) as error:
            print(f"{name}: not locked: {error}.")

    def _guess(self, name: str, value: float | None, confidence: float | None) -> str:
        low, high = self._guesses[name]
        if locked := self.answers.get(name):
            text = f"locked, {locked['value']:g}, {locked['confidence']:g} % sure."
            return text if value in (None, locked["value"]) else f"{text} A guess is made once, so {value!r} was not taken."
        if value is None or confidence is None:
            return f"not yet. Put your number ({low:g} to {high:g}) and how sure you are (in percent) for None."
        require(is_number(value) and low <= value <= high, "value", value, f"a number from {low:g} to {high:g}")
        require(is_number(confidence) and 0 < confidence <= 100, "confidence", confidence, "percent, above 0, at most 100")
        lock(self._path, self.name, name, value, confidence)
        return f"locked, {value:g}, {confidence:g} % sure, in {self._path.name}."

    def export(self) -> None:
        """Say where the answers file is; on Colab, download it."""
        locked = self.answers
        print(f"{len(locked)} of {len(self._guesses)} guesses are locked, in {self._path}.")
        if not locked:
            return
        print(f"Hand it in beside {self.name}.ipynb.")
        if importlib.util.find_spec("google") and importlib.util.find_spec("google.colab"):
            from google.colab import files

            files.download(str(self._path))

    def _know(self, name: str, known: dict[str, Any] | None = None) -> None:
        known = self._checks | self._guesses if known is None else known
        require(name in known, "name", name, f"one of {', '.join(known)}")


def recognise(check: dict[str, Any], outcomes: list[dict[str, Any]], right: list[bool]) -> str | None:
    """The hint of the known mistake whose outcome the first failing case has; of several, the one alike most often."""
    seen = [fingerprint(outcome) for outcome in outcomes]
    counts: dict[str, int] = {}
    for number, hint in enumerate(check["hints"]):
        same = [
            good if case["mistakes"][number] is None else alike(case["mistakes"][number], mark, case["case"]["largest"])
            for case, mark, good in zip(check["cases"], seen, right, strict=False)
        ]
        if same[right.index(False)]:
            counts[hint] = max(sum(same), counts.get(hint, 0))
    return max(counts, key=counts.get, default=None)


def _judge(case: dict[str, Any], outcome: dict[str, Any]) -> str | None:
    return difference(case["expected"], outcome, case["case"]["largest"])


def _attempts(function: Callable, cases: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Outcomes one after the other, up to the first that takes too long."""
    for case in cases:
        with _time_limit(SECONDS_PER_CASE):
            outcome = attempt(function, case["case"])
        yield outcome
        if outcome.get("error", "").startswith("TimeoutError"):
            return


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside after that long; without such a clock (Windows, a thread) do nothing."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"it ran for more than {seconds} s")

    handler = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)
