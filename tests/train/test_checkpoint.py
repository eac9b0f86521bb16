"""Checkpoints: bitwise round trips; a kill, an error or a full disk at every point of a save; damage; foreign models."""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import warnings

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.train import Batch, DamagedCheckpoint, StepConfig, load_checkpoint, next_token_loss, save_checkpoint, train_step
from kimi_mini.train import checkpoint as checkpoint_module
from kimi_mini.train.checkpoint import tidy

TINY = km.NANO.replace(vocab_size=64, hidden_size=16, num_hidden_layers=2, q_lora_rank=8, kv_lora_rank=8, n_routed_experts=4)
FILES = ["model.safetensors", "optimizer.safetensors", "state.json", "random.json", "SHA256SUMS"]


def _pair(config=TINY, seed=0, lr=1e-2, **optim):
    torch.manual_seed(seed)
    model = km.KimiMini(config)
    return model, build_optimizer(model, OptimConfig(lr=lr, **optim))


def _train(model, optimizer, steps, first=0):
    for i in range(first, first + steps):
        tokens = torch.randint(0, 64, (2, 9), generator=torch.Generator().manual_seed(i))
        batch = Batch(tokens[:, :-1], tokens[:, 1:])
        train_step(model, optimizer, [batch], next_token_loss, StepConfig(tau=1e-3))
    return model, optimizer


def _values(model, optimizer):
    """Everything learned, as bytes: weights, biases and moments."""
    moments = [(i, k, t) for i, entry in optimizer.state_dict()["state"].items() for k, t in entry.items()]
    found = [*model.state_dict().items(), *((f"{i}.{k}", t) for i, k, t in moments)]
    return {name: tensor.numpy().tobytes() for name, tensor in found}


@pytest.fixture
def trained():
    return _train(*_pair(), 2)


@pytest.fixture
def run(tmp_path, trained):
    """A folder with checkpoints of steps 1 and 2 that differ, and the values in each."""
    model, optimizer = _train(*_pair(), 1)
    save_checkpoint(tmp_path / "run", 1, model, optimizer, {"note": "first"})
    first = _values(model, optimizer)
    save_checkpoint(tmp_path / "run", 2, *trained, {"note": "second"})
    return tmp_path / "run", {1: first, 2: _values(*trained)}


def _restored(checkpoint):
    model, optimizer = _pair(seed=5)
    checkpoint.restore(model, optimizer)
    return _values(model, optimizer)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- round trips -----------------------------------------------------------------------------------------------------


def test_a_restored_pair_trains_on_bit_for_bit(tmp_path, trained):
    save_checkpoint(tmp_path, 2, *trained, {"cursor": {"next_batch": 7}})
    expected = _values(*_train(*trained, 3, first=2))
    model, optimizer = _train(*_pair(seed=5), 1, first=50)
    checkpoint = load_checkpoint(tmp_path)
    checkpoint.restore(model, optimizer)
    assert (checkpoint.step, checkpoint.state["cursor"]) == (2, {"next_batch": 7})
    assert _values(*_train(model, optimizer, 3, first=2)) == expected


def test_a_checkpoint_before_the_first_step(tmp_path):
    model, optimizer = _pair()
    save_checkpoint(tmp_path, 0, model, optimizer, {})
    other = _pair(seed=5)
    load_checkpoint(tmp_path).restore(*other)
    assert _values(*_train(*other, 1)) == _values(*_train(model, optimizer, 1))


def test_settings_of_the_optimizer_come_back_as_they_were(tmp_path):
    model, optimizer = _train(*_pair(betas=(0.8, 0.9), momentum=0.9), 1)
    optimizer.param_groups[0]["lr"] = 0.125
    save_checkpoint(tmp_path, 1, model, optimizer, {})
    other_model, other = _pair(seed=5)
    load_checkpoint(tmp_path).restore(other_model, other)
    for group, expected in zip(other.param_groups, optimizer.param_groups, strict=True):
        assert {k: v for k, v in group.items() if k != "params"} == {k: v for k, v in expected.items() if k != "params"}


def test_random_generators_come_back(tmp_path, trained):
    random.seed(3)
    np.random.seed(4)
    torch.manual_seed(5)
    np.random.normal()  # leaves half of a pair behind
    save_checkpoint(tmp_path, 2, *trained, {})

    def draw():
        return random.random(), random.gauss(0, 1), np.random.normal(), np.random.rand(), torch.rand(3).tolist()

    expected = draw()
    draw()
    load_checkpoint(tmp_path).restore(*_pair())
    assert draw() == expected


def test_half_precision_and_tied_heads(tmp_path):
    model, _ = _pair(TINY.replace(tie_word_embeddings=True))
    model, optimizer = model.bfloat16(), build_optimizer(model, OptimConfig())
    save_checkpoint(tmp_path, 0, model, optimizer, {})
    other = _pair(TINY.replace(tie_word_embeddings=True), seed=5)[0].bfloat16()
    load_checkpoint(tmp_path).restore(other, build_optimizer(other, OptimConfig()))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]) and tensor.dtype == other.state_dict()[name].dtype, name


def test_what_lies_on_the_disk(run):
    folder, _ = run
    assert _names(folder) == ["latest", "step-00000001", "step-00000002"]
    assert (folder / "latest").read_text() == "step-00000002\n"
    assert _names(folder / "step-00000002") == sorted(FILES)
    for line in (folder / "step-00000002" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / "step-00000002" / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_are_kept(tmp_path, trained, keep):
    for step in (5, 10, 100000000, 100000005):
        save_checkpoint(tmp_path, step, *trained, {}, keep=keep)
    kept = ["step-00000005", "step-00000010", "step-100000000", "step-100000005"][-keep:]
    assert _names(tmp_path) == ["latest", *kept]
    assert load_checkpoint(tmp_path).step == 100000005


def test_nothing_there_is_no_checkpoint(tmp_path):
    assert load_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path / "absent") is None


@pytest.mark.parametrize(("field", "value"), [("step", -1), ("step", 1.5), ("keep", 0)])
def test_settings_that_will_not_do(tmp_path, trained, field, value):
    with pytest.raises(ValueError, match=f"{field} = {value}"):
        save_checkpoint(
            tmp_path / "run", **{"step": 1, "keep": 2, field: value}, model=trained[0], optimizer=trained[1], state={}
        )
    assert _names(tmp_path) == []


# ---- cut off ---------------------------------------------------------------------------------------------------------

TOUCHES_THE_DISK = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"}


def _in_child(work):
    """Run `work` in a forked process; returns (exit status, what it returned as text)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(work()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    return os.waitpid(child, 0)[1], said


def _killed_at(call, work):
    """`work`, in a process that is killed just before its `call`-th look at the disk."""

    def killed():
        seen = 0

        def count(event, _arguments):
            nonlocal seen
            if event in TOUCHES_THE_DISK:
                seen += 1
                if seen == call:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()

    return _in_child(killed)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "keep"), [(3, 2), (3, 1), (2, 2)], ids=["next", "keep one", "the same step again"])
def test_a_kill_at_any_call_loses_nothing(run, tmp_path, trained, step, keep):
    folder, values = run
    model, optimizer = _train(*trained, 1, first=2)
    new = _values(model, optimizer)
    outcomes = []
    for call in range(1, 200):
        victim = tmp_path / f"victim-{call}"
        shutil.copytree(folder, victim)
        status, said = _killed_at(call, lambda victim=victim: save_checkpoint(victim, step, model, optimizer, {}, keep=keep))
        assert status in (0, signal.SIGKILL), said
        tidy(victim)  # what the next start does
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = _restored(load_checkpoint(victim))
        assert found in (values[2], new)
        outcomes.append(found == new)
        assert {name.split("-")[0] for name in _names(victim)} == {"latest", "step"}
        assert all(_names(path) == sorted(FILES) for path in victim.glob("step-*"))
        save_checkpoint(victim, step, model, optimizer, {}, keep=keep)
        assert _names(victim) == ["latest", *[f"step-{s:08d}" for s in range(step - keep + 1, step + 1)]]
        assert _restored(load_checkpoint(victim)) == new
        shutil.rmtree(victim)
        if status == 0:
            break
    assert status == 0 and len(outcomes) > 20
    assert outcomes == sorted(outcomes)  # first the old state, from one call on the new one


@pytest.mark.parametrize("torn", [*FILES, "latest.tmp"])
def test_a_kill_in_the_middle_of_a_file_loses_nothing(run, trained, torn, monkeypatch):
    folder, values = run
    write = checkpoint_module._write_flushed

    def half(path, content):
        if path.name == torn:
            path.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)

    monkeypatch.setattr(checkpoint_module, "_write_flushed", half)
    assert _in_child(lambda: save_checkpoint(folder, 3, *trained, {}))[0] == signal.SIGKILL
    assert _restored(load_checkpoint(folder)) == values[2]


@pytest.mark.parametrize("call", ["fsync", "rename", "replace"])
def test_an_error_in_a_save_leaves_no_rest(run, trained, call, monkeypatch):
    folder, values = run

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(PermissionError, match="step-00000003 could not be saved .Permission denied.*resume"):
            save_checkpoint(folder, 3, *trained, {})
    assert not [name for name in _names(folder) if name.endswith((".tmp", ".old"))]
    assert _restored(load_checkpoint(folder)) == values[2]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_cannot_grow(run, trained, share):
    """RLIMIT_FSIZE is a full disk that needs no disk: writes fail with EFBIG."""
    folder, values = run
    sizes = [path.stat().st_size for path in (folder / "step-00000002").iterdir()]

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * max(sizes)), resource.RLIM_INFINITY))
        save_checkpoint(folder, 3, *trained, {})

    status, said = _in_child(limited)
    assert status != 0 and "OSError(27" in said and "step-00000003 could not be saved (File too large)" in said
    needed = int(said.split("it needs ")[1].split(" bytes")[0].replace(",", ""))
    assert abs(needed - sum(sizes)) < 100  # one more digit here and there
    assert "step-00000002, step-00000001" in said
    assert _names(folder) == ["latest", "step-00000001", "step-00000002"]
    assert _restored(load_checkpoint(folder)) == values[2]


# ---- damage ----------------------------------------------------------------------------------------------------------


def _truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(run, name, damage):
    folder, values = run
    damage(folder / "step-00000002" / name)
    with pytest.warns(UserWarning, match="step-00000002.*Using .*step-00000001") as caught:
        checkpoint = load_checkpoint(folder)
    assert name in str(caught[0].message)
    assert checkpoint.state["note"] == "first" and _restored(checkpoint) == values[1]


def test_no_checkpoint_is_whole(run):
    folder, _ = run
    _flip(folder / "step-00000001" / "model.safetensors")
    _truncate(folder / "step-00000002" / "optimizer.safetensors")
    with pytest.raises(DamagedCheckpoint, match="(?s)2/optimizer.safetensors is damaged.*1/model.safetensors is damaged.*copy"):
        load_checkpoint(folder)


def test_a_damaged_one_is_replaced_when_the_run_gets_there_again(run, trained):
    folder, values = run
    _flip(folder / "step-00000002" / "model.safetensors")
    save_checkpoint(folder, 2, *trained, {})
    assert _restored(load_checkpoint(folder)) == values[2]
    assert _names(folder) == ["latest", "step-00000001", "step-00000002"]


def test_a_dropped_latest_costs_nothing(run):
    folder, values = run
    (folder / "latest").unlink()
    assert _restored(load_checkpoint(folder)) == values[2]


@pytest.mark.parametrize("content", [b"", b"step-0000", b"../../elsewhere", b"step-00000009\n", b"\xff\xfe\x00"])
def test_a_damaged_latest_is_said(run, content):
    folder, values = run
    (folder / "latest").write_bytes(content)
    with pytest.warns(UserWarning, match="latest (holds|names).*Using .*step-00000002"):
        assert _restored(load_checkpoint(folder)) == values[2]


def test_latest_may_name_an_older_one(run):
    folder, values = run
    (folder / "latest").write_text("step-00000001\n")
    assert _restored(load_checkpoint(folder)) == values[1]


def _forge(folder, name, content):
    """Put `content` in a file, with sums that match."""
    (folder / name).write_bytes(content)
    sums = [f"{hashlib.sha256((folder / f).read_bytes()).hexdigest()}  {f}\n" for f in FILES[:-1]]
    (folder / "SHA256SUMS").write_text("".join(sums))


@pytest.mark.parametrize("name", FILES[:-1])
def test_pickles_are_not_opened(run, name):
    folder, _ = run
    bomb = b"cos\nsystem\n(S'touch " + os.fsencode(folder / "boom") + b"'\ntR."
    for step in (1, 2):
        _forge(folder / f"step-{step:08d}", name, bomb)
    with pytest.raises(DamagedCheckpoint, match="does not hold a checkpoint"):
        load_checkpoint(folder)
    assert not (folder / "boom").exists()


# ---- foreign ---------------------------------------------------------------------------------------------------------


def _complaints(run, model, optimizer):
    folder, _ = run
    before = _values(model, optimizer)
    with pytest.raises(ValueError, match="step-00000002: the checkpoint belongs to another model or optimizer") as caught:
        load_checkpoint(folder).restore(model, optimizer)
    assert _values(model, optimizer) == before
    return str(caught.value)


def test_another_depth_lists_everything_missing_and_unexpected(run):
    message = _complaints(run, *_pair(TINY.replace(num_hidden_layers=3)))
    wanted = [name for name in km.KimiMini(TINY.replace(num_hidden_layers=3)).state_dict() if name.startswith("blocks.2.")]
    assert f"{len(wanted)} missing" in message and all(name in message for name in wanted)
    message = _complaints(run, *_pair(TINY.replace(num_hidden_layers=1)))
    assert "unexpected" in message and "blocks.1.mlp.experts.down," in message
    assert "blocks.1.mlp.experts.down.momentum" in message and "missing" not in message


def test_another_width_lists_every_shape(run):
    model, optimizer = _pair(TINY.replace(hidden_size=32))
    message = _complaints(run, model, optimizer)
    assert "embed.weight float32 [64, 16] (here float32 [64, 32])" in message
    changed = [n for n, t in _pair()[0].state_dict().items() if t.shape != model.state_dict()[n].shape]
    assert all(f"{name} float32" in message for name in changed)


def test_another_format_is_not_rounded_silently(run):
    model = _pair()[0].bfloat16()
    with pytest.raises(ValueError, match=r"embed.weight float32 \[64, 16\] \(here bfloat16"):
        load_checkpoint(run[0]).restore(model, build_optimizer(model, OptimConfig()))


def test_moments_that_do_not_fit_are_named(run):
    folder, _ = run
    path = folder / "step-00000002" / "optimizer.safetensors"
    moments = checkpoint_module.safetensors.torch.load(path.read_bytes())
    moments["embed.weight.exp_avg"] = torch.zeros(3, 3)
    _forge(path.parent, path.name, checkpoint_module.safetensors.torch.save(moments))
    assert "embed.weight.exp_avg float32 [3, 3]" in _complaints(run, *_pair())


def test_another_grouping_is_refused(run):
    model, _ = _pair()
    groups = [{"params": [p]} for p in model.parameters() if p.ndim > 1]
    groups += [{"params": [p], "algorithm": "adamw"} for p in model.parameters() if p.ndim == 1]
    optimizer = km.optim.Muon(groups)
    assert "in another group of the optimizer" in _complaints(run, model, optimizer)


def test_an_optimizer_of_another_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not the model's"):
        save_checkpoint(tmp_path / "run", 1, _pair()[0], _pair()[1], {})
    assert _names(tmp_path) == []


def test_state_is_plain_json(run):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    folder, _ = run
    for name in ("state.json", "random.json"):
        json.loads((folder / "step-00000002" / name).read_bytes(), parse_constant=refuse)
