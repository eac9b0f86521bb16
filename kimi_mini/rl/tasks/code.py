"""Code with unit tests: the answer is run in the sandbox, and only there.

Nothing that is run knows what is right. The sandbox gets the code and the calls' arguments and says what came back; results
are compared out here, so there is no verdict to forge, no checker to patch and no expected value to read. All calls of one
answer share one sandbox, each result its own line, so that an answer which hangs on the fourth call has three results.
"""

from __future__ import annotations

import ast
import json
import re
from functools import lru_cache
from typing import Any

from ...checks import is_int, require
from ...sandbox import Limits, run
from ..types import Problem, Score
from .code_lines import line_problem
from .code_problems import PROBLEMS
from .marking import marked, readable

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
_HARNESS = """
import copy, json, os, sys
out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
os.dup2(2, 1)  # what the answer prints is no result
with open("calls.json", encoding="utf-8") as file:
    name, calls = json.load(file)
with open("answer.py", encoding="utf-8") as file:
    source = file.read()
space = {"__name__": "answer"}
exec(compile(source, "answer.py", "exec"), space)
for arguments in calls:
    try:
        line = json.dumps({"value": space[name](*arguments)})
    except Exception as error:
        line = json.dumps({"raised": type(error).__name__})
    out.write(line + "\\n")
    out.flush()
"""


class Code:
    """Functions with hidden tests. `real`: hand-written problems for an endpoint; otherwise one-line functions, for MINI."""

    def __init__(self, real: bool = False, seconds: float = 2.0, budget: int | None = None) -> None:
        require(budget is None or is_int(budget, 1), "budget", budget, "an integer >= 1")
        self.real, self.name = real, "code" if real else "code-lines"
        self.size = len(PROBLEMS) if real else None  # different problems, where they are few
        self.budget = budget or (1024 if real else 64)
        self.limits = Limits(seconds=seconds, cpu_seconds=2, memory_bytes=256 << 20, output_bytes=1 << 16, processes=4)

    def problem(self, seed: int) -> Problem:
        drawn = PROBLEMS[seed % len(PROBLEMS)] if self.real else line_problem(seed)
        question = {"role": "user", "content": drawn.statement}
        return Problem(self.name, f"{self.name}-{drawn.name}", (question,), drawn._asdict(), budget=self.budget)

    def score(self, problem: Problem, text: str) -> Score:
        """Parts: it can be read as Python, the share of right results, and that it ended by itself."""
        data, code = problem.data, source_of(text)
        if code is None:
            return marked({"code": 0.0, "results": 0.0, "ended": 0.0})
        ended, results = results_of(code, data["function"], json.dumps(data["calls"]), self.limits)
        right = [same(result, wanted) for result, wanted in zip(results, data["results"], strict=False)]
        whole = len(results) == len(data["results"])
        return marked({"code": 1.0, "results": sum(right) / len(data["results"]), "ended": float(ended and whole)})

    def gold(self, problem: Problem) -> str:
        return problem.data["gold"]

    def wrong(self, problem: Problem) -> str:
        return problem.data["wrong"]


def source_of(text: str) -> str | None:
    """The code of an answer: its one fenced block, or all of it; None where that is no Python or defines no function."""
    if not readable(text):
        return None
    blocks = _FENCE.findall(text)
    code = blocks[0] if len(blocks) == 1 else text
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return code if any(isinstance(node, ast.FunctionDef) for node in tree.body) else None


@lru_cache(maxsize=4096)
def results_of(code: str, function: str, calls: str, limits: Limits) -> tuple[bool, tuple[Any, ...]]:
    """Whether the code ended by itself, and what each call returned, as far as that came; {} for what is no result."""
    files = {"answer.py": code.encode(), "calls.json": f"[{json.dumps(function)}, {calls}]".encode()}
    outcome = run(_HARNESS, files=files, limits=limits)
    lines = outcome.stdout.split("\n")[:-1]  # the last piece is what no line break ended
    return outcome.status == "ok", tuple(_result(line) for line in lines[:1000])


def _result(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return {}


def same(result: Any, wanted: Any) -> bool:
    """Whether a line of the sandbox holds the wanted value, as JSON: 1, 1.0 and true are three different values."""
    try:
        return isinstance(result, dict) and json.dumps(result, sort_keys=True) == json.dumps({"value": wanted}, sort_keys=True)
    except RecursionError:
        return False
