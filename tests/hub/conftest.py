"""Saved folders to read, spoil and replace."""

import pytest

import kimi_mini as km

from .helpers import make_model


@pytest.fixture
def model() -> km.KimiMini:
    return make_model()


@pytest.fixture
def folder(model, tmp_path):
    """A saved model in one file."""
    km.save_pretrained(model, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def sharded(model, tmp_path):
    km.save_pretrained(model, tmp_path / "sharded", max_shard_bytes=100_000)
    return tmp_path / "sharded"
