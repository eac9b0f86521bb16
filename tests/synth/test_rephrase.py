"""The pipeline: versions, verdicts, provenance; it goes on after a kill, and a server's moods cost nothing but time."""

import json
import re
import signal
import time

import pytest

from kimi_mini.cli import main
from kimi_mini.corpus import facts
from kimi_mini.corpus.draw import Draw
from kimi_mini.synth import Completion, EndpointError, OpenAIEndpoint, Programmatic, Settings, check, prompts, rephrase
from kimi_mini.synth.prompts import PERSPECTIVES, STYLES
from tests.stopped import stop_command

TEXTS = {f"place {n}": facts.document(Draw("pipeline", n)).split("Question")[0].strip() for n in range(4)}


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def run(folder, endpoint=None, texts=TEXTS, **options):
    settings = Settings(**{"versions": 3, "size": 30, "attempts": 3, **options})
    return rephrase(texts, endpoint or Programmatic(), folder / "log.jsonl", folder / "out.jsonl", settings)


def test_prompts_are_diverse():
    every = prompts(len(STYLES) * len(PERSPECTIVES))
    assert len({prompt.id for prompt in every}) == len(every) == 30
    assert all(a.style != b.style and a.perspective != b.perspective for a, b in zip(every, every[1:], strict=False))
    (_, user) = every[7].messages("The chunk.", "What came before.")
    for part in (
        STYLES[every[7].style],
        PERSPECTIVES[every[7].perspective],
        "<text>\nThe chunk.\n</text>",
        "What came before.",
    ):
        assert part in user["content"]
    assert "previous" not in every[7].messages("The chunk.")[1]["content"]


def test_every_version_is_there_in_order_with_where_it_came_from(tmp_path):
    done = run(tmp_path)
    assert (done.accepted, done.refused, done.undone, done.reasons) == (12, 0, 0, ())
    found = lines(tmp_path / "out.jsonl")
    assert [(r["document"], r["version"]) for r in found] == [(name, v) for name in TEXTS for v in range(3)]
    assert len({r["text"] for r in found}) == 12
    records = {r["job"]: r for r in lines(tmp_path / "log.jsonl")}
    for r in found:
        assert check(TEXTS[r["document"]], r["text"]) == () and r["writer"] == Programmatic.name == "programmatic-rules-1"
        parts = [records[job] for job in r["jobs"]]
        assert [p["chunk"] for p in parts] == list(range(len(parts))) and len(parts) > 1
        assert " ".join(" ".join(p["text"] for p in parts).split()) == " ".join(r["text"].split())
        assert {(p["verdict"], p["prompt"], p["model"]) for p in parts} == {("accepted", r["prompt"], "programmatic-rules-1")}
        assert all({"seed", "attempt", "tries", "problems"} <= p.keys() for p in parts)


def test_a_repeated_run_asks_for_nothing_and_more_versions_for_the_new_ones(tmp_path):
    first = run(tmp_path)
    before = (tmp_path / "out.jsonl").read_bytes()
    again = run(tmp_path)
    assert again.attempts == 0 and again.accepted == first.accepted and (tmp_path / "out.jsonl").read_bytes() == before
    more = run(tmp_path, versions=4)
    assert more.accepted == 16 and 0 < more.attempts < first.attempts
    changed = run(tmp_path, texts=TEXTS | {"place 0": TEXTS["place 0"].replace("1", "2")}, versions=4)
    assert changed.accepted == 16 and 0 < changed.attempts < first.attempts


class Scripted:
    """Says what the script says, then the chunk itself."""

    name = "scripted"

    def __init__(self, *script):
        self.script, self.seeds = list(script), []

    def complete(self, messages, *, seed, **_):
        self.seeds.append(seed)
        said = self.script.pop(0) if self.script else re.search("<text>\n(.*)\n</text>", messages[-1]["content"], re.DOTALL)[1]
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Completion) else Completion(said, self.name)


ONE = {"one": "Ulviwell was founded in 1342."}


def test_a_refused_chunk_is_tried_again_with_another_seed(tmp_path):
    writer = Scripted("Ulviwell was founded in 1432.", Completion("Ulviwell was founded in", "scripted", "length"))
    done = run(tmp_path, writer, ONE, versions=1)
    assert done.accepted == 1 and done.attempts == 3 and writer.seeds == [0, 1, 2]
    verdicts = [(r["verdict"], [p.split(":")[0] for p in r["problems"]]) for r in lines(tmp_path / "log.jsonl")]
    assert verdicts == [("refused", ["number", "number"]), ("refused", ["cut"]), ("accepted", [])]


def test_a_chunk_that_is_never_right_leaves_its_version_out_for_good(tmp_path):
    done = run(tmp_path, Scripted("no", "no", "no"), ONE, versions=2, workers=1)
    assert (done.accepted, done.refused, done.attempts) == (1, 1, 4)
    again = run(tmp_path, Scripted(), ONE, versions=2)
    assert (again.accepted, again.refused, again.attempts) == (1, 1, 0)
    assert [r["version"] for r in lines(tmp_path / "out.jsonl")] == [1]


def test_an_endpoint_that_gives_up_ends_the_run_and_the_next_goes_on(tmp_path):
    whole = run(tmp_path / "whole", Scripted())
    broken = run(tmp_path, Scripted(EndpointError("no answer")), workers=1)
    assert broken.undone == 12 and broken.reasons == ("no answer",)
    assert [r["verdict"] for r in lines(tmp_path / "log.jsonl")] == ["failed"]
    after = run(tmp_path, Scripted())
    assert (after.accepted, after.undone, after.attempts) == (12, 0, whole.attempts)


def test_a_request_that_will_not_do_costs_only_its_version(tmp_path):
    done = run(tmp_path, Scripted(EndpointError("too long", only_this=True)), workers=1)
    assert (done.accepted, done.undone, done.reasons) == (11, 1, ("too long",))
    assert run(tmp_path, Scripted()).accepted == 12


def test_a_bug_is_not_swallowed(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, Scripted(ZeroDivisionError()), ONE)


def test_a_judge_has_a_say(tmp_path):
    judge = Scripted("DIFFERENT", "SAME")
    settings = Settings(attempts=2)
    done = rephrase(ONE, Scripted(), tmp_path / "log", tmp_path / "out", settings, judge_by=judge)
    assert done.accepted == 1 and [r["verdict"] for r in lines(tmp_path / "log")] == ["refused", "accepted"]
    assert lines(tmp_path / "log")[0]["problems"] == ["judge: scripted said 'DIFFERENT'"]


# ---- a real server -----------------------------------------------------------------------------------------------------


def rules(body):
    return Programmatic().complete(body["messages"], seed=body["seed"], max_tokens=0, temperature=0).text


def test_a_moody_server_costs_only_time_and_workers_are_bounded(tmp_path, server):
    pytest.importorskip("openai")
    server.reply = lambda body: (time.sleep(0.02), rules(body))[1]
    server.script = ["status:429", "answer", "status:500", "cut", "answer", "body:garbage", "drop", "answer", "status:503"]
    endpoint = OpenAIEndpoint(server.url, "m", timeout=2, first_wait=0.01)
    done = run(tmp_path, endpoint, workers=3)
    assert (done.accepted, done.refused, done.undone) == (12, 0, 0)
    assert server.most <= 3 and len(server.requests) == done.attempts + 6
    by_rules = run(tmp_path / "rules")
    assert by_rules.accepted == 12
    assert [r["text"] for r in lines(tmp_path / "out.jsonl")] == [r["text"] for r in lines(tmp_path / "rules/out.jsonl")]


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_the_command_is_killed_and_goes_on(tmp_path, server, stop):
    pytest.importorskip("openai")
    server.reply = lambda body: (time.sleep(0.05), rules(body))[1]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS.values()))
    arguments = ["rephrase", str(tmp_path / "texts.jsonl"), "--out", str(tmp_path / "out.jsonl"), "--versions", "3"]
    arguments += ["--rewriter", server.url, "--model", "m", "--chunk", "60", "--workers", "2"]
    log = tmp_path / "out.log.jsonl"
    stop_command(arguments, log, 5, stop, 20)
    kept = [r for r in lines(log) if r["verdict"] == "accepted"]
    asked = len(server.requests)
    assert main(arguments) == 0
    records = lines(log)
    accepted = [r["job"] for r in records if r["verdict"] == "accepted"]
    assert len(set(accepted)) == len(accepted) and {r["job"] for r in kept} <= set(accepted)
    assert len(server.requests) - asked == len(records) - len(kept) - sum(
        r["verdict"] == "refused" for r in records[: len(kept)]
    )
    assert len(lines(tmp_path / "out.jsonl")) == 12


# ---- the command -------------------------------------------------------------------------------------------------------


def test_the_command_reads_folders_and_says_who_wrote(tmp_path, capsys):
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    (tmp_path / "texts" / "a.txt").write_text(TEXTS["place 0"])
    (tmp_path / "texts" / "deep" / "b.md").write_text(TEXTS["place 1"])
    (tmp_path / "texts" / "c.bin").write_bytes(b"\xff")
    assert main(["rephrase", str(tmp_path / "texts"), "--out", str(tmp_path / "out.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert "4 versions accepted, 0 refused, 0 undone" in printed and "written by programmatic-rules-1" in printed
    assert [r["document"] for r in lines(tmp_path / "out.jsonl")] == ["a.txt"] * 2 + ["deep/b.md"] * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--rewriter", "gpt"], "programmatic, smollm2 or an http address"),
        (["--rewriter", "http://localhost:1/v1"], "model = ''"),
        (["--model", "m"], "goes with an address"),
        (["--judge"], "needs a model"),
        (["--versions", "0"], "versions = 0"),
        (["--log", "OUT"], "expected two files"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, capsys, change, words):
    (tmp_path / "a.txt").write_text("A text.")
    out = str(tmp_path / "out.jsonl")
    assert main(["rephrase", str(tmp_path / "a.txt"), "--out", out, *[out if part == "OUT" else part for part in change]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and words in line


def test_texts_that_are_none_are_named(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"txt": 1}\n')
    (tmp_path / "none").mkdir()
    for texts, words in (("a.jsonl", "line 2"), ("none", "no texts"), ("missing.txt", "missing.txt")):
        assert main(["rephrase", str(tmp_path / texts), "--out", str(tmp_path / "out")]) == 2
        assert words in capsys.readouterr().err
