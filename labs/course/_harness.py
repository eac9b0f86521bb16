"""The inside of grading: sent into the sandbox as its program. It takes job.json, and prints what a hand-in's functions do.

Nothing of the hand-in runs in this process: per exercise a child defines its functions and calls one of them, within a time of
its own. The child writes to a pipe; what the hand-in prints goes nowhere. No right outcome is in here to be found.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a fork is safe while there is one thread
os.environ["TRITON_INTERPRET"] = "1"  # before triton: there is no GPU in here

import ast
import contextlib
import json
import resource
import select
import signal
import time

from kimi_mini.labs import attempt
from kimi_mini.labs.source import remember

MAX_BYTES = 2 << 20  # that one exercise may say
MEMORY = 2 << 30  # bytes that one exercise may hold; below what ends the whole run
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def definitions(cells: list[str]) -> tuple[list[tuple[int, ast.stmt]], list[list]]:
    """Statements that define something without running anything, with their cell's number; and cells that do not parse."""
    kept, broken = [], []
    for number, source in enumerate(cells, 1):
        lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
        remember("\n".join(lines), _file(number))
        try:
            body = ast.parse("\n".join(lines)).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            broken.append([number, type(error).__name__])
            continue
        kept += [(number, node) for node in body if isinstance(node, DEFINITIONS) or _is_plain_assignment(node)]
    return kept, broken


def _file(number: int) -> str:
    return f"<cell {number}>"


def _is_plain_assignment(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Assign, ast.AnnAssign)) and not _calls(node)


def _calls(node: ast.AST) -> bool:
    """Whether evaluating a node calls anything; the body of a lambda is not evaluated."""
    if isinstance(node, (ast.Call, ast.Await)):
        return True
    return not isinstance(node, ast.Lambda) and any(map(_calls, ast.iter_child_nodes(node)))


def _bound(node: ast.stmt) -> set[str]:
    """Names that a definition gives a value."""
    targets = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return targets if isinstance(node, (ast.Assign, ast.AnnAssign)) else {getattr(node, "name", "")}


def _work(kept: list[tuple[int, ast.stmt]], exercise: dict, pipe: int) -> None:
    """In the child: one line of JSON for what could not be defined, then one per case."""
    names, failed = {"__name__": "__main__"}, []
    last = max((number for number, node in kept if exercise["function"] in _bound(node)), default=0)
    for number, node in kept:
        before = dict(names) if number > last else {}
        try:
            exec(compile(ast.Module([node], []), _file(number), "exec"), names)
        except (Exception, SystemExit) as error:
            failed.append([number, type(error).__name__])
        names |= before  # a helper of the same name, for a later exercise, does not take an earlier one's place
    function = names.get(exercise["function"])
    _say(pipe, {"defined": callable(function), "failed": failed})
    if callable(function):
        for case in exercise["cases"]:
            outcome = attempt(function, case)
            outcome.pop("line", None)
            _say(pipe, outcome)


def _say(pipe: int, content: dict) -> None:
    data = json.dumps(content).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


def _watch(kept: list[tuple[int, ast.stmt]], exercise: dict, seconds: float, out: int) -> dict:
    """Fork, listen until the pipe closes, the time is over or too much was said; then end every process but this one."""
    deadline = time.monotonic() + seconds
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(out)
            os.close(reading)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            _work(kept, exercise, writing)
        finally:
            os._exit(0)
    os.close(writing)
    said, end = bytearray(), "timeout"
    while (left := deadline - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        chunk = os.read(reading, 1 << 16)
        said += chunk
        if not chunk or len(said) > MAX_BYTES:
            end = "flood" if chunk else "end"
            break
    os.close(reading)
    for _ in range(100):  # a fork bomb needs more than one round
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
        try:
            os.kill(-1, signal.SIGKILL)
        except OSError:
            break  # nobody is left
        time.sleep(0.01)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    return {"end": end, "said": said[:MAX_BYTES].decode(errors="replace")}


def main() -> None:
    """Read the job, go through its exercises, print one JSON document."""
    with open("job.json", encoding="utf-8") as file:
        job = json.load(file)
    os.unlink("job.json")
    out = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    if any(case["largest"] is not None for each in job["exercises"] for case in each["cases"]):
        import torch._dynamo  # noqa: F401 - what attempt() needs for these cases; here once, in place of in every child
    kept, broken = definitions(job["cells"])
    exercises = {each["function"]: _watch(kept, each, job["seconds"], out) for each in job["exercises"]}
    _say(out, {"broken": broken, "exercises": exercises})


if __name__ == "__main__":
    main()
