"""Lab 11: its table says what the specification says, and its toy actor does what the lab and its sheet say of it."""

import pytest
import torch

from labs.course.find import load_notebook, load_spec
from tests.labs.notebooks import worked

SPEC = load_spec("lab11")
CELLS = {cell.id: cell.source for cell in load_notebook("lab11").cells}


@pytest.fixture(scope="module")
def names():
    """What all cells and the runs define, with the reference functions for a student's."""
    with worked(CELLS, SPEC, "pairwise-use", "ranks-use") as known:
        known["lab"].answers["frozen_praise"] = {"value": 70}
        exec(CELLS["actor"], known)
        yield known


def test_the_actor_begins_where_the_guess_says(names):
    for rows, _ in names["runs"].values():
        score, truth, praise = rows[0]
        assert (round(score, 2), round(truth, 2), round(praise, 2)) == (0.5, 0.33, 0.67)


def test_a_frozen_critic_pays_for_praise_and_the_function_names_it(names):
    rows, samples = names["runs"]["frozen"]
    assert rows[-1][2] > 0.9 and rows[-1][0] > 0.85 and rows[-1][1] < 0.55
    name, total = names["name_the_hack"](samples)
    assert name == "praise" and total > 0.05


def test_the_loop_stops_paying_and_does_not_undo(names):
    """After the lessons the critic ties on praise, yet most answers still open with it."""
    weights = names["bootstrapped"](names["random"].Random(0))
    plain, praised = names["ANSWERS"][0], names["ANSWERS"][4]
    assert names["verdict"](praised, plain, names["toy_critic"](weights)) == 1.0
    answers = [{"text": text, "critic": 0.0, "check": check, "truth": check} for text, check in names["VERIFIABLE"]]
    for _ in range(30):
        names["learn"](weights, names["lessons"]([{"prompt": "", "step": 0, "verifiable": True, "answers": answers}], 0, 3))
    assert names["verdict"](praised, plain, names["toy_critic"](weights)) == 0.5
    assert names["runs"]["loop"][0][-1][2] > 0.8


def test_the_rule_brings_the_truth(names):
    score, truth, praise = names["runs"]["rule"][0][-1]
    assert truth > 0.9 and praise < 0.1 and score < names["runs"]["frozen"][0][-1][0]


def test_the_actors_update_descends_the_reports_loss():
    """One step on two logits by hand: advantages +1 and -1, no ratio yet, so the gradient is -2 tau times their mean pull."""
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    drawn, paid, tau = [0, 1], torch.tensor([1.0, -1.0], dtype=torch.float64), 0.5
    old = logits.detach().log_softmax(0)[drawn]
    loss = (paid - tau * (logits.log_softmax(0)[drawn] - old)).square().mean()
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.tensor([-1.0, 1.0], dtype=torch.float64) * tau)
