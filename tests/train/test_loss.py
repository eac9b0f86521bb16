"""The next-token loss in its two forms: one step is the same step, and the second never holds the logits."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.train import Batch, StepConfig, linear_next_token_loss, next_token_loss, train_step
from kimi_mini.train.loss import fitting_next_token_loss, loss_of


def _batch(rows=3, length=12):
    tokens = torch.randint(0, 512, (rows, length + 1), generator=torch.Generator().manual_seed(0))
    batch = Batch(tokens[:, :-1], tokens[:, 1:].clone())
    batch.targets_BT[0, 3:] = -100
    return batch


def _model(**changes):
    torch.manual_seed(0)
    return km.KimiMini(km.NANO.replace(**changes)).double()


@pytest.mark.parametrize("tied", [False, True])
def test_a_step_without_logits_is_the_same_step(tied):
    config, reports, models = StepConfig(tau=1e-3, aux_loss_alpha=0.1), [], []
    for loss_fn in (next_token_loss, linear_next_token_loss):
        model = _model(tie_word_embeddings=tied)
        reports.append(train_step(model, torch.optim.SGD(model.parameters(), 0.1), [_batch(), _batch(1)], loss_fn, config))
        models.append(model)
    assert reports[0].loss == pytest.approx(reports[1].loss, rel=1e-12) and reports[0].count == reports[1].count == 30
    assert reports[0].grad_norm == pytest.approx(reports[1].grad_norm, rel=1e-10)
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)


class Sizes(TorchDispatchMode):
    """The shapes of all results inside."""

    def __init__(self):
        super().__init__()
        self.shapes = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.shapes |= {tuple(t.shape) for t in (out if isinstance(out, (list, tuple)) else [out]) if torch.is_tensor(t)}
        return out


def test_a_step_without_logits_holds_no_logits(monkeypatch):
    monkeypatch.setattr(kernels.linear_cross_entropy_torch, "CHUNK", 8)
    model, batch = _model(), _batch(rows=2)
    D, V, held = model.config.hidden_size, model.config.vocab_size, {}
    for loss_fn in (next_token_loss, linear_next_token_loss):
        with Sizes() as seen:
            loss_of(model, batch, loss_fn)[0].backward()
        held[loss_fn] = max(math.prod(shape[:-1]) for shape in seen.shapes if shape[-1:] == (V,) and shape != (D, V))
    assert held == {next_token_loss: 24, linear_next_token_loss: 8}


def test_which_loss_a_run_takes():
    model = _model().float()
    assert fitting_next_token_loss(model) is next_token_loss  # on a CPU: recorded runs keep their bits
    with kernels.using("triton"):
        assert fitting_next_token_loss(model) is linear_next_token_loss
