"""What lab 4 says of the recorded runs is what they hold; what its instructor's notebook needs is there."""

import json
import re
from pathlib import Path

import pytest

from labs.course import instructor_lab
from labs.course.find import ROOT, load_notebook
from runs.muonclip import max_logits, unpack

DATA = ROOT / "book" / "data" / "muonclip"


def _rows(tau: str) -> list[dict]:
    """The runs at the lab's rate, one a seed."""
    return [json.loads(Path(DATA / f"muon-lr0.1-tau{tau}-seed{seed}.json").read_text()) for seed in (0, 1, 2)]


def _final_loss(row: dict) -> float:
    """Mean over the last 50 updates; every second one is recorded."""
    return unpack(row["loss"], row["shape"][:1])[-25:].mean()


@pytest.fixture(scope="module")
def prose():
    return " ".join(next(cell.source for cell in load_notebook("lab04").cells if cell.id == "explode-after").split())


def test_whole_layers_run_away(prose):
    assert "All sixteen heads of layers 1 and 2 passed 100, and none of the eight of layer 0 did." in prose
    for row in _rows("inf"):
        assert (max_logits(row) > 100).any(0).sum(1).tolist() == [0, 8, 8]


def test_no_run_broke_and_the_clip_cost_nothing(prose):
    assert "No run broke" in prose and "the loss at the end was a little lower with it, for each seed" in prose
    free, clipped = _rows("inf"), _rows("100")
    assert [row["broke_at"] for row in free + clipped] == [None] * 6
    assert all(_final_loss(row) < unpack(row["loss"], row["shape"][:1])[-50:-25].mean() for row in free)
    gaps = [_final_loss(one) - _final_loss(other) for one, other in zip(free, clipped, strict=True)]
    assert all(0 < gap < 0.1 for gap in gaps)


def test_the_largest_logits_are_those_of_the_runs(prose):
    assert re.search(r"grew to about 11,000\b", prose) and re.search(r"the largest logit was 242\b", prose)
    assert round(max(max_logits(row).max() for row in _rows("inf")), -3) == 11_000
    assert round(max(max_logits(row).max() for row in _rows("100"))) == 242


def test_the_instructors_guesses_are_locked():
    lab = instructor_lab("lab04")
    assert lab.passed("heads_beyond_100")
    assert lab.answers == {"heads_beyond_100": {"value": 12.0, "confidence": 50}}
