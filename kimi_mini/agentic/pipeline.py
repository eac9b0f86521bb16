"""Many runs at a time, each logged once, judged, filtered, and kept as JSON lines.

A run is a job of `synth.JobLog`: its name is a digest of all that goes into it, so the same call again makes what is missing
and nothing twice, however the last one ended. Whatever an agent does ends in a record; only a server without an answer leaves
none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..checks import is_int, require
from ..corpus import load_tokenizer
from ..corpus.draw import Draw
from ..synth import Endpoint, EndpointError, JobLog
from ..synth.joblog import ACCEPTED, FAILED
from ..tools import OUTCOMES
from ..whole import write_whole
from .agents import AgentSpec, draw_agent
from .filters import Funnel, count_tokens, keep
from .judge import judge
from .players import Player
from .records import record_of
from .runner import Limits, play
from .task import AgentTask
from .tasks import KINDS, draw_task
from .users import PERSONAS, Persona, User


@dataclass(frozen=True)
class Settings:
    """What is made: `count` runs in `worlds` by turns, `at_once` at a time. `rates` are those of `tools.Unreliable`. An agent
    has up to `spare` tools that its task does not need. Runs of more than `longest` tokens are not kept."""

    count: int
    worlds: tuple[str, ...] = tuple(KINDS)
    seed: int = 0
    at_once: int = 4
    rates: dict[str, float] = field(default_factory=lambda: {"error": 0.05, "partial": 0.03, "malformed": 0.02})
    spare: int = 2
    longest: int = 2048
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        for name, low in {"count": 1, "at_once": 1, "longest": 1, "seed": 0, "spare": 0}.items():
            require(is_int(getattr(self, name), low), name, getattr(self, name), f"an integer >= {low}")
        known = bool(self.worlds) and all(world in KINDS for world in self.worlds)
        require(known, "worlds", self.worlds, f"at least one of {', '.join(KINDS)}")
        require(set(self.rates) <= set(OUTCOMES[1:]), "rates", self.rates, f"rates of {', '.join(OUTCOMES[1:])}")


class Summary(NamedTuple):
    """What became of the runs: `undone` have no record and `reasons` say why, `added` were made in this call."""

    funnel: Funnel
    undone: int
    added: int
    reasons: tuple[str, ...]


class _Stopped(Exception):
    """The call ends; what is not begun is left for the next."""


class _Job(NamedTuple):
    """One run to be, and the name of its records in the log."""

    id: str
    task: AgentTask
    spec: AgentSpec
    persona: Persona
    seed: int


def collect(
    player: Player,
    user: User,
    log_path: Path | str,
    out_path: Path | str,
    settings: Settings,
    *,
    judge_by: Endpoint | None = None,
    progress: Callable[[], Any] = lambda: None,
) -> Summary:
    """Make `settings.count` runs, judge and filter them; `out_path` gets the kept ones as JSON lines, `log_path` has them all.

    `progress` is called after each run. A server that gives up ends the call: what is in the log stays, what is kept so far is
    written, and the next call goes on.
    """
    with JobLog(log_path) as log:
        run = _Run(log, player, user, judge_by, settings)
        found = asyncio.run(run.all(progress))
        records = [one for one in found if isinstance(one, dict)]
        tokenizer = load_tokenizer()
        kept, funnel = keep(records, lambda record: count_tokens(record, tokenizer), settings.longest)
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in kept]
        write_whole(Path(out_path), "".join(lines).encode())
    unexpected = [one for one in found if isinstance(one, BaseException) and not isinstance(one, _Stopped | EndpointError)]
    if unexpected:
        raise unexpected[0]
    reasons = dict.fromkeys(str(one) for one in found if isinstance(one, EndpointError))
    return Summary(funnel, settings.count - len(records), log.added, tuple(reasons))


class _Run:
    """One call of `collect`: what its threads share."""

    def __init__(self, log: JobLog, player: Player, user: User, judge_by: Endpoint | None, settings: Settings) -> None:
        self.log, self.player, self.user, self.judge_by, self.settings = log, player, user, judge_by, settings
        self.judged_by = judge_by.name if judge_by else "programmatic"
        self.stop = threading.Event()

    async def all(self, progress: Callable[[], Any]) -> list[dict[str, Any] | BaseException]:
        """Every record or what came in its place, in order; at most `at_once` runs are under way."""
        gate, loop = asyncio.Semaphore(self.settings.at_once), asyncio.get_running_loop()

        async def one(number: int) -> dict[str, Any]:
            async with gate:
                try:
                    return await loop.run_in_executor(pool, self.one, number)
                finally:
                    progress()

        with ThreadPoolExecutor(self.settings.at_once) as pool:
            try:
                return await asyncio.gather(*map(one, range(self.settings.count)), return_exceptions=True)
            finally:
                self.stop.set()

    def one(self, number: int) -> dict[str, Any]:
        """The record of one run, from the log or made now."""
        if self.stop.is_set():
            raise _Stopped
        job = self.job(number)
        done = self.log.accepted(job.id)
        if done is None:
            done = self.made(job)
            self.log.append(done)
        return {name: value for name, value in done.items() if name not in ("job", "verdict")} | {"id": job.id}

    def job(self, number: int) -> _Job:
        settings = self.settings
        draw = Draw("run", settings.seed, number)
        task = draw_task(settings.worlds[number % len(settings.worlds)], draw.number(0, 10**9))
        seed, persona = draw.number(0, 10**9), draw.one(PERSONAS)
        spec = draw_agent(task, seed, settings.spare)
        made_of = [
            number, task.id, task.wish, spec, persona, self.player.name, self.user.name, self.judged_by, settings.rates,
            settings.limits, seed,
        ]  # fmt: skip
        return _Job(hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16], task, spec, persona, seed)

    def made(self, job: _Job) -> dict[str, Any]:
        """Play and judge; a server that gives up is put into the log, stops the call, and raises."""
        about = {
            "played_by": self.player.named(job.task, job.seed), "user_by": self.user.name, "judged_by": self.judged_by,
            "programmatic": self.player.programmatic and self.user.programmatic, "persona": job.persona.name, "seed": job.seed,
        }  # fmt: skip
        settings = self.settings
        try:
            run = play(
                job.task, job.spec, self.player, self.user, job.persona, seed=job.seed, rates=settings.rates,
                limits=settings.limits,
            )  # fmt: skip
            items = judge(job.task, run, self.judge_by, job.seed)
        except EndpointError as error:
            if not error.only_this:
                self.stop.set()
            self.log.append({"job": job.id, "verdict": FAILED, **about, "error": str(error)})
            raise
        return {"job": job.id, "verdict": ACCEPTED, **record_of(job.task, job.spec, run, items, about)}
