"""What lab 4 says of the recorded runs is what they hold; what its instructor's notebook needs is there."""

import math
import re

import pytest

from kimi_mini.viz.muonclip_runs import Run, load_runs, pick
from labs.course import instructor_lab
from labs.course.find import ROOT, load_notebook

RUNS = load_runs(ROOT / "book" / "data" / "muonclip")


def _runs(tau: float, **more) -> list[Run]:
    """The runs at the lab's rate, one a seed."""
    return pick(RUNS, optimizer="muon", lr=0.1, tau=tau, **more)


@pytest.fixture(scope="module")
def prose():
    return " ".join(next(cell.source for cell in load_notebook("lab04").cells if cell.id == "explode-after").split())


def test_whole_layers_run_away(prose):
    assert "All sixteen heads of layers 1 and 2 passed 100, and none of the eight of layer 0 did." in prose
    for run in _runs(math.inf):
        assert (run.max_logits > 100).any(0).sum(1).tolist() == [0, 8, 8]


def test_no_run_broke_and_the_clip_cost_nothing(prose):
    assert "No run broke" in prose and "the loss at the end was a little lower with it, for each seed" in prose
    free, clipped = _runs(math.inf), _runs(100.0)
    assert all(len(run.loss) == 150 for run in free + clipped)
    assert all(run.end_loss < run.loss[-50:-25].mean() for run in free), "the loss went on falling"
    assert all(0 < one.end_loss - other.end_loss < 0.1 for one, other in zip(free, clipped, strict=True))


def test_the_largest_logits_are_those_of_the_runs(prose):
    assert re.search(r"grew to about 11,000\b", prose) and re.search(r"the largest logit was 242\b", prose)
    assert round(max(run.max_logits.max() for run in _runs(math.inf)), -3) == 11_000
    assert round(max(run.max_logits.max() for run in _runs(100.0))) == 242
    low, high = map(int, re.search(r"stayed between (\d+) and (\d+)", prose).groups())
    decayed = [run.max_logits.max() for run in _runs(math.inf, decay=0.1)]
    assert (round(min(decayed)), round(max(decayed))) == (low, high)


def test_the_instructors_guesses_are_locked():
    lab = instructor_lab("lab04")
    assert lab.passed("heads_beyond_100")
    assert lab.answers == {"heads_beyond_100": {"value": 12.0, "confidence": 50}}
