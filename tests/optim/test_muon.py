"""Muon against torch.optim.Muon, its definition and Moonlight's statements; AdamW groups against torch.optim.AdamW."""

import copy
import math

import pytest
import torch

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.optim import Muon, OptimConfig, build_optimizer, muon_update, update_scale


def _train(optimizer, params, steps=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
        optimizer.step()


def _matrices(dtype=torch.float32):
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(s, dtype=dtype)) for s in [(6, 10), (10, 6), (8, 8), (6, 10)]]


@pytest.fixture
def torch_muon_in_float64(monkeypatch):
    """torch's Muon always iterates in bf16; let it keep float64, so that the algorithms can be compared exactly."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())


@pytest.mark.parametrize("nesterov", [True, False])
def test_agrees_with_torch_muon_exactly_in_float64(torch_muon_in_float64, nesterov):
    ours, theirs = _matrices(torch.float64), _matrices(torch.float64)
    options = dict(lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=nesterov)
    _train(Muon(ours, **options), ours)
    _train(torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **options), theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_agrees_with_torch_muon_in_bf16():
    """Stock torch.optim.Muon: equal up to the rounding of its bf16 iteration, measured against float64."""
    ours, theirs, exact = _matrices(), _matrices(), _matrices(torch.float64)
    _train(Muon(ours, lr=0.02, ns_dtype=torch.bfloat16), ours)
    _train(torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"), theirs)
    _train(Muon(exact, lr=0.02), exact)
    for a, b, e in zip(ours, theirs, exact, strict=True):
        assert (a - e).norm() < 2 * (b - e).norm()
        torch.testing.assert_close(a, b, rtol=0, atol=0.01)


def test_update_is_the_published_formula():
    grads = [torch.randn(5, 9, dtype=torch.float64) for _ in range(3)]
    momentum = torch.zeros(5, 9, dtype=torch.float64)
    by_hand = torch.zeros(5, 9, dtype=torch.float64)
    for grad in grads:
        update, momentum = muon_update(grad, momentum)
        by_hand = 0.95 * by_hand + grad  # accumulated, not averaged
        expected = kernels.newton_schulz(0.95 * by_hand + grad, impl="ref") * 0.2 * math.sqrt(9)
        torch.testing.assert_close(update, expected)
        torch.testing.assert_close(momentum, by_hand)


def test_decay_uses_the_plain_learning_rate():
    p = torch.nn.Parameter(torch.randn(64, 4))
    before = p.detach().clone()
    p.grad = torch.zeros_like(p)
    Muon([p], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(p.detach(), before * (1 - 0.1 * 0.5))


def test_expert_slab_is_a_batch_of_matrices():
    slab = torch.nn.Parameter(torch.randn(3, 2, 5, 7, dtype=torch.float64))
    apart = [torch.nn.Parameter(m.clone()) for m in slab.detach().flatten(0, 1)]
    slab.grad = torch.randn_like(slab)
    for p, g in zip(apart, slab.grad.flatten(0, 1), strict=True):
        p.grad = g.clone()
    Muon([slab], lr=0.1).step()
    Muon(apart, lr=0.1).step()
    torch.testing.assert_close(slab.detach().flatten(0, 1), torch.stack([p.detach() for p in apart]), rtol=1e-11, atol=1e-11)


def test_fused_matrix_is_not_its_parts():
    """Why the unit matters (design: Muon on fused matrices is not Muon on the parts)."""
    torch.manual_seed(0)
    grad = torch.randn(32, 12, dtype=torch.float64)
    fused, _ = muon_update(grad, torch.zeros_like(grad))
    parts = torch.cat([muon_update(g, torch.zeros_like(g))[0] for g in grad.split(16)])
    assert torch.cosine_similarity(fused.flatten(), parts.flatten(), dim=0) < 0.97


@pytest.mark.parametrize("shape", [(64, 256), (256, 64), (32, 512), (512, 128)])
def test_update_rms_matches_adamw_for_every_shape(shape):
    """k2-facts 5.1: scaled updates have RMS 0.17-0.21 whatever the shape (claim 9)."""
    torch.manual_seed(0)
    grad = torch.randn(shape)
    update, _ = muon_update(grad, torch.zeros(shape))
    assert 0.17 < update.square().mean().sqrt() < 0.21
    assert update_scale(*shape) == 0.2 * math.sqrt(max(shape))


def test_adamw_groups_agree_with_torch_adamw():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(7)), torch.nn.Parameter(torch.randn(20, 3))]
    theirs = copy.deepcopy(ours)
    _train(Muon([{"params": ours, "algorithm": "adamw"}], lr=0.01), ours)
    _train(torch.optim.AdamW(theirs, lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1), theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_every_parameter_is_in_one_group_and_the_right_one():
    model = km.KimiMini(km.NANO)
    optimizer = build_optimizer(model, OptimConfig(lr=1e-3))
    names = {p: n for n, p in model.named_parameters()}
    grouped = {g["algorithm"]: {names[p] for p in g["params"]} for g in optimizer.param_groups}
    assert grouped["muon"].isdisjoint(grouped["adamw"])
    assert grouped["muon"] | grouped["adamw"] == set(names.values())
    assert {"embed.weight", "head.weight", "norm.weight", "blocks.1.attn.kv_norm.weight"} <= grouped["adamw"]
    assert {"blocks.1.mlp.router.weight", "blocks.1.mlp.experts.gate_up", "blocks.0.attn.q_up.weight"} <= grouped["muon"]
    assert all(g["weight_decay"] == 0.1 for g in optimizer.param_groups)


def test_state_dict_resumes_exactly():
    def fresh():
        torch.manual_seed(0)
        model = km.KimiMini(km.NANO)
        return model, build_optimizer(model)

    model, optimizer = fresh()
    params = list(model.parameters())
    _train(optimizer, params, steps=2)
    saved = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(model.state_dict())
    _train(optimizer, params, steps=2, seed=5)

    resumed, other = fresh()
    resumed.load_state_dict(saved[1])
    other.load_state_dict(saved[0])
    _train(other, list(resumed.parameters()), steps=2, seed=5)
    for a, b in zip(params, resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_deep_copy_goes_on_by_itself_and_alike():
    weight = torch.nn.Parameter(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))
    weight.grad = torch.ones_like(weight)
    optimizer = Muon([weight], lr=0.01, ns_dtype=torch.float32)
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    (copied,) = twin.param_groups[0]["params"]
    copied.grad = weight.grad.clone()
    optimizer.step()
    twin.step()
    assert twin.ns_dtype is torch.float32 and copied is not weight and torch.equal(copied, weight)


def test_schedulers_work_as_with_any_optimizer():
    p = torch.nn.Parameter(torch.randn(4, 4))
    optimizer = Muon(
        [{"params": [p]}, {"params": [torch.nn.Parameter(torch.ones(3))], "algorithm": "adamw", "lr": 1.0}], lr=0.5
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    optimizer.step()
    scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == [0.25, 0.5]


def test_parameters_without_gradient_are_left_alone():
    a, b = torch.nn.Parameter(torch.ones(3, 3)), torch.nn.Parameter(torch.ones(3, 3))
    a.grad = torch.randn(3, 3)
    Muon([a, b], lr=0.1).step()
    assert torch.equal(b.detach(), torch.ones(3, 3)) and not torch.equal(a.detach(), torch.ones(3, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(params=[torch.nn.Parameter(torch.ones(3))]), "parameter of shape .3. belongs in an algorithm='adamw' group"),
        (dict(params=[torch.nn.Parameter(torch.ones(3, 3))], lr=-1.0), "lr = -1.0"),
        (dict(params=[{"params": [torch.nn.Parameter(torch.ones(3, 3))], "algorithm": "sgd"}]), "expected 'muon' or 'adamw'"),
        (dict(params=[torch.nn.Parameter(torch.ones(3, 3))], betas=(0.9, 1.0)), "betas"),
        (dict(params=[torch.nn.Parameter(torch.ones(3, 3))], coefficients="best"), "coefficients = 'best'"),
    ],
)
def test_bad_arguments_say_what_is_right(options, message):
    with pytest.raises(ValueError, match=message):
        Muon(**options)


@pytest.mark.parametrize(("field", "value"), [("lr", "3e-4"), ("weight_decay", -0.1), ("matrices", "sgd"), ("ns_steps", 2.5)])
def test_config_is_checked_when_it_is_made(field, value):
    with pytest.raises(ValueError, match="expected"):
        OptimConfig(**{field: value})


def test_the_format_of_the_iteration_is_the_finest_that_the_device_is_fast_at(monkeypatch):
    from kimi_mini.optim import muon

    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    optimizer = Muon([torch.nn.Parameter(torch.ones(2, 2))])
    for fast, chosen in ((True, (torch.bfloat16, torch.float16)), (False, (torch.float32, torch.float32))):
        monkeypatch.setattr(muon, "has_fast_bf16", lambda device, fast=fast: fast)
        assert tuple(optimizer._iteration_dtype(torch.float32, device) for device in (cpu, gpu)) == chosen
        assert optimizer._iteration_dtype(torch.float64, gpu) == torch.float64
