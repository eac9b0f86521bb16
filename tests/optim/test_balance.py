"""The bias rules (claim 18) and what they must not touch."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.optim import balance_experts_, device_load, load_echo, max_violation


@pytest.fixture
def model():
    torch.manual_seed(0)
    return km.KimiMini(km.NANO)


def _load(rows):
    return torch.tensor([[0] * 8, rows, [4] * 8])


def test_overloaded_down_underloaded_up_by_exactly_rate(model):
    balance_experts_(model, _load([10, 6, 6, 6, 6, 6, 6, 2]), rate=0.01)
    bias = model.blocks[1].mlp.router.selection_bias
    torch.testing.assert_close(bias, torch.tensor([-0.01, 0, 0, 0, 0, 0, 0, 0.01]))
    assert torch.equal(model.blocks[2].mlp.router.selection_bias, torch.zeros(8))  # balanced: nothing moves


def test_step_is_a_sign_not_a_proportion(model):
    balance_experts_(model, _load([1000, 1, 1, 1, 1, 1, 1, 1]), rate=0.01)
    assert model.blocks[1].mlp.router.selection_bias.abs().unique().numel() == 1


def test_centred_rule_keeps_the_mean_at_zero_and_the_order_of_choices(model):
    plain = km.KimiMini(km.NANO)
    for seed in range(20):
        load = torch.randint(0, 30, (3, 8), generator=torch.Generator().manual_seed(seed))
        balance_experts_(plain, load, rate=0.01)
        balance_experts_(model, load, rate=0.01, centred=True)
    a, b = plain.blocks[1].mlp.router.selection_bias, model.blocks[1].mlp.router.selection_bias
    assert b.mean().abs() < 1e-7 < a.mean().abs()
    torch.testing.assert_close(a - a.mean(), b, atol=1e-6, rtol=0)  # the same up to one constant: the same top-k


def test_bias_balances_a_skewed_router(model):
    """Claim 17 in the small: without gradient, the rule alone evens out the load of a fixed router."""
    router = model.blocks[1].mlp.router
    x_TD = torch.randn(512, 64) + 0.5
    with torch.no_grad():
        router.weight.normal_(std=0.05)

    def violation():
        load = torch.bincount(router(x_TD).expert_TK.flatten(), minlength=8)
        return (load.max() / load.double().mean() - 1).item(), load

    start, load = violation()
    for _ in range(300):
        balance_experts_(model, torch.stack((load, load, load)), rate=0.002)
        _, load = violation()
    assert violation()[0] < 0.3 * start


def test_no_gradient_reaches_the_bias(model):
    model(torch.randint(0, 512, (1, 9))).logits_BTV.sum().backward()
    assert not any("selection_bias" in name for name, _ in model.named_parameters())
    assert all(not b.requires_grad for b in model.buffers())


def test_bad_arguments_say_what_is_right(model):
    with pytest.raises(ValueError, match=r"expert_load_LE has shape \[2, 8\]; expected \[layers, experts\] = \[3, 8\]"):
        balance_experts_(model, torch.zeros(2, 8), rate=0.1)
    with pytest.raises(ValueError, match="rate = -1"):
        balance_experts_(model, torch.zeros(3, 8), rate=-1)


# ---- measures ----------------------------------------------------------------------------------------------------------


def test_violation_is_how_far_the_busiest_exceeds_the_mean():
    load = torch.tensor([[4, 4, 4, 4], [16, 0, 0, 0], [6, 4, 4, 2], [0, 0, 0, 0]])
    assert max_violation(load).tolist() == [0, 3, 0.5, 0]


def test_devices_hold_neighbours_and_lose_nothing():
    load = torch.arange(24).view(2, 12)
    assert device_load(load, 3).tolist() == [[6, 22, 38], [54, 70, 86]]
    assert torch.equal(device_load(load, 12), load) and torch.equal(device_load(load, 1)[:, 0], load.sum(1))
    for devices in (0, 5, 24, 2.0):
        with pytest.raises(ValueError, match="devices = .*expected a divisor of the 12 experts"):
            device_load(load, devices)


def test_joining_devices_never_makes_the_busiest_worse():
    """Claim 21's arithmetic: the mean of two loads is at most the larger of them."""
    load = torch.randint(0, 100, (200, 32), generator=torch.Generator().manual_seed(0))
    violations = torch.stack([max_violation(device_load(load, devices)) for devices in (32, 16, 8, 4, 2, 1)])
    assert (violations.diff(dim=0) <= 0).all() and (violations[-1] == 0).all()


def test_echo_tells_the_same_again_from_the_opposite():
    load = torch.tensor([9.0, 1, 5, 5])
    assert load_echo(load, 3 * load).item() == pytest.approx(1)
    assert load_echo(load, 10 - load).item() == pytest.approx(-1)
    assert load_echo(load, torch.tensor([5.0, 5, 9, 1])).item() == 0
    assert load_echo(load, torch.ones(4)).item() == 0
