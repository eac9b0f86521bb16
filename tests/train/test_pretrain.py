"""pretrain: learns, resumes bit for bit after kills, signals and errors, and refuses a run that is not its own."""

import errno
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import pytest
import torch

import kimi_mini as km
from kimi_mini.optim import OptimConfig
from kimi_mini.train import DamagedCheckpoint, StepConfig, TrainConfig, load_checkpoint, pretrain
from kimi_mini.train import step as step_module

TINY = km.NANO.replace(vocab_size=64, hidden_size=16, num_hidden_layers=2, q_lora_rank=8, kv_lora_rank=8, n_routed_experts=4)
SHORT = TrainConfig(
    steps=12, sequence_length=16, batch_size=2, micro_batches=2, checkpoint_every=4, optim=OptimConfig(lr=1e-2),
    step=StepConfig(tau=1e-2),
)  # fmt: skip
TEXT = torch.arange(2000) * 7 % 61

# Runs in another process: `train(folder)` is the run that every kill must end like.
PRELUDE = f"""
import dataclasses, os, random, signal, sys, time, torch
import kimi_mini as km
from kimi_mini.config import ModelConfig
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.train import StepConfig, TrainConfig, pretrain

MODEL, CONFIG = {TINY!r}, {SHORT!r}

def train(folder, **changes):
    text = torch.arange(2000) * 7 % 61
    return pretrain(MODEL, dataclasses.replace(CONFIG, **changes), text, folder, progress=False, device="cpu")
"""


def _run(folder, config=SHORT, model=TINY, data=TEXT, **options):
    return pretrain(model, config, data, folder, **{"progress": False, "device": "cpu", **options})


def _changed(**changes):
    return TrainConfig.from_dict({**SHORT.to_dict(), **changes})


def _python(code, *arguments, inside=()):
    """What `code` prints, run in a process of its own (`inside` another command, if one is given)."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*inside, sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert run.returncode == 0, run.stderr
    return run.stdout


def _metrics(folder):
    """Lines without the one field that no two runs share."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") > 0 for line in lines)
    return lines


def _result(folder):
    """Everything a run leaves, in bytes: final model, last checkpoint (weights, moments, generators, cursor), metrics."""
    last = folder / (folder / "latest").read_text().strip()
    files = [folder / "model" / "model.safetensors", *sorted(path for path in last.iterdir() if path.name != "SHA256SUMS")]
    return {path.name + path.parent.name: path.read_bytes() for path in files} | {"metrics": _metrics(folder)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted run leaves."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    _python("train(sys.argv[1])", folder)
    return _result(folder)


def _stop_at(monkeypatch, step, action):
    """Call `action` when update `step` (from 1) is about to begin."""
    real, calls = step_module.train_step, iter(range(1, 10**6))

    def train_step(*arguments):
        if next(calls) == step:
            action()
        return real(*arguments)

    monkeypatch.setattr(sys.modules["kimi_mini.train.pretrain"], "train_step", train_step)


class Killed(BaseException):
    pass


def _interrupt(monkeypatch, folder, step, **options):
    """A run whose process ends, without a chance to tidy up, before update `step`."""

    def end():
        raise Killed

    with monkeypatch.context() as patch:
        _stop_at(patch, step, end)
        with pytest.raises(Killed):
            _run(folder, **options)


# ---- what a run does -------------------------------------------------------------------------------------------------


def test_the_loss_falls_and_everything_is_kept(tmp_path):
    config = _changed(steps=60, checkpoint_every=25, micro_batches=1, batch_size=4, step={"tau": "inf"})
    model = _run(tmp_path / "deep" / "run", config)
    lines = _metrics(tmp_path / "deep" / "run")
    assert lines[0]["loss"] == pytest.approx(math.log(64), abs=0.1)  # nothing is known at first
    assert lines[-1]["loss"] < 0.3 * lines[0]["loss"]
    found = sorted(path.name for path in (tmp_path / "deep" / "run").iterdir())
    assert found == ["latest", "metrics.jsonl", "model", "step-00000050", "step-00000060"]
    loaded = km.from_pretrained(tmp_path / "deep" / "run" / "model")
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_metrics_say_what_each_update_did(tmp_path):
    _run(tmp_path, _changed(optim={"lr": 0.5}, warmup_steps=2, decay_steps=4))
    lines = _metrics(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert [line["lr"] for line in lines[:3]] == [0.25, 0.5, 0.5] and lines[-1]["lr"] == pytest.approx(0.05)
    for line in lines:
        assert line["tokens"] == 2 * 2 * 16
        assert len(line["max_logit"]) == 2 and all(map(math.isfinite, line["max_logit"]))
        assert line["load_max_over_mean"][0] is None and 1 <= line["load_max_over_mean"][1] <= 2
        assert line["grad_norm"] > 0 and 0 <= line["clipped_heads"] <= 8
    assert lines[-1]["clipped_heads"] > 0 and max(lines[-1]["max_logit"]) > 1e-2  # tau


def test_micro_batches_only_split_the_work(tmp_path):
    _run(tmp_path / "two", _changed(steps=1))
    _run(tmp_path / "one", _changed(steps=1, micro_batches=1, batch_size=4))
    two, one = _metrics(tmp_path / "two")[0], _metrics(tmp_path / "one")[0]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-6) and two["tokens"] == one["tokens"]


def test_the_caller_finds_threads_and_signals_as_they_were(tmp_path):
    before = torch.get_num_threads(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    _run(tmp_path, _changed(steps=1))
    assert (torch.get_num_threads(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_run_in_another_thread(tmp_path):
    thread = threading.Thread(target=_run, args=(tmp_path, _changed(steps=2)))
    thread.start()
    thread.join()
    assert len(_metrics(tmp_path)) == 2


def test_the_bar_shows_loss_rate_speed_and_logits(tmp_path, capsys):
    _run(tmp_path, progress=True)
    shown = capsys.readouterr().err
    assert "12/12" in shown and all(word in shown for word in ("loss", "lr", "tok/s", "max logit"))
    _run(tmp_path / "quiet", _changed(steps=1))
    assert capsys.readouterr().err == ""


def test_half_precision_computes_and_keeps_fp32_weights(tmp_path):
    model = _run(tmp_path, _changed(compute_dtype="bfloat16"))
    assert model.compute_dtype == torch.bfloat16
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    assert _run(tmp_path / "wide", _changed(steps=1)).compute_dtype == torch.float32


def test_the_last_updates_are_long(monkeypatch, tmp_path):
    shapes, real = [], step_module.train_step

    def train_step(model, optimizer, micro_batches, *rest):
        micro_batches = list(micro_batches)
        shapes.append([tuple(batch.tokens_BT.shape) for batch in micro_batches])
        return real(model, optimizer, micro_batches, *rest)

    monkeypatch.setattr(sys.modules["kimi_mini.train.pretrain"], "train_step", train_step)
    _run(tmp_path, _changed(steps=5, long_steps=2, long_sequence_length=32))
    assert shapes == [[(2, 16)] * 2] * 3 + [[(1, 32)] * 2] * 2


@pytest.mark.parametrize("stop_before", [3, 4, 5])  # before, at and behind the change of length
def test_a_run_with_long_sequences_resumes_bit_for_bit(monkeypatch, tmp_path, stop_before):
    config = _changed(steps=5, long_steps=2, long_sequence_length=32, checkpoint_every=1)
    _run(tmp_path / "whole", config)
    _interrupt(monkeypatch, tmp_path / "parts", stop_before, config=config)
    _run(tmp_path / "parts", config)
    assert _result(tmp_path / "parts") == _result(tmp_path / "whole")


def test_long_sequences_must_fit_the_model(tmp_path):
    with pytest.raises(ValueError, match="long_sequence_length = 32 will not do; expected at most 16"):
        _run(tmp_path, _changed(long_steps=1, long_sequence_length=32), model=TINY.replace(max_position_embeddings=16))


# ---- resuming --------------------------------------------------------------------------------------------------------

KILL_AT_RANDOM = """
    folder, draw, every = sys.argv[1], random.Random(int(sys.argv[2])), int(sys.argv[3])
    build_optimizer(km.KimiMini(MODEL))  # loads what torch loads late; children then start in milliseconds

    def wait_for_updates(number):
        seen = None
        while number >= 0 and os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            size = os.path.exists(folder + "/metrics.jsonl") and os.stat(folder + "/metrics.jsonl").st_size
            number, seen = number - (size != seen), size
            time.sleep(0.0005)

    kills, status = 0, signal.SIGKILL
    while status == signal.SIGKILL:
        process = os.fork()
        if process == 0:
            train(folder, checkpoint_every=every)
            os._exit(0)
        wait_for_updates(draw.randrange(8))
        time.sleep(draw.uniform(0, 0.02))
        os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        kills += status == signal.SIGKILL
    print(status, kills)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "every"), [(1, 4), (2, 4), (3, 1)])
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, whole, seed, every):
    status, kills = map(int, _python(KILL_AT_RANDOM, tmp_path / "run", seed, every).split())
    assert status == 0 and kills > 0
    result = _result(tmp_path / "run")
    kept = [path.name for path in (tmp_path / "run").iterdir()]
    assert sorted(kept) == ["latest", "metrics.jsonl", "model", f"step-{12 - every:08d}", "step-00000012"]
    expected = dict(whole)
    if every != SHORT.checkpoint_every:  # the one thing that says so
        del result["state.jsonstep-00000012"], expected["state.jsonstep-00000012"]
    assert result == expected


@pytest.mark.parametrize("step", [1, 4, 5, 6, 12])
def test_cut_off_before_any_update_it_ends_with_the_same_bits(tmp_path, whole, monkeypatch, step):
    _interrupt(monkeypatch, tmp_path, step)
    assert len(_metrics(tmp_path)) == step - 1
    torch.manual_seed(77)  # what the caller did in between must not matter
    _run(tmp_path)
    assert _result(tmp_path) == whole


def test_a_finished_run_is_left_as_it_is(tmp_path, whole):
    _run(tmp_path)
    model = _run(tmp_path)
    assert _result(tmp_path) == whole
    shutil.rmtree(tmp_path / "model")  # as after a kill between the last checkpoint and the export
    assert torch.equal(_run(tmp_path).embed.weight, model.embed.weight)
    assert _result(tmp_path) == whole


def test_a_torn_line_of_metrics_is_written_again(tmp_path, whole, monkeypatch):
    _interrupt(monkeypatch, tmp_path, 7)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 7, "loss": 3.')
    _run(tmp_path)
    assert _result(tmp_path) == whole


def test_lost_metrics_are_said(tmp_path, monkeypatch):
    _interrupt(monkeypatch, tmp_path, 6)
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.warns(UserWarning, match="metrics.jsonl holds 0 of the 4 updates"):
        _run(tmp_path)


def test_rests_of_a_killed_save_are_removed(tmp_path, whole, monkeypatch):
    _interrupt(monkeypatch, tmp_path, 6)
    for name in ("step-00000008.tmp", ".model.0123abcd.saving", ".model.0123abcd.old"):
        shutil.copytree(tmp_path / "step-00000004", tmp_path / name)
    (tmp_path / "latest.tmp").write_text("step-0")
    _run(tmp_path)
    assert _result(tmp_path) == whole
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"latest", "metrics.jsonl", "model", "step"}


def test_old_checkpoints_go_even_if_nothing_is_left_to_save(tmp_path):
    _run(tmp_path)
    shutil.copytree(tmp_path / "step-00000008", tmp_path / "step-00000004")  # as after a kill before its removal
    _run(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-00000008", "step-00000012"]


def test_a_damaged_checkpoint_costs_only_time(tmp_path, whole, monkeypatch):
    _interrupt(monkeypatch, tmp_path, 11)
    os.truncate(tmp_path / "step-00000008" / "optimizer.safetensors", 1000)
    with pytest.warns(UserWarning, match="optimizer.safetensors is damaged.*Using .*step-00000004"):
        _run(tmp_path)
    assert _result(tmp_path) == whole


def test_with_no_whole_checkpoint_nothing_is_started_over(tmp_path, monkeypatch):
    _interrupt(monkeypatch, tmp_path, 11)
    for step in (4, 8):
        os.truncate(tmp_path / f"step-{step:08d}" / "model.safetensors", 1000)
    metrics = _metrics(tmp_path)
    with pytest.raises(DamagedCheckpoint, match="No checkpoint in .* is whole"):
        _run(tmp_path)
    assert _metrics(tmp_path) == metrics


@pytest.mark.slow
def test_the_number_of_threads_is_restored(tmp_path, monkeypatch):
    """Long sums are split among threads: with this vocabulary two threads give other bits than one."""
    model = km.NANO.replace(vocab_size=2048, num_hidden_layers=2)
    text = torch.randint(0, 2048, (2000,), generator=torch.Generator().manual_seed(0))
    options = {
        "model": model,
        "data": text,
        "config": TrainConfig(steps=4, sequence_length=32, batch_size=2, checkpoint_every=2),
    }
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        _run(tmp_path / "one", **options)
        torch.set_num_threads(2)
        _run(tmp_path / "two", **options)
        _interrupt(monkeypatch, tmp_path / "mixed", 4, **options)
        torch.set_num_threads(1)
        with pytest.warns(UserWarning, match="used 2 threads and goes on with as many .now 1"):
            _run(tmp_path / "mixed", **options)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert _result(tmp_path / "mixed") == _result(tmp_path / "two")
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] != weights[1]  # or this test could not fail


def test_another_environment_is_said(tmp_path, monkeypatch):
    _interrupt(monkeypatch, tmp_path, 6)
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    with pytest.warns(UserWarning, match="torch 2.* .now 2.99.0.: its last bits may come out differently"):
        _run(tmp_path)


# ---- stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_finishes_the_update_and_saves(tmp_path, whole, monkeypatch, name):
    with monkeypatch.context() as patch:
        _stop_at(patch, 6, lambda: os.kill(os.getpid(), signal.Signals[name]))
        with pytest.raises(KeyboardInterrupt, match=f"{name} after step 6: saved in .*goes on from there"):
            _run(tmp_path)
    assert load_checkpoint(tmp_path).step == len(_metrics(tmp_path)) == 6
    assert not (tmp_path / "model").exists()
    _run(tmp_path)
    assert _result(tmp_path) == whole


def test_a_second_signal_acts_at_once(tmp_path, whole, monkeypatch):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        _stop_at(patch, 6, twice)
        with pytest.raises(KeyboardInterrupt) as caught:
            _run(tmp_path)
    assert "saved" not in str(caught.value)
    assert load_checkpoint(tmp_path).step == 4
    _run(tmp_path)
    assert _result(tmp_path) == whole


def test_a_loss_that_is_not_finite(tmp_path):
    config = _changed(optim={"lr": 1e38}, checkpoint_every=100)
    with pytest.raises(FloatingPointError, match="expected finite numbers"):
        _run(tmp_path, config)
    steps = len(_metrics(tmp_path))
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.step == steps < 12 and checkpoint.state["data"]["next_batch"] == 2 * steps
    with pytest.raises(FloatingPointError):  # the same again, from there
        _run(tmp_path, config)
    assert len(_metrics(tmp_path)) == steps


# ---- a full disk -----------------------------------------------------------------------------------------------------


@contextmanager
def _files_up_to(size):
    """RLIMIT_FSIZE is a full disk that needs no disk: writes beyond `size` fail with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_for_a_checkpoint(tmp_path, whole):
    with (
        _files_up_to(20000),
        pytest.raises(OSError, match="step-00000004 could not be saved .File too large.: it needs") as caught,
    ):
        _run(tmp_path)
    assert caught.value.errno == errno.EFBIG
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert _metrics(tmp_path) == whole["metrics"][:4]
    _run(tmp_path)
    assert _result(tmp_path) == whole


def test_no_room_for_metrics(tmp_path, whole):
    with _files_up_to(700), pytest.raises(OSError, match="metrics.jsonl: no room for update 3 .File too large.*resume"):
        _run(tmp_path)
    _run(tmp_path)
    assert _result(tmp_path) == whole


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path, whole):
    """A file system of its own, with room for one checkpoint and no second."""
    mounted = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=400k none {tmp_path}"
    if not shutil.which("unshare") or subprocess.run([*mounted, mount], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    code = """
        import subprocess
        folder, copy = sys.argv[1] + "/run", sys.argv[2]
        try:
            train(folder)
        except OSError as error:
            print(error.errno, error.strerror, sorted(os.listdir(folder)), sep="|")
            subprocess.run(["mount", "-o", "remount,size=8m", sys.argv[1]], check=True)
            train(folder)
        subprocess.run(["cp", "-r", folder, copy], check=True)
    """
    keep = tmp_path.parent / f"{tmp_path.name}-kept"
    said = _python(code, tmp_path, keep, inside=[*mounted, f'{mount} && exec "$@"', "sh"])
    number, said, names = said.strip().split("|")
    assert int(number) == errno.ENOSPC
    assert "step-00000008 could not be saved (No space left on device)" in said and "(step-00000004)" in said
    assert names == "['latest', 'metrics.jsonl', 'step-00000004']"
    assert _result(keep) == whole


# ---- a run that is not this one --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"config": _changed(steps=13)}, r"train.steps = 12 \(now 13\)"),
        ({"config": _changed(seed=1, optim={"lr": 0.02})}, r"train.seed = 0 \(now 1\), train.optim.lr = 0.01 \(now 0.02\)"),
        ({"config": _changed(step={"tau": "inf"})}, r"train.step.tau = 0.01 \(now 'inf'\)"),
        ({"model": TINY.replace(hidden_size=32)}, r"model.hidden_size = 16 \(now 32\)"),
        ({"data": TEXT.flip(0)}, "sha256"),
    ],
    ids=["steps", "two fields", "nested", "model", "text"],
)
def test_another_configuration_or_text_is_refused(tmp_path, monkeypatch, whole, options, named):
    _interrupt(monkeypatch, tmp_path, 6)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    with pytest.raises(ValueError, match=named):
        _run(tmp_path, **options)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before
    _run(tmp_path)
    assert _result(tmp_path) == whole


def test_how_often_and_how_many_to_save_may_change(tmp_path, monkeypatch, whole):
    _interrupt(monkeypatch, tmp_path, 6)
    _run(tmp_path, _changed(checkpoint_every=1, keep=5))
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [f"step-{n:08d}" for n in range(8, 13)]
    assert _result(tmp_path)["model.safetensorsmodel"] == whole["model.safetensorsmodel"]
    assert _metrics(tmp_path) == whole["metrics"]


def test_without_resume_a_run_is_never_overwritten(tmp_path):
    _run(tmp_path / "run", _changed(steps=1), resume=False)
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(ValueError, match="holds a run already.*resume=True"):
        _run(tmp_path / "run", _changed(steps=1), resume=False)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": torch.full((100,), 64)}, "token 0 of the text is 64; the vocabulary has ids 0 to 63"),
        ({"data": TEXT[:10]}, "the text has 10 tokens"),
        ({"config": _changed(sequence_length=513)}, "sequence_length = 513 .* at most 512"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        _run(tmp_path / "run", **options)
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="run is a file; expected a folder"):
        _run(tmp_path / "run")
