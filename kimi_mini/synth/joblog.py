"""An append-only log of jobs: every attempt is a line of JSON that is on the disk before it counts.

A process killed at any moment loses at most the attempt it was in. A last line that was torn is dropped when the log is opened
again; a broken line before it is an error, for then somebody else wrote here. A lock keeps a second process out; it ends with
the process that holds it, however that ends.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

_BEGIN = b'{"job": '
ACCEPTED, REFUSED, FAILED = "accepted", "refused", "failed"


class JobLog:
    """The attempts at each job. `with JobLog(path) as log:` locks, reads what is there, and appends; safe between threads."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock_file()
            self._attempts = self._read()
        except BaseException:
            os.close(self._file)
            raise
        self._thread_lock = threading.Lock()
        self.added = 0  # records since it was opened

    def __enter__(self) -> JobLog:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)  # and with it the lock

    def attempts(self, job: str) -> list[dict]:
        """The records of `job`, in order."""
        return list(self._attempts.get(job, ()))

    def accepted(self, job: str) -> dict | None:
        """The accepted record of `job`, if there is one."""
        return next((record for record in self._attempts.get(job, ()) if record["verdict"] == ACCEPTED), None)

    def append(self, record: dict) -> None:
        """Add an attempt: `record` has at least "job" and "verdict". It is on the disk when this returns."""
        line = json.dumps({"job": record["job"], **record}, ensure_ascii=False).encode() + b"\n"
        with self._thread_lock:
            if self.accepted(record["job"]):
                raise ValueError(f"job {record['job']} has an accepted result already")
            end = os.fstat(self._file).st_size
            try:
                written = os.write(self._file, line)
                if written < len(line):
                    raise OSError(f"{self.path}: only {written} of {len(line)} bytes were written; is the disk full?")
                os.fsync(self._file)
            except BaseException:
                os.ftruncate(self._file, end)
                raise
            self._attempts.setdefault(record["job"], []).append(record)
            self.added += 1

    def _lock_file(self) -> None:
        import fcntl  # Linux and macOS; only here, so that the rest of the part can be used elsewhere

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{self.path} is in use by another process; wait for it, or give this one a log of its own") from None

    def _read(self) -> dict[str, list[dict]]:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        found: dict[str, list[dict]] = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                found.setdefault(record["job"], []).append(record)
                record["verdict"]
            except (ValueError, KeyError, TypeError):
                raise self._no_log(number) from None
        if len(whole) < len(content):
            torn = content[len(whole) :].rstrip(b"\0")  # some file systems leave zeros after a power cut
            if torn[: len(_BEGIN)] != _BEGIN[: len(torn)]:
                raise self._no_log(whole.count(b"\n") + 1)  # somebody's file, named by mistake: not one byte of it is touched
            os.ftruncate(self._file, len(whole))
        return found

    def _no_log(self, number: int) -> ValueError:
        return ValueError(f"{self.path}, line {number}, is no record of a job; this file is not such a log")
