"""Absorbed decoding kernels against float64 of the definition: outputs, largest logits, splits, ragged lengths."""

import math

import pytest
import torch

from kimi_mini import kernels
from tests.kernels.mutants import Mutant, must_die

pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")

TOLERANCE = {torch.float32: 3e-6, torch.float16: 2**-9, torch.bfloat16: 2**-6}
SCALE = 0.3


def inputs(visible, *, S=50, H=3, C=16, R=6, dtype=torch.float32, device="cpu", seed=0):
    """q_BTHX, cache_BSX and visible_BT; what no query may see holds NaN."""
    g = torch.Generator().manual_seed(seed)
    visible = torch.tensor(visible)
    q = torch.randn(*visible.shape, H, C + R, generator=g)
    cache = torch.randn(len(visible), S, C + R, generator=g)
    cache[torch.arange(S) >= visible.amax(1, keepdim=True)] = float("nan")
    return q.to(device, dtype), cache.to(device, dtype), visible.to(device)


def triton_form():
    from kimi_mini.kernels import latent_attention_triton

    return latent_attention_triton


def check_tensors(form, q, cache, visible, C=16, scale=SCALE):
    exact, exact_max = kernels.latent_attention(
        q.double(), cache.double().nan_to_num(), visible, latent_dim=C, scale=scale, impl="ref"
    )
    out, max_logits = form.latent_attention(q, cache, visible, latent_dim=C, scale=scale)
    assert out.dtype == q.dtype and max_logits.dtype == torch.float32
    largest = scale * float(q.abs().max() * cache.nan_to_num().abs().max()) * q.shape[-1] ** 0.5
    unit = 5e-7 if q.dtype == torch.float32 else 4e-6  # tensor cores drop the last bits of fp32 sums
    torch.testing.assert_close(max_logits.double(), exact_max, atol=unit * largest, rtol=1e-6)
    assert (out.double() - exact).norm() <= (TOLERANCE[q.dtype] + 2e-7 * largest) * exact.norm()
    assert (out[visible == 0] == 0).all()


def check(form, visible=((50,), (3,), (0,)), **shape):
    check_tensors(form, *inputs(visible, **shape), C=shape.get("C", 16))


def check_negative(form):
    q, cache, visible = inputs([[40], [9]])
    check_tensors(form, q.abs() + 0.1, -cache.abs() - 0.1, visible)


# In the interpreter a tile is 8 rows by 8 positions: 50 positions are 7 tiles in 3 splits.
VISIBLE = [[[1]], [[50], [1], [0]], [[20], [3], [49]], [[4, 5, 6], [48, 49, 50], [1, 2, 0]], [[0], [0]]]


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("visible", VISIBLE, ids=str)
def test_ragged_lengths(visible, dtype):
    check(triton_form(), visible, dtype=dtype)


@interpreted
@pytest.mark.parametrize(
    "shape",
    [dict(H=1), dict(H=11), dict(S=1), dict(S=7), dict(S=33, C=24, R=8), dict(R=0), dict(S=20, C=512, R=64)],
    ids=str,
)
def test_shapes(shape):
    last = shape.get("S", 50)
    check(triton_form(), ((last,), (last // 2,)), **shape)


@interpreted
@pytest.mark.parametrize("splits", [1, 2, 5, 20])
def test_the_number_of_splits_changes_nothing(splits, monkeypatch):
    form = triton_form()
    monkeypatch.setattr(form, "n_splits", lambda programs, tiles: splits)
    check(form, ((50, 50), (13, 0)))


@interpreted
def test_all_logits_negative():
    check_negative(triton_form())


@interpreted
def test_very_large_logits():
    q, cache, visible = inputs([[50], [17]])
    q.zero_()[..., 0] = 1.0  # so that every logit is one exact number, +-1e4, ties included
    cache[..., 0] = 1e4 * torch.cos(torch.arange(50.0) * 7).sign()
    check_tensors(triton_form(), q, cache, visible, scale=1.0)
    cache[..., 0] = -1e4
    check_tensors(triton_form(), q, cache, visible, scale=1.0)


@interpreted
def test_nothing_but_padding():
    out, max_logits = kernels.latent_attention(*inputs([[0], [0]]), latent_dim=16, scale=1.0, impl="triton")
    assert (max_logits == -math.inf).all() and (out == 0).all()


@interpreted
def test_views_of_a_larger_cache():
    q, cache, visible = inputs([[20, 21], [3, 4]], S=30)
    wide = torch.full((2, 64, 40), float("nan"))
    wide[:, :30, 5:27] = cache
    q = q.transpose(1, 2).contiguous().transpose(1, 2)
    check_tensors(triton_form(), q, wide[:, :30, 5:27], visible.T.contiguous().T)
    check_tensors(triton_form(), q, cache.mT.contiguous().mT, visible)


@interpreted
def test_absorbed_is_expanded_over_one_shared_key():
    q, cache, _ = inputs([[9] * 9, [9] * 9], S=9, H=2)
    out, max_logits = kernels.latent_attention(
        q, cache, torch.arange(1, 10).expand(2, -1), latent_dim=16, scale=SCALE, impl="triton"
    )
    keys = cache[:, :, None].expand(-1, -1, 2, -1)
    expected, expected_max = kernels.attention(q, keys, keys[..., :16], scale=SCALE, impl="triton")
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(max_logits, expected_max, atol=1e-6, rtol=0)


@interpreted
def test_where_a_gradient_is_asked_for_there_is_one():
    grads = {}
    for impl in ("triton", "ref"):
        q, cache, visible = inputs([[9], [9]], S=9)
        leaves = q.requires_grad_(), cache.requires_grad_()
        out, _ = kernels.latent_attention(*leaves, visible, latent_dim=16, scale=SCALE, impl=impl)
        grads[impl] = torch.autograd.grad(out.square().sum(), leaves)
    torch.testing.assert_close(grads["triton"], grads["ref"], atol=1e-5, rtol=1e-5)


def test_splits_fill_the_gpu_and_are_no_more_than_that():
    form = triton_form()
    assert form.n_splits(128, 64) == 1  # one round, nearly full
    assert form.n_splits(32, 64) == 4
    assert form.n_splits(1, 1) == form.n_splits(1, 3) == 1  # too short to cut
    assert form.n_splits(1, 64) == 29  # of at most 32, two tiles each: nearly as busy
    assert all(1 <= form.n_splits(p, t) <= max(1, t // 2) for p in (1, 7, 133, 4096) for t in (1, 2, 9, 1024))
    assert form.n_splits(4096, 1024) == 1


def test_what_the_kernels_do_not_take_is_refused():
    with pytest.raises(ValueError, match="width of the cache in tiles = 640"):
        kernels.latent_attention(*inputs([[3]], C=512, R=65), latent_dim=512, scale=1.0, impl="triton")
    with pytest.raises(ValueError, match="scale = -1"):
        kernels.latent_attention(*inputs([[3]]), latent_dim=16, scale=-1.0, impl="triton")


LARGE = [
    (dict(S=4096, H=64, C=512, R=64), [[4096], [1], [1000], [0]]),
    (dict(S=1000, H=16, C=512, R=64), [[1000, 999], [7, 8]]),
    (dict(S=300, H=6, C=64, R=16), [[300]] * 150),
]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize(("shape", "visible"), LARGE, ids=str)
def test_on_a_gpu(shape, visible, dtype):
    check(triton_form(), visible, dtype=dtype, device="cuda", **shape)


MODULE = "latent_attention_triton"
SUM = "tl.zeros((C_BLOCK,), tl.float32)\n    for split in "
MUTANTS = [
    Mutant(MODULE, "total = total * shrink +", "total = total +", check),
    Mutant(MODULE, "out * shrink[:, None]", "out", check),
    Mutant(MODULE, "s[None, :] < last[:, None]", "s[None, :] < last[:, None] - 1", check),
    Mutant(MODULE, "tl.full((ROWS,), -float(\"inf\"), tl.float32)", "tl.zeros((ROWS,), tl.float32)", check_negative),
    Mutant(MODULE, "here, peak * scale, mask", "here, (peak + tl.log2(total) / log2_scale) * scale, mask", check),
    Mutant(MODULE, "log2_scale = scale *", "log2_scale = scale * scale *", check),
    Mutant(MODULE, "row // H, mask", "row % T, mask", lambda form: check(form, ((50, 20), (7, 3)))),
    Mutant(MODULE, "        total += weight\n", "        total += weight * (split > 0)\n", check),
    Mutant(MODULE, SUM + "range(0,", SUM + "range(1,", check),
    Mutant(MODULE, "tl.where(weight > 0, C, 0)", "C", check),
]  # fmt: skip


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
