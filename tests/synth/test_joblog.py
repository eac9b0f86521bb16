"""The job log: whole lines only, one process at a time, nothing twice, and nothing lost when the process is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.synth import JobLog

RECORD = {"job": "a", "verdict": "accepted", "text": "ü\u2028"}


def test_records_come_back(tmp_path):
    with JobLog(tmp_path / "deep" / "log.jsonl") as log:
        log.append({"job": "a", "verdict": "refused"})
        log.append(RECORD)
        assert log.added == 2
    with JobLog(tmp_path / "deep" / "log.jsonl") as log:
        assert log.attempts("a") == [{"job": "a", "verdict": "refused"}, RECORD] and log.added == 0
        assert log.accepted("a") == RECORD and log.accepted("b") is None and log.attempts("b") == []


def test_an_accepted_job_takes_no_second_result(tmp_path):
    with JobLog(tmp_path / "log") as log:
        log.append(RECORD)
        with pytest.raises(ValueError, match="accepted result already"):
            log.append(RECORD)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(tmp_path, cut):
    path = tmp_path / "log"
    with JobLog(path) as log:
        log.append({"job": "before", "verdict": "accepted"})
        size = path.stat().st_size
        log.append(RECORD)
    os.truncate(path, size + cut)
    with JobLog(path) as log:
        assert log.accepted("before") and not log.accepted("a")
        log.append(RECORD)
    with JobLog(path) as log:
        assert log.accepted("a") == RECORD
    assert [json.loads(line)["job"] for line in path.read_text().split("\n")[:-1]] == ["before", "a"]


GOOD = '{"job": "a", "verdict": "accepted"}\n'


@pytest.mark.parametrize(
    "content", ["garbage\n", '{"job": 1}\n', "[]\n", f'{GOOD}\n{{"job"', "my only copy", f"{GOOD}a note", f'{GOOD}{{"jobs": ']
)
def test_a_file_that_is_no_log_is_left_alone(tmp_path, content):
    (tmp_path / "log").write_text(content)
    with pytest.raises(ValueError, match="line [12], is no record of a job"):
        JobLog(tmp_path / "log")
    assert (tmp_path / "log").read_text() == content


@pytest.mark.parametrize("tail", ['{"j', '{"job": "b", "verd', "\0\0\0", '{"job"\0\0'])
def test_what_a_cut_leaves_behind_is_recognised(tmp_path, tail):
    (tmp_path / "log").write_text(GOOD + tail)
    with JobLog(tmp_path / "log") as log:
        assert log.accepted("a")
    assert (tmp_path / "log").read_text() == GOOD


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    with JobLog(tmp_path / "log") as log:
        log.append({"verdict": "accepted", "job": "a"})
        write = os.write
        with monkeypatch.context() as patch:
            patch.setattr("os.write", lambda file, line: write(file, line[:9]))
            with pytest.raises(OSError, match="only 9 of"):
                log.append(RECORD | {"job": "b"})
        assert (tmp_path / "log").read_text() == GOOD and not log.accepted("b")
        log.append(RECORD | {"job": "b"})
    with JobLog(tmp_path / "log") as log:
        assert log.accepted("a") and log.accepted("b")


def test_a_second_process_is_refused_while_the_first_lives(tmp_path):
    other = "import sys; from kimi_mini.synth import JobLog; JobLog(sys.argv[1])"
    command = [sys.executable, "-c", other, str(tmp_path / "log")]
    with JobLog(tmp_path / "log"):
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 1 and "in use by another process" in run.stderr
    assert subprocess.run(command, cwd=ROOT).returncode == 0


WRITER = """
import sys
from kimi_mini.synth import JobLog
with JobLog(sys.argv[1]) as log:
    for number in range(100_000):
        if not log.accepted(str(number)):
            log.append({"job": str(number), "verdict": "accepted", "text": "x" * 5000})
            print(number, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_process_loses_nothing_that_it_had_reported(tmp_path, seed):
    reported = []
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            reported.append(int(process.stdout.readline()))
            time.sleep(random.Random(seed).uniform(0.01, 0.2))
            process.send_signal(signal.SIGKILL)
            reported += map(int, process.stdout.read().split(b"\n")[:-1])
    with JobLog(tmp_path / "log") as log:
        assert all(log.accepted(str(number)) for number in reported)
    assert reported == sorted(set(reported)), "nothing is done twice"
