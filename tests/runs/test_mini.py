"""The command that trains MINI, on a small scale: it says what it costs, resumes, ships fp16, and load_mini reads that."""

import json

import pytest
import torch

import kimi_mini as km
from kimi_mini.corpus import load
from kimi_mini.corpus.generated import Documents, generate
from kimi_mini.hub.mini import FOLDER, PROVENANCE
from runs import mini
from runs.corpus import build


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small text; what is shipped goes beside it."""
    folder = tmp_path_factory.mktemp("data")
    prose = Documents(["ANNA.\nA line, and exit.\n"] * 9, ["BERT.\nA word.\n"])
    build({"plays": prose, "code": prose} | {name: generate(name, 200) for name in ("maths", "facts", "chat")}, {}, folder, 400)
    return folder


@pytest.fixture(scope="module")
def shipped(data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIMI_MINI_DATA", str(data))
        mini.main(command(tmp_path_factory.mktemp("run") / "mini", data))
    return data


def command(run, ship, *more):
    return ["--preset", "nano", "--steps", "10", "--dtype", "float32", "--out", str(run), "--ship", str(ship), *more]


def test_the_shipped_file_is_mini(shipped):
    model, tokenizer = km.load_mini(shipped)
    about = json.loads((shipped / PROVENANCE).read_text())
    assert tokenizer.vocab_size == model.config.vocab_size == 400
    assert (model.config.bos_token_id, model.config.eos_token_id) == (tokenizer.bos, tokenizer.eos)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(parameter.equal(parameter.half().float()) for parameter in model.parameters())  # rounded once, to fp16
    assert (shipped / FOLDER / "model.safetensors").stat().st_size < 2.2 * km.count_parameters(model.config).total + 1e5
    assert about["parameters"] == km.count_parameters(model.config).total
    assert about["held_out"] == json.loads(json.dumps(mini.held_out_losses(model, load(shipped))))
    assert set(about["samples"]) == set(mini.PROMPTS)


def test_provenance_tells_how_it_was_made(shipped):
    about = json.loads((shipped / PROVENANCE).read_text())
    assert about["config"] == mini.plan("nano", 10, "float32").to_dict()
    assert about["tokens"] == 10 * 512 and about["training_seconds"] > 0
    assert [line["step"] for line in about["curve"]] == [10]
    assert about["clipped_heads"] == 0 < about["largest_logit"] < about["config"]["step"]["tau"]
    assert {"cpu", "threads", "system"} == set(about["machine"])


def test_a_stopped_run_goes_on_and_ships_the_same(interrupt_at, monkeypatch, shipped, tmp_path):
    monkeypatch.setenv("KIMI_MINI_DATA", str(shipped))
    calls = interrupt_at(5)
    monkeypatch.setattr(mini, "estimate", lambda *_: "not now")  # its updates are not the run's
    with pytest.raises(KeyboardInterrupt):
        mini.main(command(tmp_path / "run", tmp_path / "ship"))
    assert not (tmp_path / "ship").exists()
    mini.main(command(tmp_path / "run", tmp_path / "ship"))
    assert len(calls) == 10
    weights = [folder / FOLDER / "model.safetensors" for folder in (shipped, tmp_path / "ship")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_measuring_states_the_cost_and_trains_nothing(monkeypatch, capsys, data, tmp_path):
    monkeypatch.setenv("KIMI_MINI_DATA", str(data))
    mini.main(command(tmp_path / "run", tmp_path / "ship", "--measure"))
    said = capsys.readouterr().out
    for part in ("5,120 tokens", "9 updates at 64 positions", "1 updates at 256 positions", "tokens/s in float32", "minutes"):
        assert part in said
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_mini_without_its_weights(shipped, tmp_path):
    with pytest.raises(ValueError, match="MINI's weights are not in .*install kimi_mini again, or train it"):
        km.load_mini(tmp_path)


@pytest.mark.parametrize(("field", "message"), [("sha256", "has SHA-256"), ("tokenizer_sha256", "another tokenizer")])
def test_weights_of_another_run_are_refused(shipped, field, message):
    path = shipped / PROVENANCE
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | {field: "0" * 64}))
    try:
        with pytest.raises(ValueError, match=message):
            km.load_mini(shipped)
    finally:
        path.write_text(before)
