"""train_step: the division, the clip on the next forward pass, the guard, and several ranks as one."""

import dataclasses
import inspect
import math

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import kimi_mini as km
from kimi_mini.optim import OptimConfig, build_optimizer
from kimi_mini.train import Batch, StepConfig, next_token_loss, train_step

QUIET = StepConfig(tau=math.inf, bias_rate=0.0, max_grad_norm=math.inf)


def _batch(rows=4, length=12, seed=0):
    tokens = torch.randint(0, 512, (rows, length + 1), generator=torch.Generator().manual_seed(seed))
    return Batch(tokens[:, :-1], tokens[:, 1:].clone())


def _model(seed=0, **changes):
    torch.manual_seed(seed)
    return km.KimiMini(km.NANO.replace(**changes)).double()


def _split(batch, sizes):
    parts = zip(batch.tokens_BT.split(sizes), batch.targets_BT.split(sizes), strict=True)
    return [Batch(tokens, targets) for tokens, targets in parts]


def _step(model, batches, config=QUIET, lr=1e-2):
    return train_step(model, build_optimizer(model, OptimConfig(lr=lr)), batches, next_token_loss, config)


def _assert_same(a, b, tolerance=1e-10):
    for (name, p), q in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}")


def test_micro_batches_of_unequal_size_are_one_batch():
    batch = _batch()
    batch.targets_BT[0, 3:] = -100  # and of unequal numbers of targets
    whole, parts = _model(), _model()
    a = _step(whole, [batch], StepConfig(tau=1e-3))
    b = _step(parts, _split(batch, [1, 3]), StepConfig(tau=1e-3))
    _assert_same(whole, parts)
    assert a.loss == pytest.approx(b.loss, rel=1e-12) and a.count == b.count == 39
    assert torch.equal(a.stats.expert_load_LE, b.stats.expert_load_LE)
    torch.testing.assert_close(a.stats.max_logits_LH, b.stats.max_logits_LH)


def test_gradient_is_that_of_the_mean_loss():
    """Muon and AdamW hardly notice a wrong scale; gradient clipping and plain SGD do."""
    batch = _batch()
    model, reference = _model(), _model()
    logits = reference(batch.tokens_BT).logits_BTV
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets_BT.flatten()).backward()
    _step(model, _split(batch, [3, 1]), lr=0.0)
    for p, q in zip(model.parameters(), reference.parameters(), strict=True):
        if q.grad is not None:
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-9, atol=1e-12)


def test_the_balance_loss_is_added_to_the_mean_loss_and_not_reported():
    batch, alpha = _batch(), 0.5
    model, twin, plain = _model(), _model(), _model()
    report = _step(model, [batch], dataclasses.replace(QUIET, aux_loss_alpha=alpha))
    out = twin(batch.tokens_BT, balance_loss=True)
    loss_sum, count = next_token_loss(out.logits_BTV, batch)
    (loss_sum / count + alpha * out.stats.balance_loss).backward()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-9, atol=1e-12)
    assert report.loss == _step(plain, [batch]).loss


def test_loss_is_the_mean_over_targets():
    model, batch = _model(), _batch()
    logits = model(batch.tokens_BT).logits_BTV
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets_BT.flatten())
    assert _step(model, [batch]).loss == pytest.approx(expected.item(), rel=1e-12)


def test_at_rate_zero_the_next_maximum_is_min_of_s_and_tau():
    """The test that catches a wrong wiring: only the clip moves weights. (First layer: its inputs are then the same.)"""
    model, batch = _model(num_hidden_layers=1), _batch()
    with torch.no_grad():
        model.blocks[0].attn.q_up.weight.mul_(200)
        model.blocks[0].attn.q_up_nope[1].mul_(3)
    before = model(batch.tokens_BT).stats.max_logits_LH
    tau = before.flatten().sort().values[1].item()
    report = _step(model, _split(batch, [2, 2]), StepConfig(tau=tau, bias_rate=0.0), lr=0.0)
    after = model(batch.tokens_BT).stats.max_logits_LH
    torch.testing.assert_close(after, before.clamp_max(tau), rtol=1e-12, atol=1e-12)
    assert (report.gamma_LH < 1).any() and (report.gamma_LH == 1).any()


def test_padding_changes_nothing():
    batch = _batch()
    pad = torch.full((4, 5), 7)
    mask = torch.cat((torch.ones(4, 12), torch.zeros(4, 5)), 1).bool()
    padded = Batch(torch.cat((batch.tokens_BT, pad), 1), torch.cat((batch.targets_BT, torch.full((4, 5), -100)), 1), mask)
    plain, with_padding = _model(), _model()
    a, b = _step(plain, [batch], StepConfig(tau=1e-3)), _step(with_padding, [padded], StepConfig(tau=1e-3))
    _assert_same(plain, with_padding)
    assert torch.equal(a.stats.expert_load_LE, b.stats.expert_load_LE)


def test_biases_move_once_per_step_from_the_whole_batch():
    model, batch = _model(), _batch()
    report = _step(model, _split(batch, [1, 1, 2]), StepConfig(bias_rate=0.01))
    bias = model.blocks[1].mlp.router.selection_bias
    load = report.stats.expert_load_LE[1].double()
    torch.testing.assert_close(bias, 0.01 * torch.sign(load.mean() - load))
    assert report.stats.expert_load_LE.sum(1).tolist() == [0, 96, 96]  # 48 tokens, 2 experts each, dense layer 0


def test_gradient_norm_is_clipped_and_reported_unclipped():
    batch = _batch()
    report = _step(_model(), [batch], StepConfig(max_grad_norm=1e-3))
    free = _step(_model(), [batch])
    assert report.grad_norm == pytest.approx(free.grad_norm) and report.grad_norm > 1e-3
    model = _model()
    _step(model, [batch], StepConfig(max_grad_norm=1e-3))
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_non_finite_step_raises_and_leaves_the_weights():
    model = _model()
    with torch.no_grad():
        model.head.weight[3, 3] = float("inf")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(FloatingPointError, match="The weights were not touched"):
        _step(model, [_batch()])
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_nothing_to_learn_from_is_an_error():
    batch = _batch()
    with pytest.raises(ValueError, match="no micro-batch has a target"):
        _step(_model(), [Batch(batch.tokens_BT, torch.full_like(batch.targets_BT, -100))])
    with pytest.raises(ValueError, match="micro_batches is empty"):
        _step(_model(), [])


def test_works_with_any_torch_optimizer():
    model = _model()
    report = train_step(model, torch.optim.SGD(model.parameters(), 0.1), [_batch()], next_token_loss, StepConfig(tau=1e-3))
    assert math.isfinite(report.loss) and (report.gamma_LH < 1).any()


def test_a_few_steps_learn_a_repeated_batch():
    torch.manual_seed(0)
    model, batch = km.KimiMini(km.NANO), _batch(length=32)
    optimizer = build_optimizer(model, OptimConfig(lr=3e-3))
    losses = [train_step(model, optimizer, [batch], next_token_loss, StepConfig()).loss for _ in range(25)]
    assert losses[0] > 6.0 and losses[-1] < 0.5 * losses[0]


def test_the_step_fits_on_a_screen():
    assert len(inspect.getsource(train_step).splitlines()) <= 32


def _one_rank(rank, folder, sizes):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/sync", rank=rank, world_size=2)
    model = _model()
    report = _step(model, [_split(_batch(), sizes)[rank]], StepConfig(tau=1e-3))
    torch.save({"state": model.state_dict(), "report": tuple(report[:3])}, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_equal_one(tmp_path):
    """Unequal shares: gradients, clip and balance must see the whole batch on every rank."""
    mp.spawn(_one_rank, (str(tmp_path), [1, 3]), nprocs=2)
    alone = _model()
    expected = _step(alone, [_batch()], StepConfig(tau=1e-3))
    for rank in range(2):
        result = torch.load(tmp_path / f"rank{rank}.pt")
        assert result["report"] == pytest.approx(tuple(expected[:3]), rel=1e-10)
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(result["state"][name], value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("field", "value"),
    [("tau", 0.0), ("tau", math.nan), ("tau", "100"), ("alpha", 1.5), ("bias_rate", -1e-3), ("bias_rate", math.inf)]
    + [("max_grad_norm", 0), ("max_grad_norm", None)],
)
def test_settings_are_checked_before_any_work(field, value):
    with pytest.raises(ValueError, match=f"^{field} = .* expected a number"):
        StepConfig(**{field: value})
