"""What a check is, how it is run on somebody's code, and the report that a person or a program reads."""

from __future__ import annotations

import dataclasses
import importlib
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..checks import require

ALGORITHM = "K2 report, Algorithm 1"
MOONLIGHT = "Moonlight, arXiv 2502.16982, 2.2"


class Failed(Exception):
    """Raised inside a check: what came out, and what usually looks like this ("" where nothing typical does)."""

    def __init__(self, found: str, cause: str = "") -> None:
        super().__init__(found)
        self.found, self.cause = found, cause


@dataclass(frozen=True)
class Check:
    """`run(callable)` returns what came out, in words and numbers, or raises Failed."""

    name: str
    required: str
    source: str
    run: Callable[[Callable[..., Any]], str]


@dataclass(frozen=True)
class Result:
    """One line of a report; `cause` is empty where the check passed or nothing typical looks like this."""

    name: str
    required: str
    source: str
    passed: bool
    found: str
    cause: str


@dataclass(frozen=True)
class Report:
    """The results of all checks of one kind on one callable; `subject` says in words what was tried."""

    kind: str
    subject: str
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed, in order."""
        return tuple(result.name for result in self.results if not result.passed)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"passed": self.passed} | dataclasses.asdict(self) | {"results": [dataclasses.asdict(r) for r in self.results]}

    def __str__(self) -> str:
        good = sum(result.passed for result in self.results)
        parts = [self.subject, *map(_paragraph, self.results), f"{good} of {len(self.results)} checks passed"]
        return "\n\n".join(parts)


def run_checks(kind: str, subject: str, checks: Sequence[Check], callable_: Callable[..., Any]) -> Report:
    """Run every check. An exception of the callable fails its check and no other; only Ctrl-C gets through."""
    return Report(kind, subject, tuple(_result(check, callable_) for check in checks))


def _result(check: Check, callable_: Callable[..., Any]) -> Result:
    passed, cause = False, ""
    try:
        found, passed = check.run(callable_), True
    except Failed as failure:
        found, cause = failure.found, failure.cause
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever foreign code raises, SystemExit included, is its failure and not ours
        found = f"it raised {described(error)}"
        cause = "The callable does not follow the protocol, or it cannot deal with this input."
    return Result(check.name, check.required, check.source, passed, found, cause)


def described(error: BaseException) -> str:
    """An exception in one line of moderate length."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception of foreign code may fail even at this
        text = ""
    return textwrap.shorten(f"{type(error).__name__}: {text}", 300, placeholder=" ...").removesuffix(": ")


def load(name: str) -> Callable[..., Any]:
    """The object that "package.module:callable" names. Raises ValueError where it cannot be imported or called."""
    module, colon, attribute = name.partition(":")
    wanted = "'package.module:callable', such as kimi_mini.conformance.adapters:ours_muon"
    require(bool(module and colon and attribute), "callable", name, wanted)
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(f"{name} cannot be imported ({described(error)}); expected {wanted}") from None
    require(callable(found), name, type(found).__name__, "something that can be called")
    return found


def _paragraph(result: Result) -> str:
    rows = [("required", f"{result.required} [{result.source}]"), ("found", result.found)]
    rows += [("likely", result.cause)] * bool(result.cause)
    lines = [f"{'pass' if result.passed else 'FAIL'}  {result.name}"]
    for label, text in rows:
        lines += textwrap.wrap(text, 100, initial_indent=f"      {label:9}", subsequent_indent=" " * 15)
    return "\n".join(lines)
