"""The misbehaving server of tests/synth, for agents, users and judges that ask one."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def server():
    path = Path(__file__).parents[1] / "synth" / "server.py"
    spec = importlib.util.spec_from_file_location("chat_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Server() as running:
        yield running
