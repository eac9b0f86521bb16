"""QK-Clip: every trap of k2-facts 5.2, each by what it does to logits and weights (claims 13, 14, 16)."""

import pytest
import torch

import kimi_mini as km
from kimi_mini.model.rope import rope_table
from kimi_mini.optim import clip_factors, qk_clip_

CONFIGS = {
    "q latent": km.NANO,
    "no q latent": km.NANO.replace(q_lora_rank=None),
    "yarn": km.NANO.replace(rope_scaling=km.YarnScaling(4.0, 128, mscale=1.0, mscale_all_dim=1.0)),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def model(request):
    torch.manual_seed(0)
    model = km.KimiMini(request.param).double()
    with torch.no_grad():
        for block in model.blocks:
            block.attn.q_up.weight.mul_(40)
            block.attn.kv_up.weight.mul_(10)
    return model


@pytest.fixture
def layer_inputs(model):
    """What each layer's attention sees, held fixed, so that only the weights can move the logits."""
    torch.manual_seed(1)
    x_BTD = torch.randn(2, 33, model.config.hidden_size, dtype=torch.float64)
    positions = torch.arange(33)[None]
    return x_BTD, rope_table(model.config, positions, torch.float64)


def _maxima(model, layer_inputs):
    return torch.stack([block.attn(*layer_inputs)[1] for block in model.blocks])


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_next_maximum_is_min_of_s_and_tau(model, layer_inputs, alpha):
    s_LH = _maxima(model, layer_inputs)
    tau = s_LH.flatten().median().item()
    gamma_LH = qk_clip_(model, s_LH, tau=tau, alpha=alpha)
    torch.testing.assert_close(_maxima(model, layer_inputs), s_LH.clamp_max(tau), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gamma_LH, (tau / s_LH).clamp_max(1.0))
    assert (gamma_LH < 1).any() and (gamma_LH == 1).any()


def test_every_logit_of_a_clipped_head_scales_by_gamma(model, layer_inputs):
    attn, (x_BTD, rope) = model.blocks[1].attn, layer_inputs

    def logits():
        q_BTHN, entries = attn.queries(x_BTD, rope), attn.cache_entries(x_BTD, rope)
        latent, k_rope = entries.tensor_split([attn.latent_dim], -1)
        k_nope = torch.einsum("btc,hnc->bthn", latent, attn.k_up)
        k_BTHN = torch.cat((k_nope, k_rope.unsqueeze(2).expand(-1, -1, attn.heads, -1)), -1)
        return torch.einsum("bthn,bshn->bhts", q_BTHN, k_BTHN)

    before = logits()
    gamma_H = torch.tensor([1.0, 0.3, 1.0, 0.9], dtype=torch.float64)
    attn.rescale_qk_(gamma_H)
    torch.testing.assert_close(logits(), before * gamma_H[:, None, None], rtol=1e-12, atol=1e-12)


def test_only_the_right_rows_of_the_right_heads_move(model):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    s_LH = torch.full((3, 4), 5.0, dtype=torch.float64)
    s_LH[1, 2] = 40.0
    qk_clip_(model, s_LH, tau=10.0)
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"blocks.1.attn.q_up.weight", "blocks.1.attn.kv_up.weight"}

    c, gamma = model.config, 0.25
    q = model.blocks[1].attn.q_up.weight / before["blocks.1.attn.q_up.weight"]
    kv = model.blocks[1].attn.kv_up.weight / before["blocks.1.attn.kv_up.weight"]
    q_expected, kv_expected = torch.ones_like(q), torch.ones_like(kv)
    row = 2 * c.qk_head_dim
    q_expected[row : row + c.qk_nope_head_dim] = gamma**0.5
    q_expected[row + c.qk_nope_head_dim : row + c.qk_head_dim] = gamma
    row = 2 * (c.qk_nope_head_dim + c.v_head_dim)
    kv_expected[row : row + c.qk_nope_head_dim] = gamma**0.5  # the value rows behind them stay
    torch.testing.assert_close(q, q_expected)
    torch.testing.assert_close(kv, kv_expected)


def test_scaling_the_shared_key_would_move_other_heads(model, layer_inputs):
    """Claim 16: why the rotary query takes gamma whole. The wrong version is visible in heads below tau."""
    before = _maxima(model, layer_inputs)
    attn = model.blocks[1].attn
    with torch.no_grad():
        attn.kv_down.weight[attn.latent_dim :].mul_(0.5)
    after = _maxima(model, layer_inputs)
    assert ((after - before)[1].abs() > 1e-6).all()


def test_negative_maxima_are_left_alone(model):
    """tau / S is negative there: its square root is NaN."""
    before = [p.detach().clone() for p in model.parameters()]
    s_LH = torch.full((3, 4), -2.0, dtype=torch.float64)
    s_LH[0] = float("-inf")  # a head that saw no token
    assert torch.equal(qk_clip_(model, s_LH, tau=1.0), torch.ones(3, 4, dtype=torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_weights_never_grow():
    s = torch.tensor([[0.001, 0.0, 99.9, 100.0, 100.1, 1e6]])
    gamma = clip_factors(s, 100.0)
    assert (gamma <= 1).all() and torch.equal(gamma[0, :4], torch.ones(4)) and gamma[0, 5] == 1e-4


def test_infinite_tau_never_clips():
    assert torch.equal(clip_factors(torch.tensor([[1e30, -1.0]]), float("inf")), torch.ones(1, 2))


def test_weights_are_changed_in_place_not_copied(model):
    pointers = [p.data_ptr() for p in model.parameters()]
    qk_clip_(model, torch.full((3, 4), 50.0), tau=1.0)
    assert pointers == [p.data_ptr() for p in model.parameters()]


def test_a_global_factor_would_touch_heads_below_tau(model, layer_inputs):
    """Claim 14: per-head clipping leaves heads below tau bit-identical."""
    s_LH = _maxima(model, layer_inputs)
    tau = s_LH.flatten().sort().values[-2].item()  # one head above
    before = [block.attn.q_up_nope.detach().clone() for block in model.blocks]
    qk_clip_(model, s_LH, tau=tau)
    untouched = [
        torch.equal(b[h], block.attn.q_up_nope[h]) for b, block in zip(before, model.blocks, strict=True) for h in range(4)
    ]
    assert untouched.count(False) == 1


@pytest.mark.parametrize(
    ("s", "options", "message"),
    [
        (torch.ones(3, 5), dict(tau=1.0), r"shape \[3, 5\]; expected \[layers, heads\] = \[3, 4\]"),
        (torch.ones(3, 4), dict(tau=0.0), "tau = 0.0"),
        (torch.ones(3, 4), dict(tau=float("nan")), "tau = nan"),
        (torch.ones(3, 4), dict(tau=1.0, alpha=1.5), "alpha = 1.5"),
        (torch.full((3, 4), float("nan")), dict(tau=1.0), r"max_logits_LH\[0, 0\] = nan \(12 heads in all\)"),
        (torch.full((3, 4), float("inf")), dict(tau=1.0), "overflowed"),
    ],
)
def test_bad_arguments_say_what_is_right_and_change_nothing(s, options, message):
    model = km.KimiMini(km.NANO)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=message):
        qk_clip_(model, s, **options)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
