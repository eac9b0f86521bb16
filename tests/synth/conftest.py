"""The misbehaving server, for tests of whatever asks a model."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def server():
    spec = importlib.util.spec_from_file_location("chat_server", Path(__file__).parent / "server.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Server() as running:
        yield running
