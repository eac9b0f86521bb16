"""The command line: what it prints is what the package computes, it resumes, and bad input is one clear line."""

import json
import os
import re
import subprocess
import sys

import pytest

import kimi_mini as km
from kimi_mini import accounting
from kimi_mini.cli import main
from kimi_mini.presets import PRESETS
from kimi_mini.synth import Completion
from kimi_mini.tools.domains import DOMAINS

TINY = "--steps 3 --batch-size 2 --sequence-length 16".split()


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "sums.txt"
    path.write_text("".join(f"{a} + {b} = {a + b}\n" for a in range(20) for b in range(20)), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, text_file):
    folder = tmp_path_factory.mktemp("runs") / "deep" / "er"
    assert main(["train", "--out", str(folder), "--text", text_file, *TINY]) == 0
    return folder


def weights(folder):
    return {name: value.clone() for name, value in km.from_pretrained(folder / "model").state_dict().items()}


def output(capsys, *arguments):
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def the_error(capsys, *arguments):
    """Exit status 2 and exactly one line on stderr, which it returns."""
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


# ---- account ---------------------------------------------------------------------------------------------------------


def test_account_counts_k2_by_default_and_names_its_conventions(capsys):
    text = output(capsys, "account")
    for number in ("1,026,408,232,448", "32,861,500,928", "31,687,095,808", "30,512,690,688", "70,272"):
        assert number in text
    for convention in ("without the input embedding", "A multiply-add is 2", "bf16", "The K2 report says 1.04T"):
        assert convention in text


@pytest.mark.parametrize("name", PRESETS)
def test_account_json_is_what_accounting_says(capsys, name):
    config = PRESETS[name]
    facts = json.loads(output(capsys, "account", name, "--context", 500, "--expert", 8, "--pipeline", 2, "--json"))
    count = accounting.count_parameters(config)
    assert (facts["parameters"]["total"], facts["parameters"]["activated"]) == (count.total, count.activated)
    assert sum(block["total"] for block in facts["parameters"]["blocks"].values()) == count.total
    assert facts["flops_per_token"]["training"]["total"] == accounting.training_flops(config, 500).total
    assert facts["flops_per_token"]["decode, absorbed"]["attention"] == accounting.decode_flops(config, 500).attention
    assert facts["cache"]["mla"]["bytes_at_context"] == accounting.cache_bytes(config, 500)
    stages = accounting.memory_per_gpu(config, accounting.Layout(pipeline=2, expert=8))
    assert [stage["total"] for stage in facts["memory_per_gpu"]] == [stage.total for stage in stages]


def test_account_reads_a_config_file_or_its_folder(capsys, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(km.NANO.to_hf()))
    by_name = json.loads(output(capsys, "account", "nano", "--json"))
    assert json.loads(output(capsys, "account", tmp_path, "--json")) == by_name
    assert json.loads(output(capsys, "account", tmp_path / "config.json", "--json")) == by_name


def test_account_names_the_heaviest_stage(capsys):
    lines = output(capsys, "account", "k2", "--pipeline", 16, "--expert", 16).splitlines()
    stages = accounting.memory_per_gpu(km.K2, accounting.Layout(pipeline=16, expert=16))
    heaviest = max(range(16), key=lambda i: stages[i].total)
    (line,) = [line for line in lines if "heaviest" in line]
    assert line.startswith(f"stage {heaviest} ") and line.endswith(f"{stages[heaviest].total / 2**30:.2f} GiB")


def test_help_and_account_come_without_torch():
    code = "import sys; from kimi_mini.cli import main; main(['account', 'nano']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


# ---- train, generate, eval ---------------------------------------------------------------------------------------------


def test_train_leaves_everything_in_its_folder(run_folder):
    assert {"tokenizer.json", "metrics.jsonl", "latest", "model"} <= {path.name for path in run_folder.iterdir()}
    assert len((run_folder / "metrics.jsonl").read_text().splitlines()) == 3
    model, tokenizer = km.from_pretrained(run_folder / "model"), km.Tokenizer.load(run_folder)
    config = model.config
    assert (config.vocab_size, config.bos_token_id, config.eos_token_id) == (tokenizer.vocab_size, tokenizer.bos, tokenizer.eos)


def test_train_again_changes_nothing_and_refuses_when_told_to(capsys, run_folder, text_file):
    before, metrics = weights(run_folder), (run_folder / "metrics.jsonl").read_text()
    again = ["train", "--out", str(run_folder), "--text", text_file, *TINY]
    assert main(again) == 0
    assert (run_folder / "metrics.jsonl").read_text() == metrics
    assert all(value.equal(before[name]) for name, value in weights(run_folder).items())
    assert "holds a run already" in the_error(capsys, *again, "--no-resume")


def test_train_stopped_and_called_again_ends_like_one_that_was_not(interrupt_at, capsys, tmp_path, run_folder, text_file):
    command = ["train", "--out", str(tmp_path / "run"), "--text", text_file, *TINY]
    calls = interrupt_at(2)
    assert main(command) == 130
    assert "stopped: SIGINT after step 2: saved in" in capsys.readouterr().err
    assert "its training has not finished" in the_error(capsys, "generate", "--model", tmp_path / "run")
    assert main(command) == 0
    assert len(calls) == 3
    whole = weights(run_folder)
    assert all(value.equal(whole[name]) for name, value in weights(tmp_path / "run").items())


def test_generate_continues_the_prompt_and_a_seed_repeats(capsys, run_folder):
    def text(*arguments):
        return output(capsys, "generate", "--model", run_folder, "--max-new-tokens", 12, *arguments)

    assert text("--prompt", "7 + 8", "--prompt", "é").startswith("7 + 8")
    assert text("--seed", 3) == text("--seed", 3) != text("--seed", 4)
    model, tokenizer = km.from_pretrained(run_folder / "model"), km.Tokenizer.load(run_folder)
    (ids,) = km.generate(model, [[tokenizer.bos, *tokenizer.encode("1 +")]], max_new_tokens=12, eos=tokenizer.eos)
    assert text("--prompt", "1 +", "--temperature", 0) == "1 +" + tokenizer.decode(ids) + "\n"


def test_generate_and_eval_read_a_hugging_face_folder(capsys, tmp_path, run_folder, text_file):
    km.save_pretrained(km.from_pretrained(run_folder / "model"), tmp_path / "hf")
    km.Tokenizer.load(run_folder).save(tmp_path / "hf")
    for command in (["generate", "--max-new-tokens", 9], ["eval", "--text", text_file]):
        assert output(capsys, *command, "--model", tmp_path / "hf") == output(capsys, *command, "--model", run_folder)


@pytest.mark.slow
def test_eval_reports_every_domain(capsys, run_folder):
    domains = json.loads(output(capsys, "eval", "--model", run_folder, "--context", 64, "--json"))["domains"]
    assert list(domains) == list(km.corpus.DOMAINS)
    lines = output(capsys, "eval", "--model", run_folder, "--context", 64).splitlines()
    for line, (name, loss) in zip(lines[1:], domains.items(), strict=True):
        assert line.split()[:3] == [name, f"{loss['nats_per_token']:.3f}", f"{loss['bits_per_byte']:.3f}"]


def test_eval_of_a_text_file(capsys, run_folder, text_file):
    from kimi_mini.train.evaluation import evaluate

    found = json.loads(output(capsys, "eval", "--model", run_folder, "--text", text_file, "--json"))
    model, tokenizer = km.from_pretrained(run_folder / "model"), km.Tokenizer.load(run_folder)
    with open(text_file, encoding="utf-8") as file:
        wanted = evaluate(model, tokenizer, [file.read()], context=512)
    assert found["context"] == 512
    assert found["domains"][text_file]["bits_per_byte"] == wanted.bits_per_byte


@pytest.mark.slow
def test_defaults_work_together_from_any_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "generate --model runs/out/nano" in output(capsys, "train", "--steps", 2)
    assert output(capsys, "generate").count("\n\n") >= 2
    assert len(output(capsys, "eval").splitlines()) == 1 + len(km.corpus.DOMAINS)
    assert km.Tokenizer.load("runs/out/nano").vocab_size == km.corpus.load_tokenizer().vocab_size


# ---- help and errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["account", "train", "generate", "eval"])
def test_help_shows_examples_that_parse(capsys, command):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert done.value.code == 0 and "(default: None)" not in text
    assert f"python -m kimi_mini {command}" in text.split("examples:")[1]


def test_no_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as done:
        main([])
    assert done.value.code == 2 and "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["account", "k3"], "model = 'k3' will not do; expected k2, deepseek-v3, moonlight, mini, nano, or the path"),
        (["account", "k2", "--expert", 7], "expert = 7 will not do; expected a divisor of 384"),
        (["account", "k2", "--context", -1], "context = -1"),
        (["train", "--steps", 0], "steps = 0 .* >= 1"),
        (["train", "--text", "missing.txt"], "missing.txt"),
        (["train", "--text", "binary"], "binary is not UTF-8 text .byte 0."),
        (["train", "--text", "empty"], "empty is empty"),
        (["train", "--text", "short"], "expected at least sequence_length"),
        (["train", "--out", "binary", "--text", "short"], "--out binary is a file"),
        (["train", "--sequence-length", 513, "--text", "short"], "sequence_length = 513 .* at most 512"),
        (["generate"], "no model in runs/out/nano; expected the --out of `python -m kimi_mini train`"),
        (["eval", "--model", "nowhere"], "no model in nowhere; expected"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name, content in {"binary": b"\xff\x00", "empty": b"", "short": b"short"}.items():
        (tmp_path / name).write_bytes(content)
    assert re.search(message, the_error(capsys, *arguments))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["generate", "--max-new-tokens", 10_000], "max_position_embeddings = 512"),
        (["generate", "--temperature", -1], "temperature = -1.0"),
        (["generate", "--top-p", 2], "top_p = 2.0"),
        (["eval", "--context", 513], "context = 513 will not do; expected 1 to max_position_embeddings = 512"),
    ],
)
def test_a_bad_request_to_a_model_is_one_line(capsys, run_folder, arguments, message):
    assert message in the_error(capsys, *arguments, "--model", run_folder)


def test_other_settings_for_a_run_are_refused_and_lose_nothing(capsys, run_folder, text_file):
    before = weights(run_folder)
    error = the_error(capsys, "train", "--out", run_folder, "--text", text_file, *TINY, "--lr", 1e-3)
    assert "train.optim.lr = 0.003 (now 0.001)" in error
    assert all(value.equal(before[name]) for name, value in weights(run_folder).items())


def test_a_tokenizer_that_is_too_large_for_its_model(capsys, tmp_path, run_folder):
    config = km.NANO.replace(vocab_size=200)
    km.save_pretrained(km.KimiMini(config), tmp_path / "hf")
    km.Tokenizer.load(run_folder).save(tmp_path / "hf")
    assert "expected at most the model's 200" in the_error(capsys, "generate", "--model", tmp_path / "hf")


def test_a_damaged_folder_is_one_line(capsys, tmp_path, run_folder):
    km.save_pretrained(km.from_pretrained(run_folder / "model"), tmp_path / "hf")
    assert "no tokenizer at" in the_error(capsys, "generate", "--model", tmp_path / "hf")
    km.Tokenizer.load(run_folder).save(tmp_path / "hf")
    weights_file = tmp_path / "hf" / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:-100])
    assert "model.safetensors" in the_error(capsys, "generate", "--model", tmp_path / "hf")


def test_a_reader_that_leaves_early_is_no_error():
    read_end, write_end = os.pipe()
    os.close(read_end)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "kimi_mini", "account"]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, env=buffered)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


# ---- tools -----------------------------------------------------------------------------------------------------------


def test_tools_lists_worlds_and_makes_a_call(capsys):
    text = output(capsys, "tools", "list")
    assert all(name in text for name in ("calculator", "airline", "change_flight"))
    assert json.loads(output(capsys, "tools", "call", "calculator", "calculator", '{"expression": "3 * (4 + 5)"}')) == 27
    assert main(["tools", "call", "shop", "shop", '{"item": 1}']) == 1
    assert "refused: the arguments do not fit" in capsys.readouterr().out


def test_tools_says_what_is_wrong(capsys):
    assert "name of a world = 'bank'" in the_error(capsys, "tools", "call", "bank", "x")
    assert "name of a world = None" in the_error(capsys, "tools", "serve")
    assert "is no JSON" in the_error(capsys, "tools", "call", "shop", "shop", "{")


@pytest.mark.slow
def test_tools_evolves_and_acts_in_what_it_evolved(capsys, tmp_path):
    path = tmp_path / "evolved.jsonl"
    said = output(capsys, "tools", "evolve", "--out", path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert f"{len(rows)} unique" in said and f"{len(rows)} worded by templates, 0 by a model" in said and len(rows) >= 100
    row = next(row for row in rows if row["domain"] == "parcels")
    assert row["name"] in output(capsys, "tools", "list", "--from", path)
    done = row["examples"][0]
    call = ("tools", "call", "parcels", row["name"], json.dumps(done["arguments"]), "--from", path)
    assert json.loads(output(capsys, *call)) == done["value"]
    path.write_text("nonsense", encoding="utf-8")
    assert "line 1: no evolved tool" in the_error(capsys, *call)
    assert "--out is missing" in the_error(capsys, "tools", "evolve")


@pytest.mark.slow
def test_a_servers_model_words_what_evolves(capsys, tmp_path, monkeypatch):
    class Terse:
        def __init__(self, url, model):
            self.said = (url, model)

        def complete(self, messages, **settings):
            declared = json.loads(messages[0]["content"].splitlines()[1])
            return Completion(json.dumps({"name": f"my_{declared['name']}", "description": declared["description"]}), "m")

    monkeypatch.setattr("kimi_mini.synth.OpenAIEndpoint", Terse)
    monkeypatch.setattr("kimi_mini.tools.evolve.DOMAINS", {name: DOMAINS[name] for name in ("parcels", "rooms")})
    path = tmp_path / "evolved.jsonl"
    said = output(capsys, "tools", "evolve", "--out", path, "--writer", "http://localhost:1", "--model", "terse")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert {row["worded_by"] for row in rows} == {"terse"} and all(row["name"].startswith("my_") for row in rows)
    assert f"0 worded by templates, {len(rows)} by a model" in said
