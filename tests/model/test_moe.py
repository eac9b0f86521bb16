"""Router and experts: the bias selects and never weighs, groups close, load counts assignments of real tokens."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.model import MoE, Router

CONFIG = km.NANO.replace(n_routed_experts=12, num_experts_per_tok=3)
GROUPED = CONFIG.replace(n_group=4, topk_group=2)


def make_router(config: km.ModelConfig, dtype: torch.dtype = torch.float64) -> Router:
    torch.manual_seed(0)
    router = Router(config).to(dtype)
    torch.nn.init.normal_(router.weight, std=0.3)
    return router


def make_moe(config: km.ModelConfig, dtype: torch.dtype = torch.float64) -> MoE:
    torch.manual_seed(0)
    moe = MoE(config).to(dtype)
    for parameter in moe.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return moe


def tokens(n: int = 40, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, CONFIG.hidden_size, generator=torch.Generator().manual_seed(1), dtype=dtype)


def route_by_hand(router: Router, x: torch.Tensor, config: km.ModelConfig):
    """DeepSeek-V3 equations 12-16 one token at a time: {expert: weight} for each."""
    routes = []
    for row in x:
        score = [1 / (1 + (-(row @ e)).exp().item()) for e in router.weight]
        choice = [s + b.item() for s, b in zip(score, router.selection_bias, strict=True)]
        size = config.n_routed_experts // config.n_group
        groups = [range(g * size, (g + 1) * size) for g in range(config.n_group)]
        worth = [
            sum(sorted((choice[e] for e in group), reverse=True)[:2]) if size > 1 else choice[group[0]] for group in groups
        ]
        best = sorted(range(config.n_group), key=lambda g: -worth[g])[: config.topk_group]
        chosen = sorted((e for g in best for e in groups[g]), key=lambda e: -choice[e])[: config.num_experts_per_tok]
        total = sum(score[e] for e in chosen) if config.norm_topk_prob else 1.0
        routes.append({e: score[e] / total * config.routed_scaling_factor for e in chosen})
    return routes


@pytest.mark.parametrize("bias", [0.0, 0.4, -3.0])
@pytest.mark.parametrize("config", [CONFIG, GROUPED, CONFIG.replace(norm_topk_prob=False)], ids=["one", "groups", "raw"])
def test_routes_follow_the_equations(config, bias):
    router = make_router(config)
    router.selection_bias.copy_(bias + 0.3 * torch.randn(12))
    routing = router(tokens())
    for experts, weights, expected in zip(
        routing.expert_TK, routing.weight_TK, route_by_hand(router, tokens(), config), strict=True
    ):
        assert dict(zip(experts.tolist(), weights.tolist(), strict=True)) == pytest.approx(expected, abs=1e-12)


def test_groups_that_are_closed_stay_closed_with_negative_choices():
    # Masked with 0 instead of -inf, a closed expert would beat any negative choice.
    router = make_router(GROUPED)
    router.selection_bias.fill_(-5.0)
    groups = router(tokens()).expert_TK // 3
    assert all(len(set(row.tolist())) <= 2 for row in groups)
    assert len(set(groups.flatten().tolist())) == 4


def test_bias_changes_who_is_chosen():
    router = make_router(CONFIG)
    before = router(tokens())
    router.selection_bias[7] = 10.0
    after = router(tokens())
    assert (after.expert_TK == 7).any(1).all() and not (before.expert_TK == 7).any(1).all()
    assert torch.equal(after.score_TE, before.score_TE)


def test_bias_never_changes_the_weights_of_a_fixed_selection():
    # Claim 2. Where a bias leaves a token's set of experts alone, its weights are the same to the bit.
    router = make_router(CONFIG)
    before = router(tokens())
    router.selection_bias.copy_(0.05 * torch.randn(12))
    after = router(tokens())
    order_before, order_after = before.expert_TK.argsort(1), after.expert_TK.argsort(1)
    same = (before.expert_TK.gather(1, order_before) == after.expert_TK.gather(1, order_after)).all(1)
    assert 5 < same.sum() < 40
    weights = before.weight_TK.gather(1, order_before), after.weight_TK.gather(1, order_after)
    torch.testing.assert_close(weights[0][same], weights[1][same], atol=1e-15, rtol=0)


def test_the_same_shift_for_all_changes_nothing():
    router = make_router(CONFIG)
    before = router(tokens())
    router.selection_bias.fill_(0.125)
    after = router(tokens())
    assert torch.equal(after.expert_TK, before.expert_TK) and torch.equal(after.weight_TK, before.weight_TK)


def test_weights_sum_to_the_scaling_factor():
    weight_TK = make_router(CONFIG)(tokens()).weight_TK
    torch.testing.assert_close(weight_TK.sum(1), torch.full((40,), CONFIG.routed_scaling_factor, dtype=torch.float64))


def test_no_gradient_reaches_the_bias_and_one_reaches_the_router():
    router = make_router(CONFIG)
    router(tokens()).weight_TK.square().sum().backward()
    assert "selection_bias" not in dict(router.named_parameters())
    assert router.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_scores_in_fp32(dtype):
    router = make_router(CONFIG, dtype)
    routing = router(tokens(dtype=dtype))
    assert routing.weight_TK.dtype == routing.score_TE.dtype == torch.float32
    exact = make_router(CONFIG)
    exact.weight.data.copy_(router.weight)
    torch.testing.assert_close(routing.score_TE.double(), exact(tokens(dtype=dtype).double()).score_TE, atol=1e-6, rtol=0)


@pytest.mark.parametrize("cast", [lambda m: m.half(), lambda m: m.bfloat16(), lambda m: m.to(torch.bfloat16)])
def test_half_precision_does_not_round_the_bias(cast):
    router = Router(CONFIG)
    router.selection_bias.copy_(1.0 + 0.001 * torch.arange(12))
    expected = router.selection_bias.clone()
    router = cast(router)
    assert router.selection_bias.dtype == torch.float32 and torch.equal(router.selection_bias, expected)
    assert router.weight.dtype in (torch.float16, torch.bfloat16)
    assert Router(CONFIG).double().selection_bias.dtype == torch.float64


# ---- experts and load ------------------------------------------------------------------------------------------------


def test_output_is_weighted_experts_plus_the_shared_one():
    moe, x = make_moe(CONFIG), tokens(6)
    y, _, _ = moe(x[None])
    routing = moe.router(x)
    for row, experts, weights, got in zip(x, routing.expert_TK, routing.weight_TK, y[0], strict=True):
        expected = moe.shared(row)
        for e, w in zip(experts, weights, strict=True):
            gate, up = moe.experts.gate_up[e] @ row
            expected = expected + w * (moe.experts.down[e] @ (torch.nn.functional.silu(gate) * up))
        torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)


def test_several_shared_experts_are_one_wide_mlp():
    moe = make_moe(CONFIG.replace(n_shared_experts=3))
    width = CONFIG.moe_intermediate_size
    x = tokens(5)
    each = []
    for i in range(3):
        rows = slice(i * width, (i + 1) * width)
        hidden = torch.nn.functional.silu(x @ moe.shared.gate.weight[rows].T) * (x @ moe.shared.up.weight[rows].T)
        each.append(hidden @ moe.shared.down.weight[:, rows].T)
    torch.testing.assert_close(moe.shared(x), sum(each), atol=1e-12, rtol=0)


def test_load_counts_assignments():
    moe = make_moe(CONFIG)
    _, load, _ = moe(tokens(40).view(4, 10, -1))
    experts = moe.router(tokens(40)).expert_TK.flatten().tolist()
    assert load.tolist() == [experts.count(e) for e in range(12)]
    assert load.sum() == 40 * 3


def test_load_leaves_padding_out():
    moe, x = make_moe(CONFIG), tokens(40).view(4, 10, -1)
    real = torch.arange(10) < torch.tensor([[10], [3], [0], [7]])
    _, load, _ = moe(x, real)
    _, of_real, _ = moe(x[real][None])
    assert torch.equal(load, of_real) and load.sum() == 20 * 3


def test_a_token_does_not_depend_on_its_neighbours():
    moe, x = make_moe(CONFIG), tokens(40)
    whole, _, _ = moe(x[None])
    for t in (0, 17, 39):
        torch.testing.assert_close(moe(x[None, t : t + 1])[0][0, 0], whole[0, t], atol=1e-13, rtol=0)
    shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(moe(x[None, shuffled])[0][0], whole[0, shuffled], atol=1e-13, rtol=0)


# ---- the sequence-wise balance loss ------------------------------------------------------------------------------------


def balance_loss_by_hand(moe: MoE, x_BTD: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """DeepSeek-V3 equations 17-20, a sequence, an expert and a token at a time; alpha = 1, mean weighted by tokens."""
    experts, k, total = CONFIG.n_routed_experts, CONFIG.num_experts_per_tok, 0.0
    for x_TD, length in zip(x_BTD, lengths, strict=True):
        routing = moe.router(x_TD)
        for i in range(experts):
            f, p = 0.0, 0.0
            for t in range(length):
                f += experts / (k * length) * (i in routing.expert_TK[t].tolist())
                p = p + routing.score_TE[t, i] / routing.score_TE[t].sum() / length
            total = total + f * p * length / sum(lengths)
    return total


@pytest.mark.parametrize("lengths", [[10, 10, 10, 10], [10, 3, 0, 7]], ids=["whole", "padded"])
def test_balance_loss_and_its_gradient_follow_the_equations(lengths):
    moe, x = make_moe(CONFIG), tokens(40).view(4, 10, -1)
    moe.router.selection_bias.copy_(0.3 * torch.randn(12))
    real = torch.arange(10) < torch.tensor(lengths)[:, None]
    expected = balance_loss_by_hand(moe, x, lengths)
    (wanted,) = torch.autograd.grad(expected, moe.router.weight)
    y, load, loss = moe(x, real, balance_loss=True)
    (got,) = torch.autograd.grad(loss, moe.router.weight)
    torch.testing.assert_close(loss, expected, atol=1e-13, rtol=0)
    torch.testing.assert_close(got, wanted, atol=1e-13, rtol=0)
    plain_y, plain_load, none = moe(x, real)
    assert none is None and torch.equal(plain_y, y) and torch.equal(plain_load, load)


def test_balance_loss_is_one_in_balance_and_grows_with_skew():
    moe = make_moe(CONFIG)
    moe.router.weight.data.zero_()  # equal scores for all: P is even, whoever is chosen
    assert moe(tokens(8)[None], balance_loss=True)[2].item() == pytest.approx(1)
    moe.router.weight.data[:3] = tokens(3)[:1]
    skewed = tokens(1)[None].expand(1, 8, -1) * 3
    assert moe(skewed, balance_loss=True)[2].item() > 1.5


def test_balance_loss_of_padding_alone_is_zero():
    loss = make_moe(CONFIG)(tokens(10)[None], torch.zeros(1, 10, dtype=torch.bool), balance_loss=True)[2]
    assert loss.item() == 0
