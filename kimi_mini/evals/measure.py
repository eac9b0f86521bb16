"""Measuring: held-out problems, several answers to each, every answered problem in a log before the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..checks import is_int, is_number, require
from ..rl import Problem, Task
from ..rl.curriculum import held_out_problems
from ..rl.tasks import tasks
from ..synth import JobLog
from ..synth.joblog import ACCEPTED
from .estimate import average, pass_at_k
from .subjects import Attempt, Subject


@dataclass(frozen=True)
class Settings:
    """`problems` held-out problems of a benchmark, `samples` answers to each. Raises ValueError for what makes no sense."""

    problems: int = 64
    samples: int = 4
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("problems", 1), ("samples", 1), ("seed", 0)):
            require(is_int(getattr(self, name), low), name, getattr(self, name), f"an integer >= {low}")
        fine = is_number(self.temperature) and 0 <= self.temperature <= 2
        require(fine, "temperature", self.temperature, "a number from 0 to 2")


def benchmarks(names: Sequence[str]) -> dict[str, Task]:
    """The benchmarks of these names; all of them for "all". Raises ValueError for another name."""
    known = tasks()
    for name in names:
        require(name in known or name == "all", "benchmark", name, f"all, or one of {', '.join(known)}")
    return known if "all" in names else {name: known[name] for name in dict.fromkeys(names)}


def held_out(task: Task, count: int) -> list[Problem]:
    """The first `count` problems of a task, which training leaves alone, or all of them where it has fewer."""
    return held_out_problems(task, min(count, getattr(task, "size", None) or count))


def measure(
    subject: Subject,
    task: Task,
    settings: Settings,
    log: JobLog,
    progress: Callable[[int], object] = lambda count: None,
) -> dict[str, Any]:
    """Ask, mark, and sum up; a problem that is in the log is not asked again. JSON-ready. An answer cut off is not right.

    "average" is Avg@k over all samples, "pass_at" the pass@k for k = 1, 2, 4 ... up to the samples, each with its interval
    over problems; "parts" are the means of what the verifier looks at; "problems" has a row for each problem.
    """
    problems = held_out(task, settings.problems)
    for at in range(0, len(problems), subject.together):
        chunk = problems[at : at + subject.together]
        jobs = [_job(subject, problem, settings) for problem in chunk]
        missing = [place for place, job in enumerate(jobs) if log.accepted(job) is None]
        if missing:  # all of the chunk again: a draw depends on its neighbours
            seed = settings.seed * 100_000 + at
            made = subject.attempts(task, chunk, settings.samples, temperature=settings.temperature, seed=seed)
            for place in missing:
                log.append({"job": jobs[place], "verdict": ACCEPTED, "problem": chunk[place].id, **_record(made[place])})
        progress(len(chunk))
    return _summed(task, settings, [log.accepted(_job(subject, problem, settings)) for problem in problems])


def _job(subject: Subject, problem: Problem, settings: Settings) -> str:
    """A name of all that the answers depend on."""
    fixed = asdict(settings) | {"problems": None, "subject": subject.name, "problem": problem._asdict()}
    return f"{problem.task}-{hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]}"


def _record(attempts: Sequence[Attempt]) -> dict[str, Any]:
    return {"attempts": [one._asdict() for one in attempts]}


def _summed(task: Task, settings: Settings, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    attempts_PK = [record["attempts"] for record in records]
    every = [one for attempts in attempts_PK for one in attempts]
    right_P = [sum(one["reward"] == 1 and not one["truncated"] for one in attempts) for attempts in attempts_PK]
    samples = settings.samples
    ks = [k for k in (2**n for n in range(11)) if k < samples] + [samples]
    names = sorted({name for one in every for name in one["parts"]})
    parts = {name: [one["parts"][name] for one in every if name in one["parts"]] for name in names}
    return {
        "benchmark": task.name,
        "asked": len(records), "samples": samples, "temperature": settings.temperature, "seed": settings.seed,
        "average": average(right_P, samples)._asdict(),
        "pass_at": {str(k): pass_at_k(right_P, samples, k)._asdict() for k in ks},
        "tokens": {"mean": round(sum(one["tokens"] for one in every) / len(every), 1), "most": max(o["tokens"] for o in every)},
        "truncated": sum(one["truncated"] for one in every), "answers": len(every),
        "parts": {name: round(sum(values) / len(values), 4) for name, values in parts.items()},
        "problems": [
            {"id": record["problem"], "right": right} for record, right in zip(records, right_P, strict=True)
        ],
    }  # fmt: skip
