"""Many runs: nothing twice after any stop, filters that count, records that others read, servers that misbehave."""

import json
import signal

import pytest

from kimi_mini.agentic import (
    EndpointPlayer,
    EndpointUser,
    ProgrammaticPlayer,
    ProgrammaticUser,
    Settings,
    Turn,
    collect,
    draw_agent,
    draw_task,
    judge,
    play,
)  # fmt: skip
from kimi_mini.agentic.filters import keep
from kimi_mini.agentic.players import turn_of, written
from kimi_mini.agentic.records import dialogue_of, record_of, signature
from kimi_mini.agentic.users import PERSONAS
from kimi_mini.chat import encode, render
from kimi_mini.cli import main
from kimi_mini.corpus import load_tokenizer
from kimi_mini.synth import OpenAIEndpoint
from tests.stopped import stop_command

SMALL = Settings(12, worlds=("calendar", "files"))


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _collect(folder, player=None, user=None, settings=SMALL, **more):
    player, user = player or ProgrammaticPlayer(), user or ProgrammaticUser()
    return collect(player, user, folder / "log.jsonl", folder / "out.jsonl", settings, **more)


def test_the_same_call_makes_nothing_twice_and_keeps_the_same(tmp_path):
    first = _collect(tmp_path)
    before = (tmp_path / "out.jsonl").read_bytes()
    again = _collect(tmp_path)
    assert (first.added, again.added, again.undone) == (12, 0, 0) and first.funnel == again.funnel
    assert (tmp_path / "out.jsonl").read_bytes() == before and before
    other = tmp_path / "other"
    _collect(other, settings=Settings(12, worlds=("calendar", "files"), at_once=1))
    assert (other / "out.jsonl").read_bytes() == before, "how many at a time changes nothing"
    longer = _collect(tmp_path, settings=Settings(15, worlds=("calendar", "files")))
    assert longer.added == 3 and longer.funnel.made == 15


def test_records_say_who_played_and_what_came_of_it(tmp_path):
    summary = _collect(tmp_path, settings=Settings(40))
    log, kept = _lines(tmp_path / "log.jsonl"), _lines(tmp_path / "out.jsonl")
    assert len(log) == 40 == summary.funnel.made and len(kept) == summary.funnel.kept > 5
    assert all(one["programmatic"] is True and one["played_by"].startswith("programmatic (") for one in log)
    assert {one["world"] for one in log} == {"shop", "airline", "files", "calendar"}
    assert all(one["passed"] and one["valid"] and all(item["passed"] for item in one["items"]) for one in kept)
    assert sum(one["passed"] for one in log) == summary.funnel.passed < 40
    lying = [one for one in log if not one["passed"] and any(i["kind"] == "report" and not i["passed"] for i in one["items"])]
    assert lying, "an agent that says what is not so is in the log, and in no kept run"


def test_datasets_reads_the_kept_runs(tmp_path):
    datasets = pytest.importorskip("datasets")
    _collect(tmp_path, settings=Settings(40))
    table = datasets.load_dataset(
        "json", data_files=str(tmp_path / "out.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    kept = _lines(tmp_path / "out.jsonl")
    assert len(table) == len(kept)
    tokenizer = load_tokenizer()
    for row, record in zip(table, kept, strict=True):
        assert encode(*dialogue_of(row), tokenizer) == encode(*dialogue_of(record), tokenizer)


def test_a_record_becomes_the_dialogue_that_was_held():
    task = draw_task("files", 10)
    spec = draw_agent(task, 0)
    run = play(task, spec, ProgrammaticPlayer("careful"), ProgrammaticUser(), PERSONAS[0], seed=0)
    record = json.loads(json.dumps(record_of(task, spec, run, judge(task, run), {})))
    assert render(*dialogue_of(record)) == render(run.messages, run.tools)


def test_the_filters_count_what_they_drop():
    def record(text, **more):
        messages = [{"role": role, "content": said, "tool_calls": []} for role, said in (("system", "x"), ("user", text))]
        return {"messages": messages, "valid": True, "passed": True, **more}

    renamed = record("a")
    renamed["messages"][0]["content"] = "another name"
    records = [record("a"), renamed, record("b", passed=False), record("c", valid=False), record("d" * 9), record("e")]
    kept, funnel = keep(records, lambda one: len(one["messages"][1]["content"]), 5)
    assert [one["messages"][1]["content"] for one in kept] == ["a", "e"]
    assert funnel == (6, 5, 4, 1, 1, 2) and signature(records[0]) == signature(renamed) != signature(records[5])


class Loud:
    """An agent without end, one whose calls are torn, one that says nothing, by turns."""

    name, programmatic = "loud", True
    texts = ("word " * 5000, written("", [("calendar", '{"day": ')], 0), "", "\x00" * 50, written("", [("x" * 500, "{}")], 0))

    def named(self, task, seed):
        return self.name

    def start(self, task, seed):
        text = self.texts[seed % len(self.texts)]
        return lambda messages, tools: Turn(text, turn_of(text).parsed)


def test_agents_that_babble_tear_or_say_nothing_are_recorded_as_failures(tmp_path):
    summary = _collect(tmp_path, Loud(), settings=Settings(25))
    log = _lines(tmp_path / "log.jsonl")
    assert (summary.funnel.made, summary.funnel.passed, summary.undone) == (25, 0, 0)
    assert {"endless", "unreadable", "silent"} <= {one["end"] for one in log}
    assert (tmp_path / "out.jsonl").read_text() == ""


# ---- a real server -----------------------------------------------------------------------------------------------------


def _answer(body):
    """A model that calls the first tool with nothing, then gives up; as a user, one that wants something and leaves."""
    if "tools" not in body:
        return "I want something." if len(body["messages"]) < 3 else "Thank you. ###STOP###"
    if body["messages"][-1]["role"] == "tool":
        return "I am sorry, I could not do it."
    name = body["tools"][0]["function"]["name"]
    return {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": name, "arguments": "{}"}}]}


def test_a_server_plays_agent_user_and_judge(tmp_path, server):
    pytest.importorskip("openai")
    server.reply = lambda body: "No." if body["max_tokens"] == 8 else _answer(body)
    endpoint = OpenAIEndpoint(server.url, "m", timeout=5, first_wait=0.01)
    summary = _collect(tmp_path, EndpointPlayer(endpoint), EndpointUser(endpoint), judge_by=endpoint)
    log = _lines(tmp_path / "log.jsonl")
    assert summary.funnel.made == 12 and server.most <= SMALL.at_once
    assert all(
        (one["played_by"], one["user_by"], one["judged_by"]) == ("m", "m", "m") and not one["programmatic"] for one in log
    )
    assert all(one["calls"] for one in log) and all(one["end"] == "finished" for one in log)
    sent = [body for body in server.requests if body.get("tools") and body["messages"][-1]["role"] == "tool"]
    assert sent[0]["messages"][-2]["tool_calls"][0]["function"]["arguments"] == "{}", "as the API wants it"
    reports = [
        item for one in log for item in one["items"] if item["kind"] == "report" and item["why"] != "nothing was to be done"
    ]
    assert reports and all(item["why"].startswith("it says that it is not done") for item in reports)


def test_a_judge_that_babbles_gives_no_verdict_and_passes_nothing(tmp_path, server):
    pytest.importorskip("openai")
    server.reply = lambda body: "Well, that depends."
    endpoint = OpenAIEndpoint(server.url, "m", timeout=5, first_wait=0.01)
    summary = _collect(tmp_path, ProgrammaticPlayer("careful"), judge_by=endpoint)
    assert summary.funnel.passed == 0
    assert any("m gave no verdict" in item["why"] for one in _lines(tmp_path / "log.jsonl") for item in one["items"])


def test_a_server_that_answers_garbage_ends_the_call_and_the_next_goes_on(tmp_path, server):
    pytest.importorskip("openai")
    server.reply = _answer
    server.script = ["answer"] * 8 + ["body:garbage"] * 6
    endpoint = OpenAIEndpoint(server.url, "m", timeout=5, tries=2, first_wait=0.01)
    settings = Settings(12, worlds=("calendar", "files"), at_once=1)
    broken = _collect(tmp_path, EndpointPlayer(endpoint), settings=settings)
    assert (
        0 < broken.funnel.made < 12
        and broken.undone == 12 - broken.funnel.made
        and "gave up after 2 tries" in broken.reasons[0]
    )
    server.script = []
    whole = _collect(tmp_path, EndpointPlayer(endpoint), settings=settings)
    log = _lines(tmp_path / "log.jsonl")
    made = [one["job"] for one in log if one["verdict"] == "accepted"]
    assert (whole.undone, whole.added) == (0, broken.undone) and len(set(made)) == len(made) == 12
    assert [one["verdict"] for one in log].count("failed") == 1


@pytest.mark.parametrize("arguments", ['{"a": ', "null", "[1]", '{"day": "Someday"}', '{"x":' * 60 + "1" + "}" * 60])
def test_a_servers_torn_arguments_are_a_failed_run(tmp_path, server, arguments):
    pytest.importorskip("openai")
    call = {"id": "1", "type": "function", "function": {"name": "calendar", "arguments": arguments}}
    server.reply = lambda body: {"content": "", "tool_calls": [call]}
    endpoint = OpenAIEndpoint(server.url, "m", timeout=5, first_wait=0.01)
    summary = _collect(tmp_path, EndpointPlayer(endpoint), settings=Settings(2, worlds=("calendar",)))
    assert (summary.funnel.made, summary.funnel.passed, summary.undone) == (2, 0, 0)


# ---- the command -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_the_command_is_killed_and_goes_on_to_the_same_end(tmp_path, stop):
    out = ["trajectories", "--out", str(tmp_path / "out.jsonl")]
    arguments = [*out, "--count", "60", "--seed", "3", "--worlds", "shop", "files"]
    log = tmp_path / "out.log.jsonl"
    stop_command(arguments, log, 8, stop, 30)
    kept = log.read_bytes()
    assert kept.count(b"\n") < 60
    assert main(arguments) == 0
    assert log.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    jobs = [one["job"] for one in _lines(log)]
    assert len(set(jobs)) == len(jobs) == 60
    other = [*arguments[:2], str(tmp_path / "whole.jsonl"), *arguments[3:]]
    assert main(other) == 0 and (tmp_path / "whole.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_the_command_says_what_it_made_and_who_played(tmp_path, capsys):
    assert (
        main(["trajectories", "--out", str(tmp_path / "a.jsonl"), "--count", "4", "--habit", "careful", "--failures", "0"]) == 0
    )
    out = capsys.readouterr().out
    assert "4 made, 4 valid, 4 passed, 4 kept; 0 undone, 4 made now" in out
    assert "agent programmatic (careful), user programmatic, judge programmatic" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--agent", "nobody"], "--agent 'nobody' will not do; expected programmatic, mini or an http address"),
        (["--user", "mini"], "--user 'mini' will not do; expected programmatic or an http address"),
        (["--judge-model", "m"], "--judge-model m goes with an address"),
        (["--agent", "mini", "--habit", "careful"], "--habit careful goes with a programmatic agent"),
        (["--habit", "sleepy"], "habit = 'sleepy' will not do"),
        (["--worlds", "moon"], "worlds = ('moon',) will not do"),
        (["--count", "0"], "count = 0 will not do"),
        (["--failures", "2"], "--failures 2.0 will not do"),
        (["--log", "a.jsonl"], "--log and --out are both a.jsonl"),
    ],
)
def test_what_the_command_refuses(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["trajectories", "--out", "a.jsonl", *arguments]) == 2
    assert message in capsys.readouterr().err
