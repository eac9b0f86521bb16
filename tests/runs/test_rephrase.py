"""The run behind *Saying it ten ways*: three ways to read, equal tokens, and rows that can be made again."""

import json

import numpy as np
import pytest
import torch

from kimi_mini import corpus
from kimi_mini.dev import ROOT
from kimi_mini.kernels.rows import IGNORE
from runs import rephrase
from runs.rephrase import Point

ROWS = sorted((ROOT / rephrase.FOLDER).glob("*.json"))


@pytest.fixture(scope="module")
def text():
    return corpus.load()


@pytest.fixture(scope="module")
def taught(text):
    return rephrase.taught_villages(0, text)


def test_a_point_is_made_once(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(rephrase, "record", lambda at, text: made.append(at.name) or {"seconds": 1.5})
    for _ in range(2):
        rephrase.main(["--out", str(tmp_path), "--shard", "0/12"])
    assert len(made) == 2 and {path.stem for path in tmp_path.iterdir()} == set(made)


def test_the_points_are_a_sweep_and_three_seeds_of_both_lengths():
    points = list(rephrase.points())
    assert len(points) == len(set(points)) == 24
    for readings in (10, 40):
        assert sum(p.readings == readings and p.lr == rephrase.RATE for p in points) == 9


@pytest.mark.parametrize("readings", [10, 40])
def test_all_students_read_equally_many_tokens(text, taught, readings):
    spent = {}
    for student in rephrase.STUDENTS:
        lessons = rephrase.reading_list(Point(student, readings, 0.003, 0), taught, text)
        spent[student] = sum(len(ids) for reading in lessons for ids in reading)
    longest = max(len(text.tokenizer.encode(one)) + 2 for village in taught for one in (village.raw, *village.versions))
    assert max(spent.values()) - min(spent.values()) < longest <= rephrase.LENGTH


def test_a_student_reads_its_own_texts_in_the_same_order_of_villages(text, taught):
    first = {s: rephrase.reading_list(Point(s, 10, 0.003, 0), taught, text)[0] for s in rephrase.STUDENTS}
    decoded = {s: [text.tokenizer.decode(ids[1:-1]) for ids in lesson] for s, lesson in first.items()}
    assert decoded["one"] == decoded["ten"] and set(decoded["raw"]) == {village.raw for village in taught}
    named = [next(v.name for v in taught if v.name in one) for one in decoded["raw"]]
    assert named == [next(v.name for v in taught if v.name in one) for one in decoded["ten"]]
    second = rephrase.readings("ten", taught, 11)
    assert second[1] != second[0] == second[10]


def test_rows_are_texts_then_replay(text, taught):
    lessons = rephrase.reading_list(Point("raw", 10, 0.003, 0), taught, text)[0][:3]
    batch = rephrase.with_replay(lessons, rephrase.replayed(0, text))
    assert batch.tokens_BT.shape == (3 + rephrase.REPLAYED, rephrase.LENGTH)
    for row, ids in enumerate(lessons):
        assert batch.targets_BT[row, : len(ids) - 1].tolist() == ids[1:]
        assert (batch.targets_BT[row, len(ids) - 1 :] == IGNORE).all()
    assert (batch.targets_BT[3:] != IGNORE).all()


def test_the_loss_apart_is_the_usual_one_and_the_villages_share(text, taught):
    lessons = rephrase.reading_list(Point("raw", 10, 0.003, 0), taught, text)[0][:3]
    batch = rephrase.with_replay(lessons, rephrase.replayed(0, text))
    logits = torch.randn(*batch.tokens_BT.shape, text.tokenizer.vocab_size)
    apart = rephrase.LossApart()
    whole, count = apart(logits, batch)
    expected, targets = rephrase.next_token_loss(logits, batch)
    assert whole == pytest.approx(float(expected), rel=1e-5) and count == targets
    assert apart.count == sum(len(ids) - 1 for ids in lessons)


def test_logits_do_not_depend_on_neighbours(text):
    model, tokenizer = rephrase.km.load_mini()
    ids = [[tokenizer.bos, *tokenizer.encode(one)] for one in ("The king", "It was founded in the early days by a", "A")]
    together = rephrase.next_logits(model, ids, size=3)
    for row, one in enumerate(ids):
        torch.testing.assert_close(together[row], rephrase.next_logits(model, [one])[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_a_recorded_row_is_whole(path):
    row = json.loads(path.read_text(encoding="utf-8"))
    assert path.stem == Point(row["student"], row["readings"], row["lr"], row["seed"]).name
    assert row["checkpoints"] == ([10, 20, 30, 40] if row["readings"] == 40 else [10])
    assert all(len(exact) == 5 * 4 * rephrase.COUNT and set(exact) == {"0", "1"} for exact in row["exact"])
    assert np.isfinite(row["train_loss"]).all() and row["train_loss"][-1] < 1 < row["train_loss"][0]


def test_every_point_was_recorded():
    assert {path.stem for path in ROWS} == {point.name for point in rephrase.points()}


@pytest.mark.slow
def test_a_recorded_row_can_be_made_again(text):
    told = json.loads((ROOT / rephrase.FOLDER / "one-read10-lr0.003-seed1.json").read_text())
    again = rephrase.record(Point("one", 10, rephrase.RATE, 1), text, stop=3)
    assert again["train_loss"] == pytest.approx(told["train_loss"][:3], rel=2e-2)
