"""runs.rl: one thing changed at a time."""

import dataclasses

import pytest

from kimi_mini import corpus
from runs import rl


def test_every_point_changes_what_it_says_and_nothing_else():
    base = rl.Point("tau0.1", 1).config
    assert len({point.name for point in rl.points()}) == len(rl.points()) == 27
    for change, fields in rl.CHANGES.items():
        config = rl.Point(change, 1).config
        assert {name for name, value in vars(base).items() if getattr(config, name) != value} == set(fields)
    assert rl.Point("cooled", 0).config.temperature_at(rl.BASE.steps - 1) == pytest.approx(0.7)


@pytest.mark.slow
def test_a_row_says_what_was_measured(monkeypatch):
    monkeypatch.setattr(rl, "BASE", dataclasses.replace(rl.BASE, problems=2, group=4, pool=16, held_out=8))
    monkeypatch.setattr(rl, "WINDOWS", 2)
    row = rl.record(rl.Point("ptx", 0), corpus.load(), steps=1)
    assert [step for step, _ in row["held"]] == [0, 1] and len(row["text_loss"]) == 2
    assert {len(numbers) for numbers in row["log"].values()} == {1} and row["drift"][1][1] > 0
