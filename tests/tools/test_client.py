"""The Model Context Protocol for real: server processes that answer, die, hang and talk nonsense."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.tools import WORLDS, make
from kimi_mini.tools.client import ToolClient, ToolServerError
from kimi_mini.tools.evolve import DomainWorld, Recipe, build, save

pytest.importorskip("mcp")
pytestmark = pytest.mark.slow

MOODY = """
import os, sys, time
from kimi_mini.tools import Tool, World
from kimi_mini.tools.server import serve
from kimi_mini.tools.world import takes


class Moody(World):
    name, tools = "moody", (Tool("add", "", takes({"once": "a file"}), reads=False), Tool("count", "", takes({})))

    def draw(self, seed):
        return {"count": 0}

    def _add(self, once):
        self.data["count"] += 1
        print("noise that must not reach the wire")
        if once and not os.path.exists(once):
            open(once, "x").close()
            time.sleep(60) if "hang" in once else os._exit(9)
        return self.data["count"]

    def _count(self):
        return self.data["count"]


serve(Moody(0))
"""


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)  # the server runs `python -m kimi_mini`


def _all_children() -> list[int]:
    run = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [int(line.split()[0]) for line in run.stdout.splitlines() if "ps -o" not in line and "defunct" not in line]


@pytest.fixture
def children():
    """`children()`: processes that this test has started; another test's browser is not among them."""
    before = set(_all_children())
    return lambda: [pid for pid in _all_children() if pid not in before]


def _moody(**options) -> ToolClient:
    return ToolClient((sys.executable, "-c", MOODY), **options)


@pytest.mark.parametrize("name", WORLDS)
def test_a_server_offers_what_the_world_has(name, children):
    with ToolClient.world(name, 2) as client:
        assert client.tools == make(name, 2).tools
        assert client.instructions == make(name, 2).policy
    assert children() == []


def test_a_call_over_the_wire_is_the_call_in_process():
    world = make("shop", 1)
    item, order = world.state()["items"][3]["item"], world.state()["orders"][0]["number"]
    calls = [
        ("shop", {"item": item}), ("shop", {"item": 3}), ("order", {"order": order}), ("nothing", {}),
        ("cancel_order", {"order": order}), ("cancel_order", {"order": order}), ("shop", {"item": "Ünïcødé \u2028"}),
    ]  # fmt: skip
    with ToolClient.world("shop", 1) as client:
        assert [client.call(*call) for call in calls] == [world.call(*call) for call in calls]


def test_a_killed_server_comes_back_with_all_that_was_done(children):
    order = next(row["number"] for row in make("shop", 1).state()["orders"] if row["status"] == "pending")
    with ToolClient.world("shop", 1) as client:
        assert client.call("cancel_order", {"order": order}).ok
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        again = client.call("cancel_order", {"order": order})
        assert not again.ok and "is cancelled" in again.value and client.restarts_left == 2


@pytest.mark.parametrize("mood", ["hang", "die"])
def test_a_call_that_is_lost_is_made_once(mood, tmp_path):
    """With replay, a change that was under way when the server hung or died is there exactly once."""
    with _moody(timeout=3, replay=True) as client:
        assert client.call("add", {"once": ""}).value == 1
        assert client.call("add", {"once": str(tmp_path / mood)}).value == 2
        assert client.call("count", {}).value == 2


def test_without_replay_a_lost_change_is_not_repeated(tmp_path):
    with _moody(replay=False) as client:
        with pytest.raises(ToolServerError, match="not known"):
            client.call("add", {"once": str(tmp_path / "die")})
        assert client.call("count", {}).value == 0  # a new process; nothing was repeated in it


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; print('hello'); sys.stdin.read()", "no answer within"),
        ("raise SystemExit('no licence')", "'no licence'"),
    ],
    ids=["nonsense", "ends at once"],
)
def test_what_is_no_server_is_said_to_be_none(code, why, children):
    start = time.monotonic()
    with pytest.raises(ToolServerError, match=why), ToolClient((sys.executable, "-c", code), starting=1, restarts=1):
        pass
    assert time.monotonic() - start < 30 and children() == []


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(ToolServerError, match="no-such-program"), ToolClient(("no-such-program",), restarts=0):
        pass


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": float("inf")}, {"starting": 0}, {"restarts": -1}])
def test_bad_options_say_what_is_right(options):
    with pytest.raises(ValueError, match="expected"):
        ToolClient(("x",), **options)


def test_an_evolved_domain_is_served_too(tmp_path):
    made = [build(Recipe("accounts", *what)) for what in (("transfer", "balance"), ("total", "balance"))]
    save(made, tmp_path / "evolved.jsonl")
    command = (sys.executable, "-m", "kimi_mini", "tools", "serve", "accounts", "--from", str(tmp_path / "evolved.jsonl"))
    world = DomainWorld("accounts", made, 0)
    with ToolClient(command) as client:
        assert client.tools == world.tools
        for call in (
            ("transfer_balance_between_accounts", {"first": 1, "second": 2, "by": 1}),
            ("total_balance_of_accounts", {}),
        ):
            assert client.call(*call) == world.call(*call)
