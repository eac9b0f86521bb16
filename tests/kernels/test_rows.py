"""Row-wise operations: RMSNorm and cross-entropy, fast form against the definition, values and gradients."""

import math

import pytest
import torch

from kimi_mini import kernels

DTYPES = [(torch.float64, 1e-13), (torch.float32, 2e-6), (torch.bfloat16, 2**-7), (torch.float16, 2**-10)]


def norm_run(impl, x, weight, eps=1e-6):
    x, weight = (t.detach().clone().requires_grad_() for t in (x, weight))
    y = kernels.rms_norm(x, weight, eps, impl=impl)
    return [y, *torch.autograd.grad(y.square().sum() / 2, (x, weight))]


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 5, 64)], ids=str)
def test_norm_twins_agree(dtype, tolerance, shape):
    torch.manual_seed(0)
    x, weight = (3 * torch.randn(shape)).to(dtype), torch.randn(shape[-1]).to(dtype)
    truth = norm_run("ref", x.double(), weight.double())
    for impl in ("ref", "torch"):
        for got, exact in zip(norm_run(impl, x, weight), truth, strict=True):
            assert got.dtype == dtype
            assert (got - exact).norm() <= tolerance * (exact.norm() + (x.numel() if exact.numel() == 1 else 0))


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_norm_definition_and_eps(impl):
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    weight = torch.tensor([1.0, 10.0], dtype=torch.float64)
    rms = math.sqrt((9 + 16) / 2 + 0.5)
    torch.testing.assert_close(
        kernels.rms_norm(x, weight, 0.5, impl=impl), torch.tensor([[3 / rms, 40 / rms]], dtype=torch.float64)
    )
    assert (kernels.rms_norm(0 * x, weight, 1e-6, impl=impl) == 0).all()


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_norm_statistics_survive_half_precision(impl):
    # The squares overflow fp16; the statistics must not.
    x = torch.full((1, 8), 1000.0, dtype=torch.float16)
    assert torch.equal(kernels.rms_norm(x, torch.ones(8), 1e-6, impl=impl), torch.ones(1, 8, dtype=torch.float16))


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_norm_keeps_the_format_of_its_input(impl):
    y = kernels.rms_norm(torch.randn(2, 8).bfloat16(), torch.ones(8), 1e-6, impl=impl)
    assert y.dtype == torch.bfloat16


def loss_run(impl, logits, target):
    logits = logits.detach().clone().requires_grad_()
    loss = kernels.cross_entropy(logits, target, impl=impl)
    return [loss, *torch.autograd.grad(loss, (logits,))]


TARGETS = torch.tensor([3, -100, 0, 10, -100, 5, 3])


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES, ids=str)
def test_loss_twins_agree(dtype, tolerance):
    torch.manual_seed(0)
    logits = (4 * torch.randn(7, 11)).to(dtype)
    truth = loss_run("ref", logits.double(), TARGETS)
    for impl in ("ref", "torch"):
        loss, gradient = loss_run(impl, logits, TARGETS)
        assert loss.dtype == torch.promote_types(dtype, torch.float32) and gradient.dtype == dtype
        torch.testing.assert_close(loss.double(), truth[0], rtol=1e-6 if dtype != torch.float64 else 1e-13, atol=0)
        assert (gradient - truth[1]).norm() <= tolerance * truth[1].norm()
        assert (gradient[[1, 4]] == 0).all()


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_loss_definition(impl):
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    expected = math.log(math.exp(1) + math.exp(2) + math.exp(3)) - 2 + math.log(3)
    assert kernels.cross_entropy(logits, torch.tensor([1, 0]), impl=impl).item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_loss_of_nothing_is_zero(impl):
    loss, gradient = loss_run(impl, torch.randn(2, 5), torch.tensor([-100, -100]))
    assert loss.item() == 0 and (gradient == 0).all()


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_loss_of_huge_logits_is_finite(impl):
    logits = torch.tensor([[6e4, -6e4, 0.0]], dtype=torch.float16)
    assert kernels.cross_entropy(logits, torch.tensor([1]), impl=impl).item() == logits[0, 0].item() - logits[0, 1].item()


def test_unknown_impl():
    with pytest.raises(ValueError, match="impl = 'x'"):
        kernels.rms_norm(torch.ones(2), torch.ones(2), 1e-6, impl="x")
    with pytest.raises(ValueError, match="impl = 'x'"):
        kernels.cross_entropy(torch.ones(2, 2), torch.zeros(2, dtype=torch.long), impl="x")
