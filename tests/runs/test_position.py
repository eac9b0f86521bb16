"""The runs behind *Where is a word?*: made once, the same readings of the same text, and made again with the same numbers."""

import json

import numpy as np
import pytest
import torch

import kimi_mini as km
from kimi_mini import corpus
from kimi_mini.dev import ROOT
from runs import position

ROWS = sorted((ROOT / position.FOLDER).glob("*.json"))


@pytest.fixture(scope="module")
def text():
    return corpus.load()


@pytest.fixture(scope="module")
def model(text):
    torch.manual_seed(0)
    return km.KimiMini(position.model_config(text), torch.float32)


def test_a_point_is_made_once(tmp_path, capsys, monkeypatch):
    made = []
    monkeypatch.setattr(position, "record", lambda seed, text: made.append(seed) or {"seconds": 1.5})
    for _ in range(2):
        position.main(["--out", str(tmp_path), "--shard", "1/2"])
    assert made == [1] and json.loads((tmp_path / "seed1.json").read_text()) == {"seconds": 1.5}
    position.main(["--out", str(tmp_path), "--list"])
    assert capsys.readouterr().out.splitlines()[-4:-1] == ["missing seed0", "done    seed1", "missing seed2"]


def test_three_of_eight_clocks_finish_a_lap_in_training(text):
    turned = km.model.rope.rope_frequencies(position.model_config(text)) * position.SHORT / (2 * torch.pi)
    assert int((turned >= 1).sum()) == 3 and len(turned) == 8
    scaled = position.model_config(text).replace(rope_scaling=position.yarn(32.0))
    assert km.model.rope.yarn_range(scaled) == (2, 3), "as in K2 a step, right behind the last clock that finishes a lap"


def test_text_is_held_out_and_targets_follow_inputs(text, model, monkeypatch):
    text_WT = position.held_out(text)
    assert text_WT.shape == (position.WINDOWS, position.LONG + 1)
    assert torch.equal(text_WT[0, -1:], text_WT[1, :1])
    short = text_WT[:2, : position.SHORT + 1]
    torch.testing.assert_close(position.read(model, short), position.read_in_pieces(model, short), atol=1e-4, rtol=0)


def test_readings_differ_only_beyond_what_they_change(text, model):
    window = position.held_out(text)[:1, :201]
    plain = position.read(model, window)
    assert torch.equal(plain, position.read(model, window, slow=1.0))
    for how in ({"scaling": position.yarn(32.0)}, {"slow": 32.0}, {"half_split": True}):
        changed = position.read(model, window, **how)
        assert changed.shape == plain.shape and not torch.equal(changed, plain)
        assert torch.allclose(changed[:, 0], plain[:, 0], atol=1e-4), "position 0 turns nothing"


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_recorded_row_is_whole(path):
    row = json.loads(path.read_text(encoding="utf-8"))
    assert path.stem == f"seed{row['seed']}" and row["seed"] in position.SEEDS
    assert len(row["train_loss"]) == row["steps"] == position.STEPS and row["longer_steps"] == position.LONGER_STEPS
    for stage, losses in row["losses"].items():
        assert list(losses) == ["pieces", *position.readings(stage)]
        assert np.isfinite(list(losses.values())).all() and {len(loss) for loss in losses.values()} == {32}
        assert losses["plain"][0] == losses["pieces"][0], "within the trained length there is nothing to cut"


@pytest.mark.slow
def test_a_recorded_row_can_be_made_again(text, monkeypatch):
    told = json.loads((ROOT / position.FOLDER / "seed0.json").read_text())
    monkeypatch.setattr(position, "WINDOWS", 1)
    again = position.record(0, text, steps=20, longer_steps=1)
    assert again["train_loss"] == pytest.approx(told["train_loss"][:20], rel=2e-2)
