"""Writing: a save is whole or not there, and never costs what was there before."""

import os
import resource

import pytest
import torch

import kimi_mini as km
from kimi_mini.hub import save as save_module

from .helpers import CONFIG, make_model, same


def contents(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Interrupted(BaseException):
    """Like KeyboardInterrupt: no `except Exception` catches it."""


@pytest.mark.parametrize("error", [Interrupted, OSError])
@pytest.mark.parametrize("step", ["second shard", "index", "rename"])
def test_an_interrupted_save_leaves_the_earlier_one_and_no_debris(folder, monkeypatch, step, error):
    calls = {"n": 0}
    owner, name, when = {
        "second shard": (save_module, "save_file", 2),
        "index": (save_module, "_write_json", 2),
        "rename": (os, "rename", 2),
    }[step]
    original = getattr(owner, name)

    def fail(*args, **kwargs):
        calls["n"] += 1
        if calls["n"] == when:
            raise error("stop")
        return original(*args, **kwargs)

    before = contents(folder.parent)
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(error):
        km.save_pretrained(make_model(seed=1), folder, max_shard_bytes=50_000)
    assert calls["n"] >= when
    assert contents(folder.parent) == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_first_save_that_is_interrupted_leaves_nothing(model, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise Interrupted

    monkeypatch.setattr(save_module, "save_file", fail)
    with pytest.raises(Interrupted):
        km.save_pretrained(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_os_error_and_costs_nothing(folder):
    before = contents(folder.parent)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))  # the system refuses to write more than this into any file
    try:
        with pytest.raises(OSError, match="nothing there has changed"):
            km.save_pretrained(make_model(seed=1), folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(folder.parent) == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_an_earlier_save_is_replaced_whole(sharded):
    other = make_model(seed=1)
    km.save_pretrained(other, sharded)
    assert sorted(p.name for p in sharded.iterdir()) == ["config.json", "model.safetensors"]  # no shard of the old one
    assert same(km.from_pretrained(sharded), other)
    assert [p.name for p in sharded.parent.iterdir()] == ["sharded"]


def test_a_model_may_be_saved_over_the_folder_it_came_from(folder, model):
    km.save_pretrained(km.from_pretrained(folder), folder)
    assert same(km.from_pretrained(folder), model)


@pytest.mark.parametrize("kind", ["new", "empty", "deep", "link"])
def test_places_a_save_may_go(model, tmp_path, kind):
    target = tmp_path / "a" / "b" / "c" if kind == "deep" else tmp_path / "m"
    if kind in ("empty", "link"):
        target.mkdir()
    if kind == "link":
        (tmp_path / "link").symlink_to(target, target_is_directory=True)
    km.save_pretrained(model, tmp_path / "link" if kind == "link" else target)
    assert same(km.from_pretrained(target), model)


@pytest.mark.parametrize("other", ["tokenizer.json", "notes/", "pytorch_model.bin"])
def test_a_folder_with_other_things_is_left_alone(folder, other):
    (folder / other).mkdir() if other.endswith("/") else (folder / other).write_text("mine")
    before = contents(folder)
    with pytest.raises(ValueError, match=f"holds other things .*{other.rstrip('/')}"):
        km.save_pretrained(make_model(seed=1), folder)
    assert contents(folder) == before


def test_a_file_is_not_replaced(model, tmp_path):
    (tmp_path / "m").write_text("mine")
    with pytest.raises(ValueError, match="is a file"):
        km.save_pretrained(model, tmp_path / "m")
    assert (tmp_path / "m").read_text() == "mine"


def test_wrong_arguments_of_save(model, tmp_path):
    for value in (0, -1, 1.5, "5GB"):
        with pytest.raises(ValueError, match="max_shard_bytes = "):
            km.save_pretrained(model, tmp_path / "m", max_shard_bytes=value)
    with torch.device("meta"), pytest.raises(ValueError, match="embed.weight is on the meta device"):
        km.save_pretrained(km.KimiMini(CONFIG), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
