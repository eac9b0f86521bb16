"""The inside of the sandbox: first process of its own namespaces, run as a script, never imported.

Usage: python -I -S _init.py SPEC_FD REPORT_FD CALLER_PID. It builds a root folder of its own in memory, starts the code there
without privilege, watches it, and writes a line of JSON about its end. When it ends, so does every process of the namespace.
"""

import base64
import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 4096, 16384, 1 << 18, 1 << 21
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
NEW_ROOT = "/sys"  # exists everywhere, and nothing that the code may see lies beneath it
BOX = "/box"
DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")  # a shared mapping of /dev/zero is uncounted memory
SOCKET_BYTES = 2 * 212992  # a socket's buffer at its largest: the kernel's, so it is in no process's count

# System calls that are refused, as numbers on x86_64 and aarch64: memory that belongs to no process, keys that stay behind,
# other processes, other namespaces, and what is a wide door into the kernel.
DENIED = {
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "io_uring_setup": (425, 425), "bpf": (321, 280), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "mount_setattr": (442, 442), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "open_by_handle_at": (304, 265), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
MMAP, SOCKET = (9, 222), (41, 198)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, and the kernel's name of the machine
FAMILIES = (1, 2, 10)  # unix, inet, inet6: those that a network namespace holds; vsock, for one, would reach the machine


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _report(fd: int, report: dict) -> None:
    os.write(fd, json.dumps(report).encode() + b"\n")


def _prctl(option: int, value: int) -> None:
    _call(f"prctl {option}", LIBC.prctl(option, value, 0, 0, 0))


def _mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    result = LIBC.mount(source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), data.encode())
    _call(f"mount {target}", result)


def _bind(path: str, flags: int) -> None:
    """Show `path` of the machine at the same place under the new root; folders above it are empty but for it."""
    target = NEW_ROOT + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "x").close()
    _mount(path, target, flags=MS_BIND | MS_REC)
    held = os.statvfs(target).f_flag  # in a user namespace, flags that the machine set may not be taken away
    kept = held & (MS_NOEXEC | MS_NODEV | 1024 | 2048) | (MS_RELATIME if held & 4096 else 0)
    _mount(path, target, flags=MS_BIND | MS_REMOUNT | MS_NOSUID | flags | kept)


def _build_root(spec: dict) -> None:
    _mount("none", "/", flags=MS_REC | MS_PRIVATE)  # what is mounted here is seen nowhere else
    _mount("sandbox", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=755,size={spec['file_bytes']},nr_inodes=20000")
    for path in spec["links"]:
        os.symlink(os.readlink(path), NEW_ROOT + path)
    for path in spec["visible"]:
        _bind(path, MS_RDONLY | MS_NODEV)
    for path in DEVICES:
        _bind(path, 0)
    os.makedirs(NEW_ROOT + "/proc", exist_ok=True)
    _mount("proc", NEW_ROOT + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    with open(NEW_ROOT + "/proc/sys/kernel/shmall", "w") as file:
        file.write("0")  # System V segments would be memory that belongs to no process
    for path in (BOX, "/tmp", "/dev/shm"):
        os.makedirs(NEW_ROOT + path, exist_ok=True)
        os.chown(NEW_ROOT + path, spec["uid"], spec["uid"])
    for name, content in spec["files"].items():
        path = f"{NEW_ROOT}{BOX}/{name}"
        folder = os.path.dirname(path)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(base64.b64decode(content))
        while path != folder:
            os.chown(path, spec["uid"], spec["uid"])
            path = os.path.dirname(path)
    os.chroot(NEW_ROOT)  # inside a chroot the kernel grants no further user namespace, so no new mounts
    os.chdir(BOX)


def _program(column: int, audit: int) -> bytes:
    """The filter of system calls as the kernel reads it: (code, jump if true, jump if false, value) eight bytes each."""
    load, equal, at_least, mask, end = 0x20, 0x15, 0x35, 0x54, 0x06
    refuse, allow = (end, 0, 0, 0x00050000 | errno.EPERM), (end, 0, 0, 0x7FFF0000)
    lines = [(load, 0, 0, 4), (equal, 1, 0, audit), refuse, (load, 0, 0, 0), (at_least, 0, 1, 0x40000000), refuse]
    for numbers in DENIED.values():
        lines += [(equal, 0, 1, numbers[column]), refuse]
    # arguments begin at byte 16, eight bytes each; shared anonymous memory (0x21) is in nobody's count once unmapped
    lines += [(equal, 0, 4, MMAP[column]), (load, 0, 0, 40), (mask, 0, 0, 0x21), (equal, 0, 4 + len(FAMILIES), 0x21), refuse]
    lines += [(equal, 0, 2 + len(FAMILIES), SOCKET[column]), (load, 0, 0, 16)]
    lines += [(equal, len(FAMILIES) - place, 0, family) for place, family in enumerate(FAMILIES)]
    return b"".join(struct.pack("HBBI", *line) for line in [*lines, refuse, allow])


def _filter_calls() -> None:
    """From here on, and for everything that follows from here, the calls of DENIED fail with EPERM. Needs NO_NEW_PRIVS."""
    column, audit = MACHINES[os.uname().machine]
    program = _program(column, audit)
    held = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(held)))
    _call("seccomp", LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.c_ulong(ctypes.addressof(header)), 0, 0))


def _start_code(spec: dict) -> None:
    """In the forked child: give up everything, then become the interpreter."""
    os.setsid()
    _prctl(PR_SET_DUMPABLE, 1)  # else its own files in /proc are closed to it
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # when the whole machine runs out of memory, this goes first
    for name, (soft, hard) in spec["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (soft, hard))
    capability = 0
    while LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    if spec["uid"] != 0:
        os.setgroups([])
        os.setresgid(*[spec["uid"]] * 3)
        os.setresuid(*[spec["uid"]] * 3)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _filter_calls()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


def _memory_in_use() -> int:
    """Bytes that all processes but this one hold; pages shared after a fork count once for each, sockets as full buffers."""
    with open("/proc/net/unix", "rb") as file:
        total = (file.read().count(b"\n") - 1) * SOCKET_BYTES
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if pid != "1":
            try:
                with open(f"/proc/{pid}/status") as file:
                    lines = [line.split() for line in file if line.startswith(("RssAnon", "RssShmem"))]
            except OSError:
                continue  # it ended meanwhile
            total += sum(int(line[1]) * 1024 for line in lines)
    return total


def _watch(main: int, spec: dict) -> dict:
    """Wait for the code, reap orphans, and stop at the wall time-out or over the memory of all its processes together."""
    start = time.monotonic()
    while True:
        now = time.monotonic() - start
        if now >= spec["seconds"]:
            return {"end": "timeout", "returncode": None, "seconds": now}
        if _memory_in_use() > spec["memory_bytes"]:
            return {"end": "memory", "returncode": None, "seconds": now}
        signal.sigtimedwait([signal.SIGCHLD], min(0.02, spec["seconds"] - now))
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == main:
                code = os.waitstatus_to_exitcode(status)
                return {"end": "exit", "returncode": code, "seconds": time.monotonic() - start}
            if pid == 0:
                break


def _first_process(spec: dict, report_fd: int) -> dict:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(PR_SET_DUMPABLE, 0)  # the code may share this uid; it must not trace its keeper
    try:
        _build_root(spec)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        main = os.fork()
    except OSError as error:
        return {"end": "unavailable", "why": str(error)}
    if main == 0:
        try:
            _start_code(spec)
        except BaseException as error:  # whatever it was, this process must not go on as a second keeper
            _report(report_fd, {"end": "unavailable", "why": str(error)})
        os._exit(126)
    return _watch(main, spec)


def main() -> None:
    """Make the namespaces, fork their first process, wait for it."""
    spec_fd, report_fd = int(sys.argv[1]), int(sys.argv[2])
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever called run() may be killed: then so are we, and all below
    if os.getppid() != int(sys.argv[3]):
        return
    with open(spec_fd, "rb") as file:
        spec = json.load(file)
    uid, gid = os.getuid(), os.getgid()
    try:
        _call("unshare", LIBC.unshare(spec["namespaces"]))
        if spec["namespaces"] & CLONE_NEWUSER:
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
    except OSError as error:
        _report(report_fd, {"end": "unavailable", "why": str(error)})
        return
    first = os.fork()
    if first == 0:
        _report(report_fd, _first_process(spec, report_fd))
        os._exit(0)
    os.waitpid(first, 0)


if __name__ == "__main__":
    main()
