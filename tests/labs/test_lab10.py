"""Lab 10: its table says what the specification says, and what its notebook says of its own runs is what they do."""

import pytest
import torch

from labs.course.find import load_notebook, load_spec
from tests.labs.notebooks import worked

SPEC = load_spec("lab10")
CELLS = {cell.id: cell.source for cell in load_notebook("lab10").cells}


@pytest.fixture(scope="module")
def names():
    """What the cells before the climb define, with the package's functions for a student's."""
    with worked(CELLS, SPEC, "verifier-use", "climb-code") as known:
        yield known


@pytest.mark.parametrize("cell", ["verifier-use", "centred-use", "objective-use", "budget-use", "own"])
def test_use_cells_show_what_they_say(names, cell, capsys):
    exec(CELLS[cell], names)
    assert "not yet" not in capsys.readouterr().out


def test_the_students_objective_is_what_the_step_follows(names):
    """The gradient that reaches the logits is the package's objective's, summed over groups."""
    from kimi_mini.rl.loss import PolicyBatch, k2_policy_loss, target_logprobs

    gen = torch.Generator().manual_seed(0)
    logits_BTV = torch.randn(16, 5, 7, generator=gen, requires_grad=True)
    targets_BT = torch.randint(7, (16, 5), generator=gen)
    targets_BT[:, :2] = -100
    old_BT = -torch.rand(16, 5, generator=gen)
    batch = PolicyBatch(targets_BT, targets_BT, advantages_B=torch.randn(16, generator=gen), old_logprobs_BT=old_BT)
    total, count = names["by_your_objective"](logits_BTV, batch)
    (found,) = torch.autograd.grad(total / count, logits_BTV)
    new_BT = target_logprobs(logits_BTV, targets_BT)
    total, count = k2_policy_loss(new_BT, old_BT, batch.advantages_B, targets_BT != -100, names["TAU"])
    (expected,) = torch.autograd.grad(total / count, logits_BTV)
    assert torch.allclose(found, expected, atol=1e-6) and found.abs().max() > 0.01


@pytest.mark.slow
def test_the_policy_climbs(names, capsys):
    names["lab"].answers["climbed"] = {"value": 90}
    right = names["report"](names["lab_task"], names["mark"])
    out = capsys.readouterr().out
    before = int(out.split("before: ")[1].split()[0])
    said = int(CELLS["guess-text"].split("Before it, ")[1].split()[0])
    assert abs(before - said) <= 6, "the number that the guess is made from, but for another machine's rounding"
    assert right > before + 16, out
