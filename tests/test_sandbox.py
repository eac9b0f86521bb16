"""What a program in the sandbox may do, what it may not, and that nothing of it stays."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.sandbox import Limits, SandboxUnavailable, run, sandbox

MIB = 1 << 20


@pytest.fixture
def isolated():
    """Tests that ask for it run code; where that is refused they are skipped, with what is missing as the reason."""
    try:
        run("")
    except SandboxUnavailable as error:
        if _unshare_works():
            raise  # the machine allows it, so the fault is ours
        pytest.skip(str(error))


def _unshare_works():
    """Whether the system's own tool gets the namespaces and a file system in them."""
    tool = shutil.which("unshare")
    options = ["--map-root-user"] * (os.geteuid() != 0) + ["--pid", "--net", "--mount", "--fork"]
    command = [tool, *options, "mount", "-t", "tmpfs", "none", "/mnt"]
    return tool is not None and subprocess.run(command, capture_output=True).returncode == 0


pytestmark = pytest.mark.usefixtures("isolated")


def _prints(code: str, **options) -> str:
    """What `code` prints; it must end well."""
    outcome = run(code, **options)
    assert outcome.status == "ok" and outcome.returncode == 0, outcome
    return outcome.stdout.strip()


def _alive(marker: str) -> list[str]:
    """Processes of this machine with `marker` among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def _until(condition, seconds=5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


# --- what comes back --------------------------------------------------------------------------------------------------


def test_prints_come_back_from_both_streams():
    outcome = run("import sys; print('out ü'); print('err', file=sys.stderr)")
    assert outcome[:4] == ("ok", 0, "out ü\n", "err\n") and 0 < outcome.seconds < 5


def test_an_exception_is_an_error_with_its_traceback():
    outcome = run("x = 1\nraise KeyError('lost')\n")
    assert (outcome.status, outcome.returncode) == ("error", 1)
    assert 'main.py", line 2' in outcome.stderr and outcome.stderr.endswith("KeyError: 'lost'\n")


def test_the_exit_code_and_the_signal_are_told_apart():
    assert run("import sys; sys.exit(7)")[:2] == ("error", 7)
    assert run("import os; os.kill(os.getpid(), 9)")[:2] == ("killed", -9)


def test_standard_input_is_delivered_whole_and_ends():
    assert _prints("import sys; print(len(sys.stdin.read()))", stdin="x" * MIB) == str(MIB)
    assert _prints("import sys; print(repr(sys.stdin.read()))") == "''"


def test_files_are_delivered_and_can_be_imported_and_changed():
    code = "import helper, pathlib; p = pathlib.Path('a/b/c.bin'); print(helper.x, p.read_bytes()); p.write_text('new')"
    assert _prints(code, files={"helper.py": b"x = 5", "a/b/c.bin": b"\0\xff"}) == r"5 b'\x00\xff'"


def test_named_packages_can_be_imported_and_others_cannot():
    assert run("import numpy").stderr.endswith("ModuleNotFoundError: No module named 'numpy'\n")
    code = "import torch, kimi_mini; print(kimi_mini.NANO.hidden_size, int(torch.ones(3).sum()))"
    assert _prints(code, packages=("kimi_mini", "torch"), limits=Limits(seconds=60, cpu_seconds=60)).endswith(" 3")


# --- limits -----------------------------------------------------------------------------------------------------------


def test_an_endless_loop_times_out():
    outcome = run("print('began', flush=True)\nwhile True: pass", limits=Limits(seconds=1))
    assert outcome[:3] == ("timeout", None, "began\n") and 1 <= outcome.seconds < 2


def test_a_sleeper_that_ignores_signals_times_out():
    code = "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)"
    assert run(code, limits=Limits(seconds=0.5)).status == "timeout"


def test_processor_time_has_its_own_limit():
    outcome = run("while True: pass", limits=Limits(seconds=20, cpu_seconds=1))
    assert outcome[:2] == ("timeout", -signal.SIGXCPU)


def test_a_fork_bomb_costs_only_itself():
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    limits, ended = Limits(seconds=2, processes=20), []
    thread = threading.Thread(target=lambda: ended.append(run(bomb, limits=limits)))
    thread.start()
    time.sleep(0.5)
    assert _prints("import os\nif os.fork(): os.wait(); print('fine')", limits=Limits(processes=20)) == "fine"
    thread.join()
    assert ended[0].status == "timeout" and ended[0].seconds < 5


def test_processes_are_counted():
    code = (
        "import os, time\nn = 0\ntry:\n    while n < 50:\n        if not os.fork(): time.sleep(9)\n"
        "        n += 1\nfinally: print(n)"
    )
    outcome = run(code, limits=Limits(processes=12))
    if os.geteuid() != 0 and outcome.stdout.strip() != "11":
        pytest.skip("without root, the limit also counts the user's other processes in the namespace")
    assert outcome.stdout.strip() == "11" and "BlockingIOError" in outcome.stderr


def test_one_process_gets_no_more_memory_than_allowed():
    assert run("x = bytearray(300 << 20)", limits=Limits(memory_bytes=200 * MIB))[:2] == ("memory", 1)
    assert run("x = bytearray(300 << 20)", limits=Limits(memory_bytes=400 * MIB)).status == "ok"


def test_all_processes_together_get_no_more_memory_than_allowed():
    code = "import os, time\nfor _ in range(4): os.fork()\nx = b'x' * (60 << 20)\ntime.sleep(9)"
    assert run(code, limits=Limits(memory_bytes=200 * MIB))[:2] == ("memory", None)


def test_endless_output_is_capped_on_both_streams():
    code = "import os\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"
    outcome = run(code, limits=Limits(seconds=1, output_bytes=1000))
    assert outcome[:4] == ("timeout", None, "x" * 1000, "y" * 1000)


@pytest.mark.parametrize("folder", ["", "/tmp/", "/dev/shm/"])
def test_files_fill_no_more_than_allowed(folder):
    code = f"for i in range(9): open('{folder}f%d' % i, 'wb').write(bytes(1 << 20))"
    outcome = run(code, limits=Limits(file_bytes=4 * MIB))
    assert outcome.status == "error" and "No space left on device" in outcome.stderr


# --- walls ------------------------------------------------------------------------------------------------------------


def test_there_is_no_network_not_even_to_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
        subprocess.run([sys.executable, "-c", code], check=True)  # outside, it connects
        outcome = run(code)
    assert outcome.status == "error" and "OSError: [Errno 101] Network is unreachable" in outcome.stderr


@pytest.mark.parametrize("folder", [ROOT, Path.home(), Path("/"), Path(sys.base_prefix), Path("/usr")], ids=str)
def test_nothing_can_be_written_outside_its_own_folder(folder):
    target = folder / f"sandbox-{secrets.token_hex(4)}"
    try:
        outcome = run(f"open({str(target)!r}, 'w')")
        assert outcome.status == "error" and not target.exists()
    finally:
        target.unlink(missing_ok=True)


def test_the_repository_can_be_read_only_as_far_as_named():
    code = f"import os; print(os.path.exists({str(ROOT / 'tests')!r}), os.path.exists({str(ROOT / 'kimi_mini')!r}))"
    assert _prints(code) == "False False"
    assert _prints(code, packages=("kimi_mini",)) == "False True"


def test_a_named_package_cannot_be_changed():
    target = ROOT / "kimi_mini" / f"sandbox-{secrets.token_hex(4)}"
    outcome = run(f"open({str(target)!r}, 'w')", packages=("kimi_mini",))
    assert outcome.status == "error" and not target.exists()


def test_other_processes_cannot_be_seen_or_killed():
    with subprocess.Popen(["sleep", "60"]) as other:
        code = f"import os\nprint(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))\nos.kill({other.pid}, 9)"
        outcome = run(code)
        assert other.poll() is None
        other.kill()
    assert outcome.stdout == "[1, 2]\n" and "ProcessLookupError" in outcome.stderr


def test_its_keeper_cannot_be_killed_read_or_traced():
    code = (
        "import os, signal\ntry: os.kill(1, signal.SIGKILL)\nexcept PermissionError: pass\n"
        "for name in ('mem', 'environ', 'fd', 'root'):\n"
        "    try: (open if name in ('mem', 'environ') else os.listdir)('/proc/1/' + name); print(name)\n"
        "    except PermissionError: pass"
    )
    assert _prints(code) == ""


def test_it_has_no_privilege_and_can_get_none():
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "print([libc.unshare(flag) for flag in (0x10000000, 0x20000)], libc.mount(b'none', b'/box', b'tmpfs', 0, None))\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('Cap', 'NoNewPrivs'))])"
    )
    assert _prints(code) == f"[-1, -1] -1\n{['0' * 16] * 5 + ['1']}"


def test_the_environment_and_open_files_of_the_caller_stay_outside(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with open(__file__) as file:
        os.set_inheritable(file.fileno(), True)
        code = "import os; print(sorted(os.environ), os.listdir('/proc/self/fd'))"
        assert _prints(code) == "['HOME', 'LANG', 'PATH', 'PYTHONPATH'] ['0', '1', '2', '3']"  # 3 is the listing's own


# --- afterwards -------------------------------------------------------------------------------------------------------

SLEEPER = "[sys.executable, '-S', '-c', 'import time; time.sleep(60)', {marker!r}]"


def test_a_grandchild_that_left_the_session_is_gone():
    marker = secrets.token_hex(8)
    code = (
        "import os, sys\nr, w = os.pipe()\nos.set_inheritable(w, True)\n"
        "if not os.fork():\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
        "    program = f'import os, time; os.write({w}, b\"daemon runs\"); time.sleep(60)'\n"
        f"    os.execv(sys.executable, [sys.executable, '-S', '-c', program, {marker!r}])\n"
        "print(os.read(r, 99).decode())"
    )
    assert _prints(code, limits=Limits(seconds=5)) == "daemon runs"
    assert _alive(marker) == []


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def state():
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
        return children, sorted(os.listdir("/proc/self/fd")), Path("/proc/self/mounts").read_text(), list(tmp_path.iterdir())

    before = state()
    run("open('a', 'w').write('b'); open('/tmp/c', 'w')", files={"d": b"e"})
    run("while True: pass", limits=Limits(seconds=0.2))
    assert state() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_nothing_runs_on_when_the_caller_is(number):
    marker = secrets.token_hex(8)
    code = f"import os, sys; os.execv(sys.executable, {SLEEPER.format(marker=marker)})"
    command = [sys.executable, "-c", f"from kimi_mini.sandbox import *; run({code!r}, limits=Limits(seconds=60))"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as caller:
        assert _until(lambda: _alive(marker), 30)
        caller.send_signal(number)
        assert caller.wait(5) != 0
    assert _until(lambda: not _alive(marker))


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [dict(seconds=0), dict(seconds=float("inf")), dict(seconds=True), dict(memory_bytes=0), dict(processes=2.5)]
    + [dict(output_bytes=-1), dict(cpu_seconds="1"), dict(file_bytes=1 << 70)],
    ids=str,
)
def test_bad_limits_say_what_is_right(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} = .*expected"):
        Limits(**bad)


@pytest.mark.parametrize(
    "options",
    [dict(files={name: b""}) for name in ("../x", "/x", "a/../../x", "", ".", "main.py", "a//b", "a\0")]
    + [dict(files={"x": "text"}), dict(stdin=b""), dict(limits=3), dict(packages=("no_such_thing",)), dict(packages="torch")],
    ids=str,
)
def test_bad_arguments_say_what_is_right(options):
    with pytest.raises(ValueError, match="expected"):
        run("", **options)


def test_on_another_platform_nothing_is_run(monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="darwin has no namespaces; expected Linux"):
        run("print(1)")


def test_where_namespaces_are_refused_nothing_is_run(monkeypatch):
    monkeypatch.setattr(sandbox, "NAMESPACES", 1)  # a flag that the kernel does not know
    with pytest.raises(SandboxUnavailable, match="unshare: Invalid argument.*expected root"):
        run("print(1)")


def test_where_the_room_cannot_be_built_nothing_is_run(monkeypatch):
    monkeypatch.setattr(sandbox, "SYSTEM", ("/proc/1/root",))
    with pytest.raises(SandboxUnavailable, match="expected root"):
        run("print(1)")
