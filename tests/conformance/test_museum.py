"""The museum: each piece is a patch that fits, runs in a training step, is taken out again, and changes what it should."""

import inspect

import pytest
import torch

import kimi_mini as km
from kimi_mini.conformance import PIECES, SUSPECTS, piece
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.train import Batch, StepConfig, next_token_loss, train_step

NAMED = pytest.mark.parametrize("p", PIECES, ids=lambda p: p.name)


def trained(steps: int = 3, tau: float = 0.02) -> dict[str, torch.Tensor]:
    """Weights after a few steps of two micro-batches each; tau is low enough that some heads are clipped in each step."""
    torch.manual_seed(0)
    model = km.KimiMini(km.NANO)
    optimizer = build_optimizer(model, OptimConfig(lr=3e-3))
    gen = torch.Generator().manual_seed(1)
    for _ in range(steps):
        texts = [torch.randint(512, (2, 17), generator=gen) for _ in range(2)]
        batches = [Batch(text_BT[:, :-1], text_BT[:, 1:]) for text_BT in texts]
        train_step(model, optimizer, batches, next_token_loss, StepConfig(tau=tau))
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def healthy():
    return trained()


@NAMED
def test_a_piece_is_a_line_or_two_away(p):
    assert p.suspect in SUSPECTS
    removed, added = (sum(line[0] == sign for line in p.diff) for sign in "-+")
    assert 1 <= removed <= 3 and 1 <= added <= 4
    assert p.explanation.endswith(".") and p.title and p.killed_by.count(".") == 1


def test_names_differ_and_every_suspect_has_pieces():
    assert len({p.name for p in PIECES}) == len(PIECES) >= 12
    assert {p.suspect for p in PIECES} == set(SUSPECTS)
    with pytest.raises(ValueError, match="piece = 'nothing' will not do; expected 'before-mask' or"):
        piece("nothing")


@NAMED
def test_a_piece_trains_differently(p, healthy):
    with p.installed():
        if p.name == "clamped-ratio":  # no head of this run is negative throughout, as in most runs: nobody would notice
            assert all(value.equal(healthy[name]) for name, value in trained().items())
            return
        wrong = trained()
    assert any(not value.equal(healthy[name]) for name, value in wrong.items())


def test_after_all_of_them_the_package_is_itself(healthy):
    for p in PIECES:
        with p.installed():
            pass
    with pytest.raises(KeyError), PIECES[0].installed():
        raise KeyError
    assert all(value.equal(healthy[name]) for name, value in trained().items())


def test_wrong_code_can_be_read_where_it_runs():
    wrong = piece("rope-root").compiled()
    assert "self.q_up_rope.mul_(gamma**alpha)" in inspect.getsource(wrong)


def test_a_patch_that_does_not_fit_is_refused():
    from dataclasses import replace

    broken = replace(PIECES[0], changes=(("no such line", "x"),))
    with pytest.raises(ValueError, match="places of 'no such line'"):
        broken.wrong  # noqa: B018
