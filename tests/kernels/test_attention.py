"""Attention: the fast form against the definition (outputs, largest logits, gradients), expanded and absorbed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_mini import kernels
from kimi_mini.kernels import attention_torch

FULL = [torch.float32, torch.float64]


@pytest.fixture(autouse=True, scope="module", params=["blocks", "flash"])
def road(request):
    """Both fast forms at every length here; outside tests the number of tokens decides."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "flash":
            patch.setattr(attention_torch, "_SHORT", 0)
        yield


HALF = [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)]


def inputs(length, *, batch=2, heads=3, width=24, v_width=16, dtype=torch.float32, seed=0):
    """q, k, v as [B, T, H, .] that need gradients."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(batch, length, heads, n) for n in (width, width, v_width)]
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]


def run(impl, tensors, **kwargs):
    """Outputs and gradients of one form: (out, max_logits, dq, dk, dv)."""
    q, k, v = (tensor.detach().clone().requires_grad_() for tensor in tensors)
    out, max_logits = kernels.attention(q, k, v, scale=kwargs.pop("scale", 0.3), impl=impl, **kwargs)
    probe = torch.cos(torch.arange(out.numel(), dtype=torch.float64)).view(out.shape).to(out.dtype)
    return [out, max_logits, *torch.autograd.grad((out * probe).sum(), (q, k, v))]


def assert_twins_agree(tensors, **kwargs):
    tolerance = 1e-12 if tensors[0].dtype == torch.float64 else 1e-5
    fast, slow = run("torch", tensors, **kwargs), run("ref", tensors, **kwargs)
    for name, a, b in zip(("out", "max_logits", "dq", "dk", "dv"), fast, slow, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance, msg=lambda m, name=name: f"{name}: {m}")


# Documents as in `document_BT`: 0 is padding. Two rows each, cut or repeated to the length at hand.
def packed(length):
    first, second = torch.ones(length, dtype=torch.long), torch.arange(length) // 7 + 1
    first[length // 3 :], first[2 * length // 3 :] = 2, 3
    return torch.stack((first, second))


def padded_right(length):
    return (torch.arange(length) < torch.tensor([[length], [length // 2 + 1]])).long()


def padded_left(length):
    return padded_right(length).flip(1)


def packed_and_padded(length):
    return packed(length) * padded_right(length)


DOCUMENTS = [packed, padded_right, padded_left, packed_and_padded]


@pytest.mark.parametrize("dtype", FULL, ids=str)
@pytest.mark.parametrize("length", [1, 2, 7, 255, 256, 257, 301])
def test_lengths(length, dtype):
    assert_twins_agree(inputs(length, dtype=dtype))


def test_more_than_two_blocks_of_rows():
    assert_twins_agree(inputs(600, batch=1))


@pytest.mark.parametrize("length", [5, 290])
@pytest.mark.parametrize("v_width", [1, 24, 40])
def test_value_widths(length, v_width):
    assert_twins_agree(inputs(length, v_width=v_width))


@pytest.mark.parametrize("dtype", FULL, ids=str)
@pytest.mark.parametrize("length", [1, 19, 270])
@pytest.mark.parametrize("documents", DOCUMENTS)
def test_packed_documents_and_padding(length, documents, dtype):
    assert_twins_agree(inputs(length, dtype=dtype), document_BT=documents(length))


@pytest.mark.parametrize("length", [9, 300])
def test_largest_logit_can_be_negative(length):
    q, k, v = inputs(length)
    tensors = [q.abs(), -k.abs(), v]
    assert run("torch", tensors)[1].max() < 0
    assert_twins_agree(tensors)
    assert_twins_agree(tensors, document_BT=packed_and_padded(length))


@pytest.mark.parametrize("impl", ["ref", "torch"])
@pytest.mark.parametrize("length", [4, 300])
def test_only_real_causal_pairs_count_for_the_maximum(impl, length):
    # Equal large logits everywhere a query must not look; the maximum must be one of the others.
    q, k, v = (t.detach() for t in inputs(length, batch=1, heads=1))
    documents = torch.ones(1, length, dtype=torch.long)
    documents[0, length // 2 :], documents[0, -1] = 2, 0
    loud = 100 * torch.ones(q.shape[-1])
    q[0, -1], k[0, -1] = loud, loud  # padding that sees itself; every earlier query would see the future
    q[0, length // 2] = q[0, length // 2].clamp(max=0)
    k[0, 0] = -loud  # a key of document 1, seen only from within
    q[0, 0] = -0.001 * loud
    allowed = [
        (q[0, t, 0] @ k[0, s, 0]).item() * 0.3
        for t in range(length)
        for s in range(t + 1)
        if documents[0, t] == documents[0, s] > 0
    ]
    _, found = kernels.attention(q, k, v, scale=0.3, document_BT=documents, impl=impl)
    assert found.item() == pytest.approx(max(allowed), rel=1e-5)


@pytest.mark.parametrize("impl", ["ref", "torch"])
@pytest.mark.parametrize("length", [4, 300])
def test_nothing_but_padding(impl, length):
    out, max_logits = kernels.attention(
        *inputs(length), scale=1.0, document_BT=torch.zeros(2, length, dtype=torch.long), impl=impl
    )
    assert (max_logits == -math.inf).all()
    assert out.isfinite().all()


@pytest.mark.parametrize("impl", ["ref", "torch"])
@pytest.mark.parametrize("length", [8, 300])
def test_documents_are_as_alone(impl, length):
    tensors = inputs(length, batch=1, dtype=torch.float64)
    half = length // 2
    documents = (torch.arange(length) >= half).long()[None] + 1
    whole, whole_max = kernels.attention(*tensors, scale=0.5, document_BT=documents, impl=impl)
    parts = [
        kernels.attention(*(t[:, rows] for t in tensors), scale=0.5, impl=impl) for rows in (slice(half), slice(half, None))
    ]
    torch.testing.assert_close(whole, torch.cat([out for out, _ in parts], 1), atol=1e-12, rtol=0)
    torch.testing.assert_close(whole_max, torch.maximum(parts[0][1], parts[1][1]), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("dtype", "unit"), HALF)
@pytest.mark.parametrize("length", [11, 300])
def test_half_precision(length, dtype, unit):
    tensors = inputs(length, dtype=dtype)
    truth = run("ref", [t.double() for t in tensors])
    for impl in ("ref", "torch"):
        results = run(impl, tensors)
        assert results[0].dtype == dtype and results[1].dtype == torch.float32
        torch.testing.assert_close(results[1].double(), truth[1], atol=1e-5, rtol=1e-5)  # exact products, fp32 sums
        for got, exact in zip(results[:1] + results[2:], truth[:1] + truth[2:], strict=True):
            assert (got - exact).norm() < 2 * unit * exact.norm()


def test_maximum_carries_no_gradient():
    for length in (5, 300):
        for impl in ("ref", "torch"):
            assert not kernels.attention(*inputs(length), scale=1.0, impl=impl)[1].requires_grad


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(257, 700),
    place=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999), st.integers(0, 1), st.integers(0, 1)),
    height=st.floats(0.01, 1e4),
    gap=st.sampled_from([0.0, 1e-6, 1e-5, 1e-4, 5e-4, 0.1]),
    breadth=st.integers(2, 200),
    shift=st.sampled_from([-2e4, 0.0, 3.0]),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.float64]),
    with_documents=st.booleans(),
)
def test_skipping_by_log_sum_exp_never_misses_the_maximum(length, place, height, gap, breadth, shift, dtype, with_documents):
    # The worst case of the guard: one row whose log-sum-exp is barely above its maximum (one loud key), behind a row that
    # is looked at first because many keys, each a little less loud, give it the larger log-sum-exp.
    batch, head = place[2:]
    q, k = torch.zeros(2, length, 2, 8), torch.zeros(2, length, 2, 8)
    q[..., 0], k[..., 0] = 1.0, shift
    peaked, broad = (int(x * length) for x in place[:2])
    q[batch, peaked, head, 1], k[batch, 0, head, 1] = height, 1.0
    q[batch, broad, head, 2], k[batch, 1 : 1 + breadth, head, 2] = height * (1 - gap), 1.0
    documents = packed_and_padded(length) if with_documents else None
    q, k = q.to(dtype), k.to(dtype)
    _, fast = kernels.attention(q, k, k, scale=0.25, document_BT=documents, impl="torch")
    _, slow = kernels.attention(q, k, k, scale=0.25, document_BT=documents, impl="ref")
    torch.testing.assert_close(fast, slow, rtol=1e-7, atol=0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_largest_logit_of_random_rows(seed, dtype):
    for length in (257, 400):
        q, k, v = (t.detach() * 2 for t in inputs(length, seed=seed, dtype=dtype))
        documents = packed_and_padded(length) if seed % 2 else None
        _, fast = kernels.attention(q, k, v, scale=0.3, document_BT=documents, impl="torch")
        _, slow = kernels.attention(q, k, v, scale=0.3, document_BT=documents, impl="ref")
        torch.testing.assert_close(fast, slow, atol=0, rtol=2e-6)


def test_unknown_impl():
    with pytest.raises(ValueError, match="impl = 'fast'"):
        kernels.attention(*inputs(3), scale=1.0, impl="fast")


# ---- absorbed --------------------------------------------------------------------------------------------------------


def latent_inputs(queries, slots, *, latent=16, rope=6, batch=3, heads=4, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(batch, queries, heads, latent + rope, generator=generator, dtype=torch.float64)
    cache = torch.randn(batch, slots, latent + rope, generator=generator, dtype=torch.float64)
    return q.to(dtype).requires_grad_(), cache.to(dtype).requires_grad_()


def run_latent(impl, q, cache, visible):
    q, cache = (x.detach().clone().requires_grad_() for x in (q, cache))
    out, max_logits = kernels.latent_attention(q, cache, visible, latent_dim=16, scale=0.4, impl=impl)
    return [out, max_logits, *torch.autograd.grad(out.square().sum(), (q, cache))]


@pytest.mark.parametrize("dtype", FULL, ids=str)
@pytest.mark.parametrize(
    "visible", [[[1], [1], [1]], [[20], [3], [11]], [[0], [20], [7]], [[4, 5, 6], [18, 19, 20], [1, 2, 0]]], ids=str
)
def test_latent_twins_agree(visible, dtype):
    visible = torch.tensor(visible)
    q, cache = latent_inputs(visible.shape[1], 20, dtype=dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for a, b in zip(run_latent("torch", q, cache, visible), run_latent("ref", q, cache, visible), strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_what_is_not_visible_does_not_matter(impl):
    q, cache = (x.detach() for x in latent_inputs(1, 20))
    visible = torch.tensor([[20], [3], [0]])
    out, max_logits = kernels.latent_attention(q, cache, visible, latent_dim=16, scale=0.4, impl=impl)
    assert (out[2] == 0).all()
    cache[1, 3:], cache[2] = 1e4, -1e4
    changed, changed_max = kernels.latent_attention(q, cache, visible, latent_dim=16, scale=0.4, impl=impl)
    assert torch.equal(changed, out) and torch.equal(changed_max, max_logits)


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_latent_padding_has_no_maximum(impl):
    q, cache = latent_inputs(2, 5)
    _, max_logits = kernels.latent_attention(q, cache, torch.zeros(3, 2, dtype=torch.long), latent_dim=16, scale=1.0, impl=impl)
    assert (max_logits == -math.inf).all()


@pytest.mark.parametrize(("dtype", "unit"), HALF)
def test_latent_half_precision(dtype, unit):
    q, cache = latent_inputs(2, 20, dtype=dtype)
    visible = torch.tensor([[19, 20], [0, 1], [7, 8]])
    truth = run_latent("ref", q.double(), cache.double(), visible)
    for impl in ("ref", "torch"):
        out, max_logits, *_ = run_latent(impl, q, cache, visible)
        assert out.dtype == dtype
        assert (out - truth[0]).norm() < 4 * unit * truth[0].norm()
        torch.testing.assert_close(max_logits.double(), truth[1], atol=0, rtol=4 * unit)


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_absorbed_is_expanded_over_one_shared_key(impl):
    # With one query per row of a causal triangle, the latent form is attention whose keys are the cache itself.
    q, cache = latent_inputs(9, 9, batch=2, dtype=torch.float64)
    visible = torch.arange(1, 10).expand(2, -1)
    out, max_logits = kernels.latent_attention(q, cache, visible, latent_dim=16, scale=0.4, impl=impl)
    keys = cache[:, :, None].expand(-1, -1, 4, -1)
    expected, expected_max = kernels.attention(q, keys, keys[..., :16], scale=0.4, impl="ref")
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(max_logits, expected_max, atol=1e-12, rtol=0)
