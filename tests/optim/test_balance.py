"""The bias rules (claim 18) and what they must not touch."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.optim import balance_experts_


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
