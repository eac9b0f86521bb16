"""The same sandbox in a container, for machines without Linux namespaces: `run(code, runner=ContainerRunner())`.

The engine is docker, podman, or any program that takes the same arguments. The container has no network, a root file system
that cannot be written, no capability, and the limits that `run` was given; the code and its files arrive on standard input.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import selectors
import subprocess
import time
from dataclasses import dataclass

from ..checks import is_number, require
from .sandbox import Limits, Outcome, SandboxUnavailable, ended, read_capped, sealed

START = 60.0  # seconds for an engine to start a container, or to answer; beyond the code's own
BOX = "/box"
# Runs in the container: the first line of standard input is the files, what follows is the code's own input, so nothing may be
# read ahead. The word on the last line but one tells the outside that the clock starts.
UNPACK = """\
import base64, json, os, sys
line = bytearray()
while not line.endswith(b"\\n"):
    line += os.read(0, 1)
for name, content in json.loads(line).items():
    os.makedirs(os.path.dirname(os.path.join("BOX", name)), exist_ok=True)
    with open(os.path.join("BOX", name), "xb") as file:
        file.write(base64.b64decode(content))
os.chdir("BOX")
os.write(2, sys.argv[1].encode())
os.execv(sys.executable, [sys.executable, "-s", "-S", "-B", "-X", "utf8", "main.py"])
""".replace("BOX", BOX)


@dataclass(frozen=True)
class ContainerRunner:
    """Runs code in containers of `image`, which must be there already and have `python` on its path.

    `run` with it raises SandboxUnavailable where the engine is missing, does not answer, or cannot start the container:
    nothing was run then. It may use `cpus` processors. Packages cannot be named: the image holds what it holds.
    """

    engine: str = "docker"
    image: str = "python:3.12-slim"
    cpus: float = 1.0

    def __post_init__(self) -> None:
        for name in ("engine", "image"):
            value = getattr(self, name)
            require(isinstance(value, str) and value[:1] not in ("", "-"), name, value, "a name")
        require(is_number(self.cpus) and 0 < self.cpus < float("inf"), "cpus", self.cpus, "a number above 0")

    def arguments(self, name: str, word: str, limits: Limits) -> list[str]:
        """The engine's command line for one container; `word` is what it says when the code begins."""
        memory, size = str(limits.memory_bytes), str(limits.file_bytes)
        return [
            self.engine, "run", "--interactive", "--name", name, "--pull", "never", "--init",
            "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--user", "65534:65534", "--workdir", "/",
            "--tmpfs", f"{BOX}:rw,mode=1777,size={size}", "--tmpfs", f"/tmp:rw,mode=1777,size={size}",
            "--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits.processes), "--cpus", str(self.cpus),
            "--ulimit", f"cpu={limits.cpu_seconds}:{limits.cpu_seconds + 1}", "--ulimit", f"fsize={size}",
            "--ulimit", "nofile=256", "--ulimit", "core=0",
            self.image, "python", "-I", "-S", "-c", UNPACK, word,
        ]  # fmt: skip

    def run(self, files: dict[str, bytes], stdin: bytes, limits: Limits) -> Outcome:
        """One container for main.py among `files`; it is removed, whatever happens."""
        name, word = f"kimi-mini-{secrets.token_hex(8)}", f"begin {secrets.token_hex(8)}\n"
        packed = json.dumps({path: base64.b64encode(content).decode() for path, content in files.items()}).encode()
        stdin_fd, process = sealed(packed + b"\n" + stdin), None
        try:
            process = subprocess.Popen(
                self.arguments(name, word, limits), stdin=stdin_fd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            said, began = _until(process.stderr.fileno(), word.encode(), time.monotonic() + START)
            if not began:
                raise SandboxUnavailable(f"{self.engine} did not start a container of {self.image}: {said.strip()[-500:]}")
            start = time.monotonic()
            kept = dict.fromkeys((process.stdout.fileno(), process.stderr.fileno()), limits.output_bytes)
            out, err = (text.decode(errors="replace") for text in read_capped(kept, start + limits.seconds))
            seconds = time.monotonic() - start
            end, code = ("timeout", None) if seconds >= limits.seconds else self._end(name)
            return ended(end, code, out, err, seconds)
        except FileNotFoundError as error:
            raise SandboxUnavailable(f"there is no program {self.engine!r}; expected a container engine on the path") from error
        finally:
            os.close(stdin_fd)
            if process is not None:
                self._ask("rm", "--force", name)
                process.kill()
                process.stdout.close()
                process.stderr.close()
                process.wait()

    def _end(self, name: str) -> tuple[str, int | None]:
        """How the container ended: over its memory, or with a code; 128 + n is signal n."""
        self._ask("wait", name)
        state = json.loads(self._ask("inspect", "--format", "{{json .State}}", name) or "{}")
        if state.get("OOMKilled"):
            return "memory", None
        code = state.get("ExitCode")
        require(isinstance(code, int), "the container's state", state, "one with an ExitCode")
        return "exit", 128 - code if code > 128 else code

    def _ask(self, *arguments: str) -> str:
        try:
            return subprocess.run([self.engine, *arguments], capture_output=True, text=True, timeout=START).stdout
        except subprocess.TimeoutExpired as error:
            raise SandboxUnavailable(f"{self.engine} {arguments[0]} did not answer within {START:.0f} s") from error


def _until(fd: int, word: bytes, deadline: float) -> tuple[str, bool]:
    """What came before `word`, and whether it came; not a byte behind it is read."""
    said = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while not said.endswith(word):
            left = deadline - time.monotonic()
            chunk = os.read(fd, 1) if left > 0 and selector.select(left) else b""
            if not chunk:
                return said.decode(errors="replace"), False
            said += chunk
    return said[: -len(word)].decode(errors="replace"), True
