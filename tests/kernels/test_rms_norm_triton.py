"""RMSNorm kernels: outputs and all gradients against float64 of the definition, alone and with the residual."""

import pytest
import torch

from kimi_mini import kernels
from tests.kernels.mutants import Mutant, must_die

pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")

TOLERANCE = {torch.float32: 2e-6, torch.float16: 2**-9, torch.bfloat16: 2**-6}
SHAPES = [(1, 1), (7, 5), (4, 64), (5, 100), (2, 3, 33)]  # with three partial rows in the interpreter: fewer, as many, more


def inputs(shape, dtype, device="cpu", seed=0):
    """x, residual, weight (fp32, as it is stored) and the two incoming gradients."""
    g = torch.Generator().manual_seed(seed)
    x, residual, dy, dsum = (3 * torch.randn(shape, generator=g).to(device, dtype) for _ in range(4))
    return x, residual, torch.randn(shape[-1], generator=g).to(device), dy, dsum


def run(form, x, residual, weight, dy, dsum, eps=1e-5):
    """[y, dx, dweight] without and [y, sum, dx, dresidual, dweight] with a residual (None: without)."""
    leaves = [t.detach().clone().requires_grad_() for t in (x, weight, *([] if residual is None else [residual]))]
    if residual is None:
        y = form.rms_norm(leaves[0], leaves[1], eps)
        return [y, *torch.autograd.grad(y, leaves, dy)]
    y, total = form.add_rms_norm(leaves[0], leaves[2], leaves[1], eps)
    dx, dweight, dresidual = torch.autograd.grad((y, total), leaves, (dy, dsum))
    return [y, total, dx, dresidual, dweight]


class Definition:
    @staticmethod
    def rms_norm(x, weight, eps):
        return kernels.rms_norm(x, weight, eps, impl="ref")

    @staticmethod
    def add_rms_norm(x, residual, weight, eps):
        return kernels.add_rms_norm(x, residual, weight, eps, impl="ref")


def check(form, shape=(5, 100), dtype=torch.float32, device="cpu", with_residual=True):
    x, residual, weight, dy, dsum = inputs(shape, dtype, device)
    residual = residual if with_residual else None
    exact = run(Definition, *(None if t is None else t.double() for t in (x, residual, weight, dy, dsum)))
    for got, want in zip(run(form, x, residual, weight, dy, dsum), exact, strict=True):
        assert got.dtype == (torch.float32 if got.shape == weight.shape != x.shape else dtype)
        cancelled = 1 if shape[-1] == 1 else 0  # the norm of one column is its sign: its gradient is a difference of equals
        assert (got.double() - want).norm() <= TOLERANCE[dtype] * (want.norm() + cancelled)


@interpreted
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_equal_the_definition(shape, dtype, with_residual):
    from kimi_mini.kernels import rms_norm_triton

    check(rms_norm_triton, shape, dtype, with_residual=with_residual)


@interpreted
def test_strided_input_and_gradient():
    x = torch.randn(6, 8, dtype=torch.float32).t().requires_grad_()
    y = kernels.rms_norm(x, torch.ones(6), 1e-6, impl="triton")
    (dx,) = torch.autograd.grad(y.sum(), x)  # a gradient of stride 0
    (want,) = torch.autograd.grad(kernels.rms_norm(x, torch.ones(6), 1e-6, impl="ref").sum(), x)
    torch.testing.assert_close(dx, want)


@interpreted
def test_half_precision_keeps_its_statistics_wide_and_zero_rows_stay_zero():
    x = torch.full((2, 8), 1000.0, dtype=torch.float16)  # its squares overflow fp16
    x[1] = 0
    y = kernels.rms_norm(x, torch.ones(8), 1e-6, impl="triton")
    assert torch.equal(y[0], torch.ones(8, dtype=torch.float16)) and (y[1] == 0).all()


def test_a_row_wider_than_a_block_is_refused():
    with pytest.raises(ValueError, match="16385"):
        kernels.rms_norm(torch.ones(1, 16385), torch.ones(16385), 1e-6, impl="triton")


@pytest.mark.gpu
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("shape", [(4096, 7168), (1000, 2048), (37, 192)], ids=str)
def test_on_a_gpu(shape, dtype, with_residual):
    from kimi_mini.kernels import rms_norm_triton

    check(rms_norm_triton, shape, dtype, "cuda", with_residual)


MUTANTS = [
    Mutant("rms_norm_triton", "tl.sum(x * x, 0) / D + eps", "tl.sum(x * x, 0) / D_BLOCK + eps", check),
    Mutant("rms_norm_triton", "tl.store(sum_ptr + row * D + column, x,", "tl.store(sum_ptr + row * D + column, 2 * x,", check),
    Mutant("rms_norm_triton", "range(program, T, tl.num_programs(0))", "range(program, T - 1, tl.num_programs(0))", check),
    Mutant("rms_norm_triton", "(tl.sum(dnormed * normed, 0) / D)", "(tl.sum(dnormed * normed, 0) / (D - 1))", check),
]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
