"""The outside of the sandbox: what may be asked of it, and what comes back. The inside is `_init.py`."""

import base64
import fcntl
import importlib.util
import json
import os
import re
import secrets
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, Protocol

from ..checks import is_int, is_number, require

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
NAMESPACES = NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache")  # loaders and shared libraries
SITE = {"site-packages", "dist-packages"}
GRACE = 10.0  # seconds for building the room, beyond the code's own; past them the room itself hangs
OUT_OF_MEMORY = re.compile(r"^([\w.]*MemoryError\b|RuntimeError: .*DefaultCPUAllocator)")


class SandboxUnavailable(RuntimeError):
    """This machine cannot isolate a program; the message says what is missing. Nothing was run."""


@dataclass(frozen=True)
class Limits:
    """What one run may use. Raises ValueError for a limit that is not a positive number."""

    seconds: float = 10.0  # on the wall clock, from the start of the code
    cpu_seconds: int = 10  # of each process
    memory_bytes: int = 2 << 30  # of each process's private memory, and of what all of them hold at once
    output_bytes: int = 1 << 20  # kept of stdout and of stderr, each; the rest is thrown away
    file_bytes: int = 64 << 20  # of all files together; they live in memory
    processes: int = 64  # threads count too

    def __post_init__(self):
        number = is_number(self.seconds) and 0 < self.seconds < float("inf")
        require(number, "seconds", self.seconds, "a finite number above 0")
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            require(is_int(value, 1) and value < 1 << 62, field.name, value, "an integer of at least 1")


class Outcome(NamedTuple):
    """How a run ended."""

    status: Literal["ok", "error", "timeout", "memory", "killed"]
    returncode: int | None  # -n for signal n; None when the sandbox stopped it
    stdout: str  # its first `output_bytes` bytes; bytes that are no UTF-8 become U+FFFD
    stderr: str
    seconds: float  # on the wall clock, without building the sandbox


class Runner(Protocol):
    """Another place where code can run, with the same limits and the same account of how it ended."""

    def run(self, files: dict[str, bytes], stdin: bytes, limits: Limits) -> Outcome:
        """Run main.py among `files`. Raises SandboxUnavailable where nothing was run."""


def run(
    code: str,
    *,
    stdin: str = "",
    files: dict[str, bytes] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    packages: tuple[str, ...] = (),
    runner: Runner | None = None,
) -> Outcome:
    """Run `code` as main.py beside `files`, in a folder, network, process table and root folder of its own.

    It sees the standard library and the `packages` named, such as ("kimi_mini", "torch"); an installed one brings all that is
    installed beside it. Without `site`, so exit() is sys.exit(). It writes only to memory, which goes when it ends.
    A `runner` does it elsewhere, such as in a container.
    Raises ValueError for bad arguments, SandboxUnavailable where the code could not be isolated.
    """
    files = {} if files is None else files
    require(isinstance(code, str), "code", code, "Python source as a str")
    require(isinstance(stdin, str), "stdin", stdin, "a str")
    require(isinstance(limits, Limits), "limits", limits, "a Limits")
    for name, content in files.items():
        _check_name(name)
        require(isinstance(content, bytes), f"files[{name!r}]", content, "bytes")
    require(isinstance(packages, tuple), "packages", packages, "a tuple of names")
    sent = {"main.py": code.encode(errors="surrogatepass")} | files
    if runner is not None:
        require(packages == (), "packages", packages, "none with a runner: what its image holds is there")
        return runner.run(sent, stdin.encode(), limits)
    paths = [_package_path(name) for name in packages]
    if sys.platform != "linux":
        raise SandboxUnavailable(f"platform {sys.platform} has no namespaces; expected Linux, for instance in a container")
    return _converse(json.dumps(_spec(sent, limits, paths)).encode(), stdin.encode(), limits)


def _check_name(name: object) -> None:
    path = PurePosixPath(name) if isinstance(name, str) and "\0" not in name else PurePosixPath("..")
    good = str(path) == name and not path.is_absolute() and ".." not in path.parts and name not in (".", "main.py")
    require(good, "name of a file", name, "a plain relative path other than main.py")


def _package_path(name: object) -> Path:
    """What must be visible for `name`: its own folder or file, or all of the site-packages that it is installed in."""
    good = isinstance(name, str) and name.isidentifier()
    spec = importlib.util.find_spec(name) if good else None
    require(spec is not None and bool(spec.origin) and os.path.exists(spec.origin), "package", name, "one importable here")
    origin = Path(spec.origin)
    path = origin.parent if spec.submodule_search_locations else origin
    return path.parent if path.parent.name in SITE else path


def _unprivileged_uid() -> int:
    """For root: a uid for this run alone, since RLIMIT_NPROC does not bind root and counts by uid."""
    extents = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    start, count = max(((int(inside), int(length)) for inside, _, length in extents), key=lambda extent: extent[1])
    half = min(count, 1 << 31) // 2  # the upper half: real users are numbered from below
    if half < 1000:
        raise SandboxUnavailable("root has no other uid in this user namespace; expected a container that maps a range of them")
    return start + half + secrets.randbelow(half)


def _spec(files: dict[str, bytes], limits: Limits, packages: list[Path]) -> dict:
    """All that the inside must know."""
    uid = _unprivileged_uid() if os.geteuid() == 0 else 0
    interpreter = os.path.realpath(sys.executable)
    links = [path for path in SYSTEM if os.path.islink(path)]
    wanted = [path for path in SYSTEM if os.path.exists(path) and path not in links]
    wanted += [os.path.realpath(sys.base_prefix), *(str(path) for path in packages)]
    wanted = sorted(set(wanted))
    visible = [path for path in wanted if not any(path.startswith(other + "/") for other in wanted)]
    search = dict.fromkeys(str(path if path.name in SITE else path.parent) for path in packages)
    own_cpu = (limits.cpu_seconds, limits.cpu_seconds + 1)  # SIGXCPU, then SIGKILL
    return {
        # uid 0 of a user namespace is the caller, without any power outside
        "namespaces": NAMESPACES if uid else NAMESPACES | NEWUSER,
        "uid": uid,
        "links": links,
        "visible": visible,
        "files": {name: base64.b64encode(content).decode() for name, content in files.items()},
        "file_bytes": limits.file_bytes,
        "seconds": limits.seconds,
        "memory_bytes": limits.memory_bytes,
        "rlimits": {
            "RLIMIT_DATA": (limits.memory_bytes,) * 2,  # not AS: torch reserves far more address space than it uses
            "RLIMIT_CPU": own_cpu,
            "RLIMIT_FSIZE": (limits.file_bytes,) * 2,
            "RLIMIT_NOFILE": (256, 256),
            "RLIMIT_CORE": (0, 0),
            "RLIMIT_NPROC": (limits.processes,) * 2,
        },
        "argv": [interpreter, "-s", "-S", "-B", "-X", "utf8", "main.py"],
        "env": {"PATH": "/usr/bin:/bin", "HOME": "/box", "LANG": "C.UTF-8", "PYTHONPATH": ":".join(search)},
    }


def sealed(content: bytes) -> int:
    """A file in memory that nobody can change, read from its start; unlike a pipe it needs no writer."""
    fd = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return fd


def _converse(spec: bytes, stdin: bytes, limits: Limits) -> Outcome:
    """Start the inside, read all it says, and leave nothing of it alive, whatever happens here meanwhile."""
    spec_fd, stdin_fd = sealed(spec), sealed(stdin)
    report_r, report_w = os.pipe()
    # without `site`, in an empty environment: nothing of the caller's reaches even the keeper
    command = [os.path.realpath(sys.executable), "-I", "-S", str(Path(__file__).with_name("_init.py"))]
    command += [str(spec_fd), str(report_w), str(os.getpid())]
    process = None
    try:
        process = subprocess.Popen(
            command,
            stdin=stdin_fd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(spec_fd, report_w),
            env={},
            cwd="/",
            start_new_session=True,
        )
        os.close(report_w)
        report_w = None
        kept = {process.stdout.fileno(): limits.output_bytes, process.stderr.fileno(): limits.output_bytes, report_r: 1 << 16}
        out, err, report = read_capped(kept, time.monotonic() + limits.seconds + GRACE)
    finally:
        for fd in (spec_fd, stdin_fd, report_r, report_w):
            if fd is not None:
                os.close(fd)
        if process is not None:
            if process.poll() is None:  # with its keeper dies the first process, and with that the namespace
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.stderr.close()
            process.wait()
    return _outcome(report, out.decode(errors="replace"), err.decode(errors="replace"))


def read_capped(kept: dict[int, int], deadline: float) -> list[bytes]:
    """Read every descriptor to its end or the deadline, keeping the first `kept` bytes of each."""
    buffers = {fd: bytearray() for fd in kept}
    with selectors.DefaultSelector() as selector:
        for fd in kept:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fd)
                buffers[key.fd] += chunk[: kept[key.fd] - len(buffers[key.fd])]
    return [bytes(buffer) for buffer in buffers.values()]


def _outcome(report: bytes, stdout: str, stderr: str) -> Outcome:
    said = json.loads(report.splitlines()[0]) if report else {"end": "unavailable", "why": f"its keeper died: {stderr.strip()}"}
    if said["end"] == "unavailable":
        raise SandboxUnavailable(
            f"Linux namespaces were refused ({said['why']}); expected root with CAP_SYS_ADMIN, or unprivileged user "
            "namespaces, for instance in a container that allows them"
        )
    return ended(said["end"], said["returncode"], stdout, stderr, said["seconds"])


def ended(end: str, code: int | None, stdout: str, stderr: str, seconds: float) -> Outcome:
    """The outcome of a run that the sandbox stopped ("timeout", "memory"), or that came to its own end ("exit")."""
    last = stderr.rstrip().rpartition("\n")[2]
    if end != "exit":
        status = end
    elif code == 0:
        status = "ok"
    elif code == -signal.SIGXCPU:
        status = "timeout"
    elif code < 0:
        status = "killed"
    else:
        status = "memory" if OUT_OF_MEMORY.match(last) else "error"
    return Outcome(status, code, stdout, stderr, seconds)
