"""For every test: one thread per process, uninitialised memory that shows, and no GPU test without a GPU."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch; several test processes share the cores

import pytest
import torch

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


@pytest.fixture(autouse=True)
def nan_filled_empty(monkeypatch):
    """Make `torch.empty` and its relatives return NaN (a habit of flash-linear-attention)."""
    for owner, name in ((torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, original=original, **kwargs: _poison(original(*args, **kwargs)))
