"""Benchmarks: whoever answers, and whatever, is marked; a second call asks only for what is missing."""

import json

import pytest
import torch

import kimi_mini as km
from kimi_mini.chat.template import END
from kimi_mini.cli import main
from kimi_mini.corpus import load_tokenizer
from kimi_mini.evals.measure import Settings, benchmarks, held_out, measure
from kimi_mini.evals.subjects import LocalSubject, RemoteSubject, fingerprint
from kimi_mini.rl.curriculum import Curriculum
from kimi_mini.rl.tasks import tasks
from kimi_mini.rl.tasks.code import results_of
from kimi_mini.sandbox import SandboxUnavailable
from kimi_mini.synth import JobLog, OpenAIEndpoint

TASKS = tasks()
TWO = Settings(problems=2, samples=2)


def endpoint(server):
    return OpenAIEndpoint(server.url, "some-model", timeout=5, tries=2, first_wait=0.01)


def knows(*names):
    """A reply that looks the gold answers up, message by message."""
    gold = {}
    for name in names:
        for problem in held_out(TASKS[name], 20):
            turns = TASKS[name].gold(problem).removesuffix(END).split(END)
            gold[problem.messages[-1]["content"]] = turns

    def reply(body):
        asked = next(m["content"] for m in body["messages"] if m["role"] == "user")
        return gold[asked][sum(m["role"] == "assistant" for m in body["messages"])]

    return reply


def marks(server, name, settings, tmp_path):
    with JobLog(tmp_path / "log.jsonl") as log:
        return measure(RemoteSubject(endpoint(server)), TASKS[name], settings, log)


@pytest.mark.parametrize("name", ["countdown", "arithmetic", "instructions", "code-lines", "code", "tools-shop", "tools-files"])
def test_an_endpoint_that_knows_gets_everything_right(server, tmp_path, name):
    server.reply = knows(name)
    row = marks(server, name, TWO, tmp_path)
    assert row["asked"] == 2 and row["average"]["value"] == 1 and row["average"]["low"] == pytest.approx(0.342, abs=1e-3)
    assert row["pass_at"]["1"]["value"] == row["pass_at"]["2"]["value"] == 1
    assert [problem["right"] for problem in row["problems"]] == [2, 2] and row["truncated"] == 0 and row["answers"] == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 300_000,
        "\ud800",
        "\0",
        "<|tool_call_begin|>",
        "[" * 15_000,
        "Answer: 1e999",
        "```python\nwhile True: pass\n```",
    ],
)
def test_an_endpoint_that_writes_garbage_is_marked(server, tmp_path, text):
    server.reply = lambda body: text
    for name in ("arithmetic", "instructions", "code", "tools-calendar"):
        row = marks(server, name, Settings(problems=1, samples=1), tmp_path)
        assert row["average"]["value"] == 0 and len(row["problems"]) == 1
    assert (tmp_path / "log.jsonl").stat().st_size < 30_000


def test_an_endpoint_that_calls_for_ever_is_stopped(server, tmp_path):
    server.reply = lambda body: (
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.calendar:0<|tool_call_argument_begin|>{"day":"Monday"}'
        "<|tool_call_end|><|tool_calls_section_end|>"
    )
    row = marks(server, "tools-calendar", Settings(problems=1, samples=1), tmp_path)
    assert row["truncated"] == 1 and len(server.requests) == TASKS["tools-calendar"].turns
    assert "## Return of functions.calendar:0" in server.requests[-1]["messages"][-1]["content"]


def test_an_answer_that_is_cut_off_is_not_right(server, tmp_path):
    server.reply, server.script = knows("arithmetic"), ["finish:length"]
    row = marks(server, "arithmetic", Settings(problems=1, samples=2), tmp_path)
    assert row["truncated"] == 1 and row["problems"][0]["right"] == 1


def test_a_second_call_asks_for_what_is_missing(server, tmp_path):
    server.reply = knows("arithmetic")
    first = marks(server, "arithmetic", Settings(problems=5, samples=1), tmp_path)
    assert marks(server, "arithmetic", Settings(problems=5, samples=1), tmp_path) == first and len(server.requests) == 5
    marks(server, "arithmetic", Settings(problems=8, samples=1), tmp_path)
    assert len(server.requests) == 9  # the four that are asked together with a missing one
    marks(server, "arithmetic", Settings(problems=5, samples=1, temperature=0.5), tmp_path)
    assert len(server.requests) == 14


def test_a_run_that_the_server_ended_goes_on(server, tmp_path, capsys):
    server.reply, log = knows("arithmetic"), tmp_path / "log.jsonl"
    command = ["eval", "--endpoint", server.url, "--model", "m", "--bench", "arithmetic", "--problems", "3", "--samples", "1"]
    command += ["--workers", "1", "--log", str(log), "--json"]
    server.script = ["answer", "status:401"]
    assert main(command) == 2 and "401" in capsys.readouterr().err
    assert len(log.read_text().splitlines()) == 1
    assert main(command) == 0 and len(server.requests) == 4
    told = json.loads(capsys.readouterr().out)
    assert (
        told["benchmarks"][0]["average"]["value"] == 1
        and told["subject"] == "m"
        and told["versions"]["torch"] == torch.__version__
    )


def test_without_a_sandbox_code_is_left_out_and_the_rest_is_asked(server, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise SandboxUnavailable("no namespaces here")

    monkeypatch.setattr("kimi_mini.rl.tasks.code.run", refuse)
    results_of.cache_clear()  # what this very code returned, in another test
    server.reply = knows("code-lines", "arithmetic")
    command = ["eval", "--endpoint", server.url, "--model", "m", "--problems", "1", "--samples", "1", "--json"]
    assert main([*command, "--bench", "code-lines", "arithmetic", "--log", str(tmp_path / "log.jsonl")]) == 0
    told, said = capsys.readouterr()
    assert "code-lines is left out: no namespaces here" in said
    assert [row["benchmark"] for row in json.loads(told)["benchmarks"]] == ["arithmetic"]


# ---- a model here ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def babbler():
    """A small model that learned nothing: its answers are noise of all tokens."""
    torch.manual_seed(0)
    tokenizer = load_tokenizer()
    config = km.NANO.replace(vocab_size=tokenizer.vocab_size, bos_token_id=tokenizer.bos, eos_token_id=tokenizer.eos)
    return LocalSubject(km.KimiMini(config, torch.float32), tokenizer, "babbler")


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("code", "tools-airline", "tools-files")])
def test_a_model_that_babbles_is_marked(babbler, tmp_path, name):
    with JobLog(tmp_path / "log.jsonl") as log:
        row = measure(babbler, TASKS[name], Settings(problems=2, samples=1), log)
        assert row["average"]["value"] == 0 and row["tokens"]["most"] <= TASKS[name].budget
        lines = (tmp_path / "log.jsonl").read_text()
        assert measure(babbler, TASKS[name], Settings(problems=2, samples=1), log) == row
    assert (tmp_path / "log.jsonl").read_text() == lines


def test_what_a_kill_left_out_is_drawn_as_it_would_have_been(babbler, tmp_path):
    settings = Settings(problems=5, samples=2)
    with JobLog(tmp_path / "whole.jsonl") as log:
        whole = measure(babbler, TASKS["countdown"], settings, log)
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "killed.jsonl").write_text("".join(lines[:2]) + lines[2][:40])
    with JobLog(tmp_path / "killed.jsonl") as log:
        assert measure(babbler, TASKS["countdown"], settings, log) == whole
    assert (tmp_path / "killed.jsonl").read_text() == (tmp_path / "whole.jsonl").read_text()


def test_the_name_of_a_model_changes_with_its_weights(babbler):
    before = fingerprint(babbler.model)
    with torch.no_grad():
        weight = babbler.model.embed.weight[0, 0].item()
        babbler.model.embed.weight[0, 0] = weight + 1
        assert fingerprint(babbler.model) != before
        babbler.model.embed.weight[0, 0] = weight
    assert fingerprint(babbler.model) == before


# ---- problems and settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in TASKS if name != "code"])
def test_training_never_meets_a_held_out_problem(name):
    task = TASKS[name]
    kept = held_out(task, 64)
    assert len({problem.id for problem in kept}) == 64
    pool = Curriculum(task, kept, 200, seed=0).pool
    assert not {problem.id for problem in kept} & {problem.id for problem in pool}


def test_a_task_of_few_problems_gives_all_it_has():
    assert len(held_out(TASKS["code"], 64)) == 12


def test_names_and_settings_are_checked(capsys):
    assert set(benchmarks(["all"])) == set(TASKS) and list(benchmarks(["code", "code"])) == ["code"]
    with pytest.raises(ValueError, match="benchmark = 'mmlu' .*countdown, rising, arithmetic"):
        benchmarks(["mmlu"])
    for wrong in ({"problems": 0}, {"samples": 1.5}, {"temperature": float("nan")}, {"temperature": 3}, {"seed": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} = "):
            Settings(**wrong)
    for command in (["--bench", "nothing"], ["--bench", "code", "--text", "a"], ["--bench", "code", "--endpoint", "http://x"]):
        assert main(["eval", *command]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
