"""The pipeline: documents times versions, chunk by chunk, each chunk checked, every attempt logged, the accepted ones written.

A chunk is a job. Its name is a digest of all that goes into it (text, previous output, prompt, writer, settings), so a repeated
run does what is missing and a changed document or setting is a new job. A version with a chunk that no attempt got past the
check is left out whole.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ..checks import is_int, require
from ..whole import write_whole
from .chunks import CHUNK_TOKENS, Count, count_words, rewrite_document
from .endpoint import Endpoint, EndpointError, Messages
from .fidelity import Problem, check, judge
from .joblog import ACCEPTED, FAILED, REFUSED, JobLog
from .prompts import Prompt, prompts


@dataclass(frozen=True)
class Settings:
    """How a run rewrites: `versions` of each document, chunks of `size`, `attempts` at a chunk, `workers` at a time."""

    versions: int = 1
    size: int = CHUNK_TOKENS
    attempts: int = 3
    temperature: float = 0.8
    seed: int = 0
    workers: int = 4

    def __post_init__(self) -> None:
        for name in ("versions", "size", "attempts", "workers"):
            require(is_int(getattr(self, name), 1), name, getattr(self, name), "an integer >= 1")
        require(0 <= self.temperature <= 2, "temperature", self.temperature, "a number from 0 to 2")


@dataclass(frozen=True)
class Summary:
    """What a run came to: versions accepted, refused and left undone, attempts in this run, why the endpoint gave up."""

    accepted: int
    refused: int
    undone: int
    attempts: int
    reasons: tuple[str, ...]


class _Refused(Exception):
    """No attempt at a chunk was accepted."""


class _Stopped(Exception):
    """The run ends; what is begun is left for the next."""


_EXPECTED = (_Refused, _Stopped, EndpointError, type(None))


class _Run:
    """One call of `rephrase`: what its threads share."""

    def __init__(self, log: JobLog, endpoint: Endpoint, judge_by: Endpoint | None, settings: Settings, count: Count) -> None:
        self.log, self.endpoint, self.judge_by, self.settings, self.count = log, endpoint, judge_by, settings, count
        self.stop = threading.Event()

    def version(self, name: str, text: str, version: int, prompt: Prompt) -> dict:
        """The output record of one version of one document."""
        jobs: list[str] = []

        def rewrite(chunk: str, previous: str) -> str:
            record = self.chunk({"document": name, "version": version, "chunk": len(jobs)}, prompt, chunk, previous)
            jobs.append(record["job"])
            return record["text"]

        written = rewrite_document(text, rewrite, self.settings.size, self.count)
        return {"text": written, "document": name, "version": version, "prompt": prompt.id, "writer": self.endpoint.name,
                "seed": self.settings.seed, "source": _digest(text), "jobs": jobs}  # fmt: skip

    def chunk(self, place: dict, prompt: Prompt, chunk: str, previous: str) -> dict:
        """The accepted record of one chunk, from the log or from new attempts."""
        settings, messages = self.settings, prompt.messages(chunk, previous)
        judged_by = self.judge_by.name if self.judge_by else None
        job = _digest([place, messages, self.endpoint.name, judged_by, settings.temperature, settings.seed])
        done = self.log.accepted(job)
        if done:
            return done
        before = sum(record["verdict"] == REFUSED for record in self.log.attempts(job))
        for attempt in range(before, settings.attempts):
            if self.stop.is_set():
                raise _Stopped
            record = self.attempt({"job": job, **place, "prompt": prompt.id}, attempt, messages, chunk, previous)
            self.log.append(record)
            if record["verdict"] == ACCEPTED:
                return record
        raise _Refused

    def attempt(self, about: dict, attempt: int, messages: Messages, chunk: str, previous: str) -> dict:
        """One request and its verdict, as a record; a request without answer is recorded and raises."""
        seed = self.settings.seed + attempt + 1000 * about["version"]
        about = {**about, "writer": self.endpoint.name, "attempt": attempt, "seed": seed}
        try:
            answer = self.endpoint.complete(
                messages, seed=seed, max_tokens=_max_tokens(chunk), temperature=self.settings.temperature
            )
            text = answer.text.strip()
            cut = (Problem("cut", "the answer was cut off"),) if answer.finish in ("length", "content_filter") else ()
            problems = cut or check(chunk, text, previous)
            if self.judge_by and not problems:
                problems = judge(self.judge_by, chunk, text, seed)
        except EndpointError as error:
            if not error.only_this:  # an endpoint has patience of its own; when that is at an end, asking on is no use
                self.stop.set()
            self.log.append({**about, "verdict": FAILED, "error": str(error)})
            raise
        told = [f"{problem.kind}: {problem.detail}" for problem in problems]
        return {**about, "model": answer.model, "tries": answer.tries, "verdict": REFUSED if told else ACCEPTED,
                "problems": told, "judge": self.judge_by.name if self.judge_by else None, "text": text}  # fmt: skip


def rephrase(
    documents: dict[str, str],
    endpoint: Endpoint,
    log_path: Path | str,
    out_path: Path | str,
    settings: Settings | None = None,
    *,
    judge_by: Endpoint | None = None,
    count: Count = count_words,
    progress: Callable[[], None] = lambda: None,
) -> Summary:
    """Rewrite each of `documents` (name: text) in `settings.versions` ways; `out_path` gets the accepted ones as JSON lines.

    Whatever the log holds already is not asked for again, so a run that was stopped goes on when it is repeated. `progress` is
    called after each version. An endpoint that gives up ends the run, one that refuses a single request only loses that
    version; what was accepted is written, what is undone is left to the next run.
    """
    settings = settings or Settings()
    tasks = [(name, text, v, p) for name, text in documents.items() for v, p in enumerate(prompts(settings.versions))]
    with JobLog(log_path) as log, ThreadPoolExecutor(settings.workers) as pool:
        run = _Run(log, endpoint, judge_by, settings, count)
        futures = [pool.submit(run.version, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                if not isinstance(future.exception(), _EXPECTED):
                    run.stop.set()
                progress()
        finally:
            run.stop.set()  # the requests under way end, no new ones begin, and what the log holds is still read
            pool.shutdown()
            failures = [future.exception() for future in futures]
            results = [future.result() for future, failure in zip(futures, failures, strict=True) if not failure]
            lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in results]
            write_whole(Path(out_path), "".join(lines).encode())
    unexpected = [failure for failure in failures if not isinstance(failure, _EXPECTED)]
    if unexpected:
        raise unexpected[0]
    refused = sum(isinstance(failure, _Refused) for failure in failures)
    reasons = dict.fromkeys(str(failure) for failure in failures if isinstance(failure, EndpointError))
    return Summary(len(results), refused, len(tasks) - len(results) - refused, log.added, tuple(reasons))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


def _max_tokens(chunk: str) -> int:
    """Room for a longer wording in a tokenizer that is not known here."""
    return 64 + 3 * max(len(chunk.split()), len(chunk) // 4)
