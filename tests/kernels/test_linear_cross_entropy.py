"""Linear + cross-entropy: every form against float64 of the definition; nothing the size of the logits is ever made."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kimi_mini import kernels
from kimi_mini.kernels import linear_cross_entropy_torch
from tests.kernels.mutants import Mutant, must_die

interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 3e-6, torch.float16: 2**-9, torch.bfloat16: 2**-6}
SHAPES = [(1, 1, 1), (5, 16, 33), (21, 19, 37), (40, 16, 16)]  # T, D, V; the interpreter's tiles are 16 wide on every axis
needs_triton = pytest.param("triton", marks=interpreted)


class Form:
    """The public operation by one of its forms; stands where a test of mutants passes a module."""

    def __init__(self, impl):
        if impl == "triton":
            pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
        self.impl = impl

    def linear_cross_entropy(self, x, weight, target):
        return kernels.linear_cross_entropy(x, weight, target, impl=self.impl)


def inputs(shape, dtype, device="cpu", seed=0):
    """x, weight (logits of about 3) and targets, of which the first two and the last token's are hard cases."""
    g = torch.Generator().manual_seed(seed)
    T, D, V = shape
    x, weight = torch.randn(T, D, generator=g), 3 / math.sqrt(D) * torch.randn(V, D, generator=g)
    target = torch.randint(V, (T,), generator=g)
    target[0], target[T // 2 + 1 :: 5], target[-1] = 0, -100, V - 1
    return x.to(device, dtype), weight.to(device, dtype), target.to(device)


def run(form, x, weight, target, dloss=1.0):
    x, weight = (t.detach().clone().requires_grad_() for t in (x, weight))
    loss = form.linear_cross_entropy(x, weight, target)
    return [loss, *torch.autograd.grad(loss, (x, weight), torch.tensor(dloss, dtype=loss.dtype, device=loss.device))]


def check(form, shape=(21, 19, 37), dtype=torch.float32, device="cpu", tolerance=None):
    x, weight, target = inputs(shape, dtype, device)
    exact = run(Form("ref"), x.double(), weight.double(), target, dloss=0.5)
    got = run(form, x, weight, target, dloss=0.5)
    assert [t.dtype for t in got] == [torch.promote_types(dtype, torch.float32), dtype, dtype]
    for mine, want in zip(got, exact, strict=True):
        assert (mine.double() - want).norm() <= (tolerance or TOLERANCE[dtype]) * want.norm() + 1e-6 * (shape[2] == 1)
    if isinstance(form, Form) and form.impl == "triton":
        assert got[0].item() == pytest.approx(exact[0].item(), rel=1e-5, abs=1e-6)  # products and sums of 16 bits are wide
    assert (got[1][target == -100] == 0).all()


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("shape", [*SHAPES, (300, 8, 11)], ids=str)  # the last: two chunks of tokens
@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_twins_agree(impl, shape, dtype):
    check(Form(impl), shape, dtype)


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_equal_the_definition(shape, dtype):
    check(Form("triton"), shape, dtype)


@pytest.mark.parametrize("impl", ["ref", "torch", needs_triton])
def test_definition_by_hand(impl):
    x, weight = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, 9.0], [0.5, 9.0], [0.0, 9.0]])
    loss, dx, dweight = run(Form(impl), x, weight, torch.tensor([0, 2]))
    p = torch.tensor([math.e**2, math.e, 1.0]) / (math.e**2 + math.e + 1)
    assert loss.item() == pytest.approx(math.log(math.e**2 + math.e + 1) - 2 + math.log(3), rel=1e-6)
    torch.testing.assert_close(dx[0, 0], p[0] + p[1] / 2 - 1)
    torch.testing.assert_close(dweight, torch.stack((2 * (p - torch.tensor([1.0, 0, 0])), torch.zeros(3)), 1))


@pytest.mark.parametrize("impl", ["ref", "torch", needs_triton])
def test_the_loss_of_nothing_is_zero(impl):
    x, weight, target = inputs((5, 8, 20), torch.float32)
    x[2] = float("inf")  # padding may hold anything
    loss, dx, dweight = run(Form(impl), x.nan_to_num(posinf=1e30), weight, torch.full_like(target, -100))
    assert loss.item() == 0 and (dx == 0).all() and (dweight == 0).all()


@pytest.mark.parametrize("impl", ["ref", "torch", needs_triton])
def test_huge_and_very_negative_logits_stay_finite(impl):
    x, weight = torch.tensor([[1e4, 0.0], [0.0, -1e4]]), torch.tensor([[3.0, 1.0], [-3.0, 1.0], [2.0, 1.0]])
    loss, dx, dweight = run(Form(impl), x, weight, torch.tensor([1, 2]))
    assert loss.item() == pytest.approx(6e4 + math.log(3), rel=1e-6)  # all logits of the second token are -10,000
    torch.testing.assert_close(dx, torch.tensor([[6.0, 0.0], [2 / 3 - 2, 0.0]]), atol=1e-5, rtol=1e-5)
    assert dweight.isfinite().all()


@pytest.mark.parametrize("impl", ["torch", needs_triton])
def test_views_one_gradient_and_none(impl):
    x, weight, target = inputs((21, 19, 37), torch.float32)
    want = run(Form("ref"), x, weight, target)
    form, spread = Form(impl), torch.stack((x, x), -1)[..., 0]
    strided = run(form, spread, torch.stack((weight, weight), -1)[..., 0], target)
    torch.testing.assert_close(strided, want, atol=1e-5, rtol=1e-5)
    leaf = x.clone().requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(form.linear_cross_entropy(leaf, weight, target), leaf)[0], strided[1])
    leaf = weight.clone().requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(form.linear_cross_entropy(x, leaf, target), leaf)[0], strided[2])
    assert not form.linear_cross_entropy(x, weight, target).requires_grad


@interpreted
def test_an_id_that_does_not_exist_does_not_go_unseen():
    x, weight, target = inputs((5, 8, 20), torch.float32)
    for wrong in (20, -1, 10_000):
        target[3] = wrong
        assert Form("triton").linear_cross_entropy(x, weight, target).isnan()
        with pytest.raises((IndexError, RuntimeError)):
            Form("torch").linear_cross_entropy(x, weight, target)


@interpreted
def test_two_formats_are_refused():
    x, weight, target = inputs((5, 8, 20), torch.float32)
    with pytest.raises(ValueError, match="weight_VD's dtype = torch.float16"):
        Form("triton").linear_cross_entropy(x, weight.half(), target)


class Largest(TorchDispatchMode):
    """The most bytes that any result inside has, but for those of a given shape."""

    def __init__(self, *allowed):
        super().__init__()
        self.bytes, self.allowed = 0, allowed

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and tuple(out.shape) not in self.allowed:
            self.bytes = max(self.bytes, out.numel() * out.element_size())
        return out


@pytest.mark.parametrize("impl", ["torch", needs_triton])
def test_nothing_of_the_size_of_the_logits_is_made(impl, monkeypatch):
    monkeypatch.setattr(linear_cross_entropy_torch, "CHUNK", 8)
    T, D, V = 64, 4, 100
    tensors, form = inputs((T, D, V), torch.float32), Form(impl)
    with Largest((T, D), (V, D)) as seen:
        run(form, *tensors)
    assert 0 < seen.bytes <= 4 * T * 16 < T * V  # one column of tiles, or 8 tokens of all ids


def test_the_workspace_of_large_shapes_is_bounded(monkeypatch):
    triton_form = pytest.importorskip("kimi_mini.kernels.linear_cross_entropy_triton", reason="triton is not installed")
    monkeypatch.setattr(triton_form, "WORKSPACE_BYTES", 2**28)  # as it is outside the interpreter
    for T, D, V in ((8192, 2048, 163_840), (4096, 7168, 163_840)):
        width = triton_form.segment_width(T, V, 2, 256)
        forward = 8 * T * triton_form.blocks(V, 256)  # two fp32 numbers a token and tile
        backward = 2 * T * width + (4 + 2) * T * D  # the segment's gradients, dx in fp32 and a segment's share of it
        assert width % 256 == 0 and max(forward, backward) <= 0.5e9
    assert triton_form.segment_width(10**9, 1000, 2, 256) == 256 and triton_form.segment_width(1, 100, 2, 256) == 100


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(4096, 2048, 20_001), (1000, 7168, 8192), (37, 192, 2048)], ids=str)
def test_on_a_gpu(shape, dtype):
    check(Form("triton"), shape, dtype, "cuda", tolerance=1e-5 if dtype == torch.float32 else 1e-2)
    tensors = inputs(shape, dtype, "cuda")
    for once, again in zip(run(Form("triton"), *tensors), run(Form("triton"), *tensors), strict=True):
        assert torch.equal(once, again)


@pytest.mark.gpu
def test_memory_on_a_gpu():
    x, weight, target = inputs((8192, 2048, 163_840), torch.bfloat16, "cuda")
    x.requires_grad_(), weight.requires_grad_()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kernels.linear_cross_entropy(x, weight, target, impl="triton").backward()
    gradients = sum(t.grad.numel() * t.grad.element_size() for t in (x, weight))
    assert torch.cuda.max_memory_allocated() - before - gradients <= 1e9


NAME = "linear_cross_entropy_triton"
MUTANTS = [
    Mutant(NAME, "logits = tl.where(column[None, :] < V, logits", "logits = tl.where(column[None, :] <= V, logits", check),
    Mutant(NAME, "weight, logits, input_precision", "weight, input_precision", check),
    Mutant(NAME, "total * tl.exp(peak - safe) + ", "total + ", check),
    Mutant(NAME, "tl.where(target == IGNORE, 0.0, peak - hit + tl.log(total))", "total", check),
    Mutant(NAME, "(first + column)[None, :] == target", "column[None, :] == target", check),
    Mutant(NAME, "tl.where((target != IGNORE)[:, None], dlogits, 0.0)", "tl.where((target < V)[:, None], dlogits, 0.0)", check),
    Mutant(NAME, "dx_TD += torch.mm", "dx_TD = torch.mm", check),
]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
    must_die(mutant, tmp_path)
