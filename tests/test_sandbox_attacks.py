"""Attacks on the sandbox, in one list. Each prints WON if it gets what it is after; none may, and nothing of it may stay."""

# ruff: noqa: E501 - a program a line

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kimi_mini.sandbox import Limits, SandboxUnavailable, run

MIB = 1 << 20
LIMITS = Limits(seconds=1.5, cpu_seconds=2, memory_bytes=150 * MIB, file_bytes=20 * MIB, processes=24, output_bytes=1 << 16)
LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"

# What an attack may take from the machine: OUTSIDE is a file's path, PID and PORT are those of this test, VSOCK a family.
ATTACKS = {
    # --- memory
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "fork bomb of sessions": "import os\nwhile True:\n    try:\n        os.fork(); os.setsid()\n    except OSError: pass",
    "thread bomb": "import threading, time\nfor _ in range(500): threading.Thread(target=time.sleep, args=(9,)).start()\nprint('WON')",
    "memory bomb": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "memory over many processes": "import os, time\nfor _ in range(4): os.fork()\nx = b'x' * (30 << 20)\ntime.sleep(1)\nprint('WON')",
    "shared memory": "import mmap\nx = mmap.mmap(-1, 300 << 20)\nx.write(bytes(300 << 20))\nprint('WON')",
    "shared memory that is unmapped": (
        "import mmap\nx = mmap.mmap(-1, 300 << 20)\nfor i in range(300):\n    x[i << 20 : i + 1 << 20] = b'x' * (1 << 20)\n"
        "    x.madvise(mmap.MADV_DONTNEED, i << 20, 1 << 20)\nprint('WON')"
    ),
    "shared zeros": "import mmap\nx = mmap.mmap(open('/dev/zero', 'r+b').fileno(), 300 << 20)\nx[0] = 1\nprint('WON')",
    "memory files": (
        "import os\nkept = [os.memfd_create('x') for _ in range(20)]\nfor fd in kept: os.write(fd, bytes(15 << 20))\nprint('WON')"
    ),
    "System V memory": LIBC + "print('WON' if libc.shmget(0, 1 << 20, 0o1600) >= 0 else 'lost')",
    "socket buffers": (
        "import os, socket\nfor _ in range(3): os.fork()\nkept = []\nfor _ in range(115):\n    pair = socket.socketpair(); kept.append(pair)\n"
        "    for one in pair:\n        one.setblocking(False)\n        try:\n            while True: one.send(bytes(1 << 16))\n"
        "        except BlockingIOError: pass\nimport time; time.sleep(0.2)\nprint('WON', len(kept))"
    ),
    "a large number": "x = 10 ** 10 ** 9\nprint('WON')",
    "a large string": "print(len('x' * (1 << 32)), 'WON')",
    "nested JSON": "import json\njson.loads('[' * 10_000_000)\nprint('WON')",
    "deep recursion": "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(): return f() + 1\nf()\nprint('WON')",
    "nested source": "eval('(' * 100_000 + ')' * 100_000)\nprint('WON')",
    # --- time
    "endless loop": "while True: pass",
    "sleep without signals": "import signal, time\nfor n in (2, 15, 24): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)\nprint('WON')",
    "a limit raised": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (999, 999))\nprint('WON')",
    "a regular expression": "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')\nprint('WON')",
    "a thread that outlives": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    "a finaliser that does not end": "import atexit\n@atexit.register\ndef f():\n    while True: pass",
    # --- output and files
    "flood of output": "import os\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'x' * 65536)",
    "output without an end of line": "print('x' * 10_000_000, end='')",
    "huge file": "f = open('f', 'wb')\nfor _ in range(40): f.write(bytes(1 << 20)); f.flush()\nprint('WON')",
    "many files": "for i in range(30_000): open(f'f{i}', 'w')\nprint('WON')",
    "sparse file": "f = open('f', 'wb')\nf.truncate(1 << 40)\nprint('WON')",
    "write outside": "open(OUTSIDE, 'w').write('x')\nprint('WON')",
    "read outside": "print('WON', open(OUTSIDE).read())",
    "symbolic link outside": "import os\nos.symlink(OUTSIDE, 'link')\nprint('WON', open('link').read())",
    "hard link outside": "import os\nos.link(OUTSIDE, 'link')\nprint('WON')",
    "dots": "print('WON', open('../' * 20 + OUTSIDE[1:]).read())",
    "passwords": "print('WON', open('/etc/shadow').read())",
    "the interpreter": "import os\nopen(os.__file__, 'a').write('x')\nprint('WON')",
    "the interpreter's rights": "import os\nos.chmod(os.__file__, 0o777)\nprint('WON')",
    "a device node": "import os, stat\nos.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))\nprint('WON')",
    "the disk": "print('WON', open('/dev/sda', 'rb').read(1) + open('/dev/vda', 'rb').read(1))",
    "kernel memory": "print('WON', open('/dev/mem', 'rb').read(1))",
    # --- /proc and /sys
    "root through /proc": "print('WON', open('/proc/1/root' + OUTSIDE).read())",
    "the keeper's memory": "open('/proc/1/mem', 'r+b').write(b'x')\nprint('WON')",
    "the keeper's descriptors": "import os\nfor fd in os.listdir('/proc/1/fd'): open('/proc/1/fd/' + fd, 'w').write('{}')\nprint('WON')",
    "its own limits through /proc": "import os\nos.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-1000')\nprint('WON')",
    "kernel settings": "open('/proc/sys/kernel/core_pattern', 'w').write('|/box/x')\nprint('WON')",
    "the reboot key": "open('/proc/sysrq-trigger', 'w').write('b')\nprint('WON')",
    "control groups": "import os\nos.makedirs('/sys/fs/cgroup/x')\nprint('WON')",
    # --- processes and signals
    "kill everything": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "kill the tests": "import os\nos.kill(PID, 9)\nprint('WON')",
    "stop its keeper": "import os, signal\nos.kill(1, signal.SIGSTOP)\nprint('WON')",
    "kill its keeper": "import os, signal\nos.kill(1, signal.SIGKILL)\nprint('WON')",
    "no death with its parent": LIBC + "libc.prctl(1, 0, 0, 0, 0)\nif not os.fork():\n    os.setsid()\n    import time; time.sleep(60)",
    "double fork": "import os, time\nif not os.fork():\n    os.setsid()\n    if not os.fork():\n        time.sleep(60)\n    os._exit(0)",
    "trace its keeper": LIBC + "print('WON' if libc.ptrace(16, 1, 0, 0) == 0 else 'lost')",
    "priority": "import os\nos.nice(-5)\nprint('WON')",
    "real time": "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))\nprint('WON')",
    # --- privilege
    "another user": "import os\nos.setuid(0) if os.getuid() else os.setuid(1)\nprint('WON')",
    "a setuid program": (
        "import os, shutil, subprocess, sys\nshutil.copy(sys.executable, 'p')\nos.chmod('p', 0o4755)\n"
        "subprocess.run(['/usr/bin/su', '-c', 'echo WON'], stdin=subprocess.DEVNULL)\nsubprocess.run(['/usr/bin/mount', '-t', 'tmpfs', 'x', '/box'], check=True)\nprint('WON')"
    ),
    "a namespace of its own": LIBC + "print('WON' if libc.unshare(0x10000000) == 0 else 'lost')",
    "a namespace by clone": LIBC + "pid = libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)\nprint('WON' if pid > 0 else 'lost', flush=True) if pid else os._exit(0)",
    "mount": LIBC + "print('WON' if libc.mount(b'x', b'/box', b'tmpfs', 0, None) == 0 else 'lost')",
    "unmount": LIBC + "print('WON' if libc.umount2(b'/proc', 2) == 0 else 'lost')",
    "out of the root folder": LIBC + "os.mkdir('d')\nif libc.chroot(b'd') == 0:\n    os.chdir('../' * 20); print('WON')",
    "keys that stay": LIBC + "print('WON' if libc.syscall(248, b'user', b'kimi', b'v', 1, -3) > 0 else 'lost')",
    "asynchronous calls": LIBC + "print('WON' if libc.syscall(425, 8, ctypes.create_string_buffer(120)) >= 0 else 'lost')",
    "32-bit calls": LIBC + (
        "import mmap\ncode = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)\n"
        "code.write(bytes.fromhex('b814000000cd80c3'))\n"  # getpid by int 0x80
        "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))\nprint('WON' if f() == os.getpid() else 'lost')"
    ),
    "a module of the kernel": LIBC + "print('WON' if libc.syscall(175, b'x', 1, b'') == 0 else 'lost')",
    "a crash": "import ctypes\nctypes.string_at(0)\nprint('WON')",
    # --- network
    "loopback": "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)\nprint('WON')",
    "the world": "import socket\nsocket.create_connection(('1.1.1.1', 53), 1)\nprint('WON')",
    "a datagram": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))\nprint('WON')",
    "an abstract socket": "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0ABSTRACT')\nprint('WON')",
    "the machine's vsock": "import socket\nsocket.socket(40, socket.SOCK_STREAM)\nprint('WON')",
    "raw packets": "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nprint('WON')",
    "netlink": "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\nprint('WON')",
    # --- python
    "modules of the caller": "import sys, site\nsite.main()\nimport kimi_mini\nprint('WON')",
    "startup files": "import os, sys\nprint('WON' if any(n in sys.modules for n in ('sitecustomize', 'usercustomize')) else 'lost')",
    "frames of the caller": "import sys\nf = sys._getframe()\nwhile f.f_back: f = f.f_back\nprint('WON' if f.f_code.co_filename != __file__ else 'lost')",
    "descriptors of the caller": "import os\nfor fd in range(3, 256):\n    try: os.fstat(fd); print('WON', fd)\n    except OSError: pass",
    "a forged report": "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'{\"end\": \"exit\", \"returncode\": 0, \"seconds\": 0}\\n'); print('WON')\n    except OSError: pass",
    "watching files": LIBC + "fd = libc.inotify_init()\nprint('WON' if libc.inotify_add_watch(fd, OUTSIDE.encode(), 0xFFF) >= 0 else 'lost')",
}  # fmt: skip


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """What the attacks are after: a file, two sockets, and the keys of this session."""
    try:
        run("")
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("outside") / "secret"
    path.write_text("hunter2")
    abstract = f"kimi-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0" + abstract)
        local.listen()
        yield (
            path,
            {"OUTSIDE": repr(str(path)), "PID": str(os.getpid()), "PORT": str(server.getsockname()[1]), "ABSTRACT": abstract},
        )


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_survives(name, outside):
    path, words = outside
    code = ATTACKS[name]
    for word, value in words.items():
        code = code.replace(word, value)
    began = time.monotonic()
    outcome = run(code, limits=LIMITS)
    assert time.monotonic() - began < 8
    assert "WON" not in outcome.stdout and "hunter2" not in outcome.stdout, outcome
    assert len(outcome.stdout) <= LIMITS.output_bytes and len(outcome.stderr) <= LIMITS.output_bytes
    assert path.read_text() == "hunter2" and os.stat(path).st_nlink == 1
    assert run("print('fine')").stdout == "fine\n", "the next one is not harmed"


def test_there_are_at_least_twenty_five():
    assert len(set(ATTACKS.values())) == len(ATTACKS) >= 25


def test_an_attack_that_works_outside_is_seen_to_win(outside):
    """The list can fail: without the sandbox these print WON."""
    path, words = outside
    for name in ("write outside", "read outside", "symbolic link outside", "loopback", "an abstract socket", "memory files"):
        code = ATTACKS[name]
        for word, value in words.items():
            code = code.replace(word, value)
        printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=path.parent).stdout
        assert "WON" in printed, name
        path.write_text("hunter2")


def test_what_outlives_is_gone(outside):
    """Whoever left session and parent behind dies with the namespace."""
    marker = secrets.token_hex(8)
    code = ATTACKS["double fork"].replace("time.sleep(60)", f"os.execv('/usr/bin/sleep', ['{marker}', '60'])", 1)
    run("import os\n" + code, limits=LIMITS)
    alive = [p for p in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in _bytes(p)]
    assert alive == []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
