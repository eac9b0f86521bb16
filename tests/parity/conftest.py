"""Fixtures of the parity tests: pairs of models, and transformers in float64."""

import pytest
import torch
from transformers import modeling_rope_utils
from transformers.models.deepseek_v3 import modeling_deepseek_v3

import kimi_mini as km

from .helpers import BASE, GRID, Pair, load_theirs, randomise


@pytest.fixture
def make_pair(tmp_path):
    """make_pair(case or config, dtype) -> Pair: ours is saved to a folder, theirs is loaded from it."""

    def make(case: str | km.ModelConfig, dtype: torch.dtype = torch.float32) -> Pair:
        changes = dict(GRID[case]) if isinstance(case, str) else {}
        bias_shift = changes.pop("bias_shift", 0.0)
        config = BASE.replace(**changes) if isinstance(case, str) else case
        torch.manual_seed(1234)
        ours = randomise(km.KimiMini(config).to(dtype), bias_shift)
        km.save_pretrained(ours, tmp_path / "ours")
        return Pair(ours, load_theirs(tmp_path / "ours", dtype))

    return make


class _TorchInFloat64:
    """The torch module with fp32 renamed to float64: every fp32 cast written in a module that sees it becomes one."""

    def __getattr__(self, name: str):
        return torch.float64 if name in ("float", "float32") else getattr(torch, name)


@pytest.fixture
def float64_transformers(monkeypatch):
    """transformers with its fp32 casts (norms, router, rotary table, softmax) in float64."""
    for module in (modeling_deepseek_v3, modeling_rope_utils):
        monkeypatch.setattr(module, "torch", _TorchInFloat64())


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", list(GRID))
