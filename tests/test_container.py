"""The container runner, with an engine of the test's own: its arguments are read, and it runs the code here."""

import json
import shutil
import stat
import subprocess
import sys

import pytest

from kimi_mini.sandbox import ContainerRunner, Limits, SandboxUnavailable, run

FAKE = """#!{python} -S
import json, os, subprocess, sys
log, box, state = {log!r}, {box!r}, {state!r}
with open(log, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "run":
    program = sys.argv.index("python")
    code, word = sys.argv[-2].replace("/box", box), sys.argv[-1]
    os.makedirs(box)
    print("WARNING: a warning of the engine", file=sys.stderr, flush=True)
    inside = subprocess.Popen([{python!r}, *sys.argv[program + 1 : -2], code, word])
    open(state + ".pid", "w").write(str(inside.pid))
    ended = inside.wait()
    with open(state, "w") as file:
        json.dump({{"ExitCode": 128 - ended if ended < 0 else ended, "OOMKilled": os.path.exists(box + "/oom")}}, file)
elif sys.argv[1] == "inspect":
    print(open(state).read())
elif sys.argv[1] == "rm" and not os.path.exists(state):
    os.kill(int(open(state + ".pid").read()), 9)
"""


@pytest.fixture
def engine(tmp_path):
    """A runner over the fake engine, and what the engine was asked so far."""
    log, path = tmp_path / "log", tmp_path / "docker"
    paths = {name: str(tmp_path / name) for name in ("log", "box", "state")}
    path.write_text(FAKE.format(python=sys.executable, **paths))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return ContainerRunner(engine=str(path)), lambda: [json.loads(line) for line in log.read_text().splitlines()]


def _value(arguments, option):
    return [arguments[at + 1] for at, name in enumerate(arguments) if name == option]


def test_the_code_its_files_and_its_input_arrive(engine):
    code = "import helper, sys; print(helper.x, open('a/b').read(), repr(sys.stdin.read())); print('e', file=sys.stderr)"
    outcome = run(code, stdin="né\n", files={"helper.py": b"x = 5", "a/b": b"text"}, runner=engine[0])
    assert outcome[:4] == ("ok", 0, "5 text 'né\\n'\n", "e\n") and outcome.seconds < 10


def test_every_limit_is_the_engines_argument(engine):
    limits = Limits(memory_bytes=100 << 20, processes=7, file_bytes=5 << 20, cpu_seconds=3)
    run("print(1)", limits=limits, runner=engine[0])
    asked = engine[1]()
    first = asked[0][: asked[0].index("python:3.12-slim")]
    assert asked[0][0] == "run" and {"--read-only", "--interactive", "--init"} <= set(first)
    expected = {"--network": ["none"], "--memory": [str(100 << 20)], "--memory-swap": [str(100 << 20)], "--pids-limit": ["7"]}
    expected |= {"--cpus": ["1.0"], "--cap-drop": ["ALL"], "--security-opt": ["no-new-privileges"], "--pull": ["never"]}
    expected |= {"--user": ["65534:65534"], "--ulimit": ["cpu=3:4", f"fsize={5 << 20}", "nofile=256", "core=0"]}
    assert {option: _value(first, option) for option in expected} == expected
    assert all(f"size={5 << 20}" in mount for mount in _value(first, "--tmpfs")) and not {
        "-v",
        "--volume",
        "--privileged",
    } & set(first)


def test_a_run_ends_with_its_container_removed(engine):
    runner, asked = engine
    assert run("import sys; sys.exit(3)", runner=runner)[:2] == ("error", 3)
    name = _value(asked()[0], "--name")[0]
    assert asked()[-1] == ["rm", "--force", name]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os.kill(os.getpid(), 9)", ("killed", -9)),
        ("while True: pass", ("timeout", None)),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", ("timeout", None)),
        ("raise MemoryError", ("memory", 1)),
        ("open('oom', 'w')", ("memory", None)),
    ],
)
def test_ends_are_told_apart(engine, code, expected):
    outcome = run(code, runner=engine[0], limits=Limits(seconds=1, output_bytes=1000, cpu_seconds=5))
    assert outcome[:2] == expected and len(outcome.stdout) <= 1000
    assert engine[1]()[-1][0] == "rm"


def test_an_engine_that_fails_is_no_outcome(tmp_path):
    broken = tmp_path / "docker"
    broken.write_text("#!/bin/sh\necho 'no such image' >&2\nexit 125\n")
    broken.chmod(0o755)
    with pytest.raises(SandboxUnavailable, match="did not start a container of python:3.12-slim: no such image"):
        run("print(1)", runner=ContainerRunner(engine=str(broken)))
    with pytest.raises(SandboxUnavailable, match="there is no program 'no-such-engine'"):
        run("print(1)", runner=ContainerRunner(engine="no-such-engine"))


def test_a_runner_brings_its_own_packages():
    with pytest.raises(ValueError, match="packages"):
        run("", packages=("torch",), runner=ContainerRunner())
    with pytest.raises(ValueError, match="image"):
        ContainerRunner(image="--privileged")


def test_in_a_real_engine():
    """Skipped where there is none, or where it lacks the image."""
    found = next((name for name in ("docker", "podman") if shutil.which(name)), None)
    image = ContainerRunner().image
    if found is None or subprocess.run([found, "image", "inspect", image], capture_output=True, timeout=30).returncode != 0:
        pytest.skip(f"no container engine with {image}")
    runner = ContainerRunner(engine=found)
    assert run("print(input())", stdin="hello", runner=runner)[:3] == ("ok", 0, "hello\n")
    assert run("open('/etc/x', 'w')", runner=runner).status == "error"
    assert run("import socket; socket.create_connection(('1.1.1.1', 80), 2)", runner=runner).status == "error"
