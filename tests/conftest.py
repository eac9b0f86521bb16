"""For every test: one thread per process, uninitialised memory that shows, no GPU test without a GPU, a browser."""

import importlib.util
import os
import signal
from functools import wraps
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch; several test processes share the cores
os.environ.setdefault("TRITON_INTERPRET", "0" if Path("/dev/nvidiactl").exists() else "1")  # before triton, which reads it once
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts jobs in the background so; tests of Ctrl-C need it
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
import torch

from kimi_mini import dev

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]

with torch.device("cpu"):  # torch remembers its constructors at the first use; let it be the real ones
    torch.empty(0)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _poison(tensor: torch.Tensor) -> torch.Tensor:
    """Fill with NaN where the dtype has one; zeros out of fresh memory hide an output that nobody wrote."""
    if tensor.is_floating_point() and tensor.element_size() > 1:
        with torch.no_grad():
            tensor.fill_(float("nan"))
    return tensor


@pytest.fixture
def interrupt_at(monkeypatch):
    """`calls = interrupt_at(3)`: the third training step from now on meets Ctrl-C; `calls` grows by one a step."""

    def arm(number):
        pretrain = importlib.import_module("kimi_mini.train.pretrain")  # the name belongs to its function
        real, calls = pretrain.train_step, []

        def counted(*arguments):
            calls.append(arguments)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGINT)
            return real(*arguments)

        monkeypatch.setattr(pretrain, "train_step", counted)
        return calls

    return arm


@pytest.fixture(autouse=True)
def nan_filled_empty(monkeypatch):
    """Make `torch.empty` and its relatives return NaN (a habit of flash-linear-attention)."""
    for owner, name in ((torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")):
        original = getattr(owner, name)
        poisoned = wraps(original)(lambda *args, original=original, **kwargs: _poison(original(*args, **kwargs)))
        monkeypatch.setattr(owner, name, poisoned)


@pytest.fixture
def server():
    """A server of OpenAI's chat API that misbehaves on demand (tests/synth/server.py), for whatever asks a model."""
    spec = importlib.util.spec_from_file_location("chat_server", Path(__file__).parent / "synth" / "server.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Server() as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    """One headless browser for a file of tests; playwright allows one at a time in a process."""
    executable = dev.find_chromium()
    if executable is None:
        pytest.skip("no Chromium or Chrome on this machine: nothing was looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
