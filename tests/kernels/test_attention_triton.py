"""Attention kernels: outputs, largest logits and all gradients against float64 of the definition."""

import math

import pytest
import torch

from kimi_mini import kernels
from tests.kernels.mutants import Mutant, must_die

pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")

TOLERANCE = {torch.float32: 2e-6, torch.float16: 2**-9, torch.bfloat16: 2**-6}
SCALE = 0.3


def inputs(T, *, B=1, H=2, N=24, M=16, dtype=torch.float32, device="cpu", seed=0):
    """q, k, v as [B, T, H, .]."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(B, T, H, width, generator=g).to(device, dtype) for width in (N, N, M)]


def attend(form, tensors, document_BT=None, scale=SCALE):
    """[out, max_logits, dq, dk, dv] of a module."""
    leaves = [t.detach().requires_grad_() for t in tensors]  # views stay views
    out, max_logits = form.attention(*leaves, scale=scale, document_BT=document_BT)
    dout = torch.cos(torch.arange(out.numel(), device=out.device)).view(out.shape).to(out.dtype)
    return [out, max_logits, *torch.autograd.grad(out, leaves, dout)]


class Definition:
    @staticmethod
    def attention(*tensors, **options):
        return kernels.attention(*tensors, **options, impl="ref")


def check_tensors(form, tensors, document_BT=None, scale=SCALE):
    """Every result against float64, as a norm relative to the result's; a gradient that cancels, relative to what cancelled."""
    q, k, _ = tensors
    exact = attend(Definition, [t.double() for t in tensors], document_BT, scale)
    got = attend(form, tensors, document_BT, scale)
    assert got[0].dtype == tensors[2].dtype and got[1].dtype == torch.float32
    largest = scale * float(q.abs().max() * k.abs().max()) * q.shape[-1] ** 0.5
    unit = 5e-7 if q.dtype == torch.float32 else 4e-6  # tensor cores drop the last bits of fp32 sums
    torch.testing.assert_close(got[1].double(), exact[1], atol=unit * largest, rtol=1e-6)
    tolerance = TOLERANCE[q.dtype] + 2e-7 * largest  # fp32 holds a logit to so much
    summands = [0, 0, scale * float(k.abs().max()), scale * float(q.abs().max()), 0]
    for i in (0, 2, 3, 4):
        size = max(exact[i].norm(), summands[i] * exact[4].norm())
        assert (got[i].double() - exact[i]).norm() <= tolerance * size, ("out", "", "dq", "dk", "dv")[i]


def packed(T):
    """Three documents, the last of them padding."""
    return (torch.arange(T) // max(T // 3, 1) + 1)[None] * (torch.arange(T) < T - T // 4)


def padded_left(T):
    return (torch.arange(T) >= T // 3).long()[None]


def interleaved(T):
    """Documents whose tokens alternate: whole tiles hide nothing."""
    return (torch.arange(T) % 3)[None]


def check(form, T=18, documents=None, **shape):
    check_tensors(form, inputs(T, **shape), None if documents is None else documents(T).expand(shape.get("B", 1), -1))


def check_all_padding(form):
    out, max_logits, *gradients = attend(form, inputs(9, H=1), torch.zeros(1, 9, dtype=torch.long))
    assert (max_logits == -math.inf).all()
    assert all(t.isfinite().all() for t in (out, *gradients))


def check_skipping(form):
    """What whole tiles of other documents hold is not looked at: it is NaN, and the document between them is as alone."""
    q, k, v = inputs(48, H=1)
    alone = attend(form, [t[:, 16:32] for t in (q, k, v)])
    for t in (q, k, v):
        t[:, :16], t[:, 32:] = float("nan"), float("nan")
    whole = attend(form, (q, k, v), torch.arange(48)[None] // 16 + 1)
    assert all(t[:, 16:32].isfinite().all() for t in (whole[0], *whole[2:]))
    torch.testing.assert_close(whole[0][:, 16:32], alone[0], atol=1e-6, rtol=0)


def check_negative(form):
    """All logits below zero: a maximum that starts at zero, or that leaves out the sign, is wrong."""
    q, k, v = inputs(20, H=1)
    check_tensors(form, [q.abs() + 0.1, -k.abs() - 0.1, v])


def triton_form():
    from kimi_mini.kernels import attention_triton

    return attention_triton


# In the interpreter a tile is 16 queries by 8 keys. Widths: two parts, one part, a padded rest, K2's.
SHAPES = [
    dict(T=1, H=1),
    dict(T=7, H=3),
    dict(T=33, H=1),
    dict(T=32, B=2, N=16, H=1),
    dict(T=17, N=48, M=32),
    dict(T=19, N=7, M=5),
    dict(T=18, H=1, N=192, M=128),
]
K2 = dict(N=192, M=128)
LARGE = [dict(T=1024, **K2), dict(T=777, H=3, **K2), dict(T=300, B=4, H=6, N=48, M=32), dict(T=1)]


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(shape, dtype):
    check(triton_form(), dtype=dtype, **shape)


@interpreted
@pytest.mark.parametrize("documents", [packed, padded_left, interleaved])
@pytest.mark.parametrize("T", [1, 21])
def test_packed_documents_and_padding(T, documents):
    check(triton_form(), T=T, documents=documents)


@interpreted
@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_tiles_of_other_documents_are_not_visited():
    check_skipping(triton_form())


@interpreted
def test_documents_differ_between_sequences():
    documents = torch.cat((packed(18), padded_left(18)))
    check_tensors(triton_form(), inputs(18, B=2), documents)


@interpreted
def test_nothing_but_padding():
    check_all_padding(triton_form())


@interpreted
def test_all_logits_negative():
    check_negative(triton_form())


@interpreted
def test_very_large_logits():
    # Products of powers of two, so that every sum is exact: logits of +-1e4, ties included.
    q, k, v = torch.zeros(1, 24, 1, 16), torch.zeros(1, 24, 1, 16), torch.randn(1, 24, 1, 16)
    q[..., 0], k[..., 0] = 1.0, 1e4 * torch.cos(torch.arange(24.0) * 7).sign()[None, :, None]
    check_tensors(triton_form(), [q, k, v], scale=1.0)
    check_tensors(triton_form(), [q, -k.abs(), v], scale=1.0)


@interpreted
def test_only_real_causal_pairs_count_for_the_maximum():
    # The largest products are where nobody may look: the future, another document, padding.
    q, k, v = (torch.ones(1, 30, 1, 16) for _ in range(3))
    k[:, 20:] = 100.0
    q[:, 20:25], q[:, 25:] = -1.0, 50.0
    documents = (torch.arange(30) < 25).long()[None]
    _, max_logits, *_ = attend(triton_form(), (q, k, v), documents, scale=1.0)
    assert max_logits.tolist() == [16.0]


@interpreted
def test_views_as_the_model_makes_them():
    B, T, H, N, M = 1, 17, 2, 24, 16
    g = torch.Generator().manual_seed(0)
    q = torch.randn(B, H, T, N, generator=g).transpose(1, 2)
    k, v = torch.randn(B, T, H, N + M, generator=g).split([N, M], -1)  # as it comes out of one projection
    check_tensors(triton_form(), [q, k, v])
    check_tensors(triton_form(), [q, torch.randn(B, T, N, H, generator=g).mT, v.expand(-1, -1, H, -1)])


@interpreted
def test_as_alone():
    q, k, v = inputs(24)
    documents = (torch.arange(24) >= 11).long()[None] + 1
    whole, *_ = attend(triton_form(), (q, k, v), documents)
    parts = [attend(triton_form(), [t[:, rows] for t in (q, k, v)])[0] for rows in (slice(11), slice(11, None))]
    torch.testing.assert_close(whole, torch.cat(parts, 1), atol=1e-6, rtol=0)


def test_the_maximum_carries_no_gradient():
    tensors = [t.requires_grad_() for t in inputs(3)]
    assert not kernels.attention(*tensors, scale=SCALE, impl="triton")[1].requires_grad


def test_what_the_kernels_do_not_take_is_refused():
    with pytest.raises(ValueError, match="widths of key and value in tiles = 448"):
        kernels.attention(*inputs(3, N=192, M=192), scale=1.0, impl="triton")
    tensors = inputs(3)
    with pytest.raises(ValueError, match="scale = 0"):
        kernels.attention(*tensors, scale=0.0, impl="triton")


@pytest.mark.gpu
@pytest.mark.parametrize("documents", [None, packed])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_on_a_gpu(shape, dtype, documents):
    made = None if documents is None else (lambda T: documents(T).cuda())
    check(triton_form(), documents=made, dtype=dtype, device="cuda", **shape)


def under_the_forward(checked):
    """The same check for the backward's module, which has no attention of its own."""

    def check_it(module):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(triton_form(), "gradients", module.gradients)
            checked(triton_form())

    return check_it


def check_masks(form):
    check(form, H=1)
    check(form, H=1, documents=interleaved)


check_backward, check_backward_skipping = under_the_forward(check_masks), under_the_forward(check_skipping)


def check_forward(form):
    check(form, H=1)


def check_padding(form):
    check(form, H=1, documents=padded_left)


FORWARD, BACKWARD = "attention_triton", "attention_triton_backward"
MUTANTS = [
    Mutant(FORWARD, "total = total * shrink +", "total = total +", check_forward),
    Mutant(FORWARD, "out * shrink[:, None]", "out", check_forward),
    Mutant(FORWARD, "s[None, :] <= t[:, None]", "s[None, :] < t[:, None] + 2", check_forward),
    Mutant(FORWARD, "(t_start + 1) // S_BLOCK", "(t_start + 15) // S_BLOCK", check_forward),
    Mutant(FORWARD, "tl.full((T_BLOCK,), -float(\"inf\"), tl.float32)", "tl.zeros((T_BLOCK,), tl.float32)", check_negative),
    Mutant(FORWARD, "tl.where(counts, peak,", "tl.where(counts, peak + tl.log2(total) / log2_scale,", check_forward),
    Mutant(FORWARD, "-float(\"inf\")), 0) * scale", "-float(\"inf\")), 0) * scale * scale", check_forward),
    Mutant(FORWARD, "log2_scale = scale *", "log2_scale = scale * scale *", check_forward),
    Mutant(FORWARD, "counts & (t_document != 0)", "counts", check_all_padding),
    Mutant(FORWARD, "s_document[None, :] == t_document", "s_document[None, :] <= t_document", check_padding),
    Mutant(FORWARD, "start, diagonal, t, t_document", "0, diagonal, t, t_document", check_skipping),
    Mutant(BACKWARD, "start, diagonal, t, t_document", "0, diagonal, t, t_document", check_backward_skipping),
    Mutant(BACKWARD, "tl.cdiv(stop, T_BLOCK)", "tl.cdiv(T, T_BLOCK)", check_backward_skipping),
    Mutant(BACKWARD, "dout.to(tl.float32), 1)", "dout.to(tl.float32), 1) * 0", check_backward),
    Mutant(BACKWARD, "s[None, :] <= t[:, None]", "s[None, :] < t[:, None]", check_backward),
    Mutant(BACKWARD, "dq_first * scale", "dq_first", check_backward),
    Mutant(BACKWARD, "tl.dot(dproduct, k_rest, dq_rest,", "tl.dot(dproduct, k_rest, dq_rest * 0,", check_backward),
    Mutant(BACKWARD, "s[:, None] <= t[None, :]", "s[:, None] < t[None, :] + 2", check_backward),
    Mutant(BACKWARD, "tl.maximum(diagonal, whole), T,", "T, T,", check_backward),
    Mutant(BACKWARD, "s_document[:, None] == t_document[None, :]", "s_document[:, None] > t_document[None, :]", check_backward),
    Mutant(BACKWARD, "tl.float32) - delta\n", "tl.float32)\n", check_backward),
    Mutant(BACKWARD, "dk_rest * scale", "dk_first * scale", check_backward),
]  # fmt: skip


@interpreted
@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
