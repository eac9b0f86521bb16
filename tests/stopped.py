"""A command that is stopped in the middle, by the keyboard or by a kill."""

import os
import signal
import subprocess
import sys
import time

from kimi_mini.dev import ROOT

_CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "import sys; from kimi_mini.cli import main; sys.exit(main(sys.argv[1:]))"
)


def stop_command(arguments, log, lines, stop, seconds):
    """Run `python -m kimi_mini *arguments`, send it `stop` once `log` has `lines` lines, and let it end within `seconds`."""
    process = subprocess.Popen([sys.executable, "-c", _CODE, *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not log.exists() or log.read_bytes().count(b"\n") < lines:
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, stop)
    assert process.wait(seconds) == (-9 if stop == signal.SIGKILL else 130)
