"""MLA: absorbed decoding is expanded attention; rescale_qk_ moves one head's logits and nothing else."""

import copy

import pytest
import torch

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.model import MLA
from kimi_mini.model.rope import rope_table

YARN = km.NANO.replace(rope_scaling=km.YarnScaling(8.0, 64, mscale=1.0, mscale_all_dim=1.0))
CONFIGS = {
    "nano": km.NANO,
    "no_q_latent": km.NANO.replace(q_lora_rank=None),
    "yarn": YARN,
    "wide_v": km.NANO.replace(v_head_dim=40),
}


def make_layer(config: km.ModelConfig, dtype: torch.dtype = torch.float64) -> MLA:
    torch.manual_seed(0)
    layer = MLA(config).to(dtype)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.ndim == 1 else 0.0, std=0.3)
    return layer


def run(config, layer, length=9, batch=2, **kwargs):
    x = torch.randn(batch, length, config.hidden_size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return layer(x, rope_table(config, torch.arange(length)[None], torch.float64), **kwargs)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_absorbed_is_expanded(config):
    # Claim 4: the same algebra, so equal to rounding in float64; outputs, largest logits and gradients.
    layer, length = make_layer(config), 9
    x = torch.randn(2, length, config.hidden_size, dtype=torch.float64, requires_grad=True)
    rope = rope_table(config, torch.arange(length)[None], torch.float64)
    expanded, max_expanded = layer(x, rope)
    visible = torch.arange(1, length + 1).expand(2, -1)
    absorbed, max_absorbed = layer.decode(x, rope, layer.cache_entries(x, rope), visible)
    torch.testing.assert_close(absorbed, expanded, atol=1e-12, rtol=0)
    torch.testing.assert_close(max_absorbed, max_expanded, atol=1e-12, rtol=0)
    leaves = [x, *layer.parameters()]
    gradients = [torch.autograd.grad(y.square().sum(), leaves, retain_graph=True) for y in (expanded, absorbed)]
    for slow, fast in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-11, rtol=1e-11)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the kernels' own gpu tests run compiled")
def test_both_paths_on_the_triton_kernels():
    pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
    exact, config, length = make_layer(km.NANO), km.NANO, 9
    x = torch.randn(1, length, config.hidden_size, dtype=torch.float64)
    visible = torch.arange(1, length + 1)[None]

    def both(layer, x):
        rope = rope_table(config, torch.arange(length)[None], x.dtype)
        expanded, max_expanded = layer(x, rope)
        gradients = torch.autograd.grad(expanded.square().sum(), list(layer.parameters()))
        with torch.no_grad():
            absorbed, max_absorbed = layer.decode(x, rope, layer.cache_entries(x, rope), visible)
        return [expanded, max_expanded, absorbed, max_absorbed, *gradients]

    with kernels.using("triton"):
        got = both(copy.deepcopy(exact).float(), x.float())
    for mine, true in zip(got, both(exact, x), strict=True):
        assert (mine.double() - true).norm() <= 1e-5 * true.norm()


def test_expanded_path_from_given_entries():
    layer, config = make_layer(km.NANO), km.NANO
    x = torch.randn(2, 5, config.hidden_size, dtype=torch.float64)
    rope = rope_table(config, torch.arange(5)[None], torch.float64)
    assert torch.equal(layer(x, rope)[0], layer(x, rope, layer.cache_entries(x, rope))[0])


def test_cache_entries_are_normed_latent_and_one_rotated_key():
    layer, config = make_layer(km.NANO), km.NANO
    x = torch.randn(1, 3, config.hidden_size, dtype=torch.float64)
    entries = layer.cache_entries(x, rope_table(config, torch.zeros(1, 3), torch.float64))
    raw = x @ layer.kv_down.weight.T
    latent = raw[..., : config.kv_lora_rank]
    normed = latent / (latent.square().mean(-1, keepdim=True) + 1e-6).sqrt() * layer.kv_norm.weight
    assert entries.shape == (1, 3, config.cache_width)
    torch.testing.assert_close(entries, torch.cat((normed, raw[..., config.kv_lora_rank :]), -1), atol=1e-12, rtol=0)


def test_latent_norms_keep_their_own_eps():
    # k2-facts 1.4: released code builds them with its default 1e-6 whatever rms_norm_eps says.
    layer = MLA(km.NANO.replace(rms_norm_eps=1e-2))
    assert layer.q_norm.eps == layer.kv_norm.eps == 1e-6
    assert km.KimiMini(km.NANO.replace(rms_norm_eps=1e-2)).norm.eps == 1e-2


def test_views_are_the_rows_hugging_face_documents():
    # k2-facts 1.3: q per head [nope | rope], kv per head [k_nope | v].
    c, layer = km.NANO, make_layer(km.NANO)
    for head in range(c.num_attention_heads):
        q = layer.q_up.weight[head * c.qk_head_dim : (head + 1) * c.qk_head_dim]
        kv_rows = c.qk_nope_head_dim + c.v_head_dim
        kv = layer.kv_up.weight[head * kv_rows : (head + 1) * kv_rows]
        for view, rows in (
            (layer.q_up_nope, q[: c.qk_nope_head_dim]),
            (layer.q_up_rope, q[c.qk_nope_head_dim :]),
            (layer.k_up, kv[: c.qk_nope_head_dim]),
            (layer.v_up, kv[c.qk_nope_head_dim :]),
        ):
            assert torch.equal(view[head], rows) and view[head].data_ptr() == rows.data_ptr()


# ---- rescale_qk_ -----------------------------------------------------------------------------------------------------


@pytest.fixture
def seen_by_attention(monkeypatch):
    """Record what MLA hands to the attention kernel: a list of (logits_BHTS, v_BTHM)."""
    seen, original = [], kernels.attention

    def record(q, k, v, *, scale, **kwargs):
        seen.append((torch.einsum("bthn,bshn->bhts", q, k) * scale, v))
        return original(q, k, v, scale=scale, **kwargs)

    monkeypatch.setattr(kernels, "attention", record)
    return seen


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_rescaling_multiplies_every_logit_of_a_head_by_gamma(config, alpha, seen_by_attention):
    layer = make_layer(config)
    gamma = torch.ones(config.num_attention_heads, dtype=torch.float64)
    gamma[1], gamma[3] = 0.25, 0.7
    run(config, layer)
    layer.rescale_qk_(gamma, alpha)
    run(config, layer)
    (before, v_before), (after, v_after) = seen_by_attention
    torch.testing.assert_close(after, before * gamma[:, None, None], atol=1e-12, rtol=1e-12)
    for untouched in (0, 2):
        assert torch.equal(after[:, untouched], before[:, untouched])
    assert torch.equal(v_after, v_before)


def test_rescaling_touches_only_the_rows_it_must():
    layer = make_layer(km.NANO)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    views = {name: getattr(layer, name).clone() for name in ("q_up_nope", "q_up_rope", "k_up", "v_up")}
    layer.rescale_qk_(torch.tensor([1.0, 0.5, 1.0, 1.0]))
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name not in ("q_up.weight", "kv_up.weight"))
    for name, view in views.items():
        now = getattr(layer, name)
        assert torch.equal(now[[0, 2, 3]], view[[0, 2, 3]])
        factor = {"q_up_nope": 0.5**0.5, "q_up_rope": 0.5, "k_up": 0.5**0.5, "v_up": 1.0}[name]
        torch.testing.assert_close(now[1], view[1] * factor, atol=1e-15, rtol=1e-15)


def test_rescaling_leaves_no_trace_in_the_graph():
    layer = make_layer(km.NANO)
    layer.rescale_qk_(torch.full((4,), 0.5))
    assert layer.q_up.weight.is_leaf and layer.q_up.weight.requires_grad
    run(km.NANO, layer)[0].sum().backward()
    assert layer.q_up.weight.grad is not None
