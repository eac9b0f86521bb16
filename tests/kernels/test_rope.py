"""Rotary positions: the kernel's output and gradient against float64 of the definition; views, tables, mutants.

What the definition itself must satisfy (complex numbers, only differences count) is in tests/model/test_rope.py.
"""

import pytest
import torch

from kimi_mini import kernels
from tests.kernels.mutants import Mutant, must_die

rope_triton = pytest.importorskip("kimi_mini.kernels.rope_triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")
TOLERANCE = {torch.float32: 2e-6, torch.float16: 2**-9, torch.bfloat16: 2**-6}
SHAPES = [(1, 1, 1, 2), (2, 3, 5, 6), (1, 7, 1, 16), (3, 2, 3, 34)]  # B, T, H, R; the interpreter's tiles hold 32 numbers


def inputs(shape, table_batch, dtype, device="cpu"):
    """x, cos, sin and the incoming gradient."""
    g = torch.Generator().manual_seed(0)
    B, T, _, R = shape
    angle = 6 * torch.rand(table_batch or B, T, R // 2, generator=g)
    x, dy = (torch.randn(shape, generator=g) for _ in range(2))
    return [t.to(device, dtype) for t in (x, angle.cos(), angle.sin(), dy)]


def run(form, x, cos, sin, dy):
    x = x.detach().clone().requires_grad_()
    y = form.rope(x, cos, sin)
    return [y, *torch.autograd.grad(y, x, dy)]


class Definition:
    @staticmethod
    def rope(x, cos, sin):
        return kernels.rope(x, cos, sin, impl="ref")


def check(form, shape=(2, 3, 5, 6), dtype=torch.float32, device="cpu", table_batch=None):
    tensors = inputs(shape, table_batch, dtype, device)
    exact = run(Definition, *(t.double() for t in tensors))
    for got, want in zip(run(form, *tensors), exact, strict=True):
        assert got.dtype == dtype and got.shape == want.shape and got.is_contiguous()
        assert (got.double() - want).norm() <= TOLERANCE[dtype] * want.norm()


@interpreted
@pytest.mark.parametrize("table_batch", [None, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel_equals_the_definition(shape, dtype, table_batch):
    check(rope_triton, shape, dtype, table_batch=table_batch)


@interpreted
def test_views_and_their_gradients():
    x, cos, sin, _ = inputs((2, 3, 4, 6), 1, torch.float32)
    whole = torch.randn(2, 3, 4, 10, requires_grad=True)
    layouts = {
        "the rotary part of the queries": whole[..., 4:],
        "heads before time": whole.transpose(1, 2).contiguous().transpose(1, 2)[..., 4:],
        "one key for all": whole[:, :, :1, 4:].expand(-1, -1, 4, -1),
        "columns apart": whole.flip(3).transpose(2, 3).contiguous().transpose(2, 3)[..., :6],
    }
    for name, view in layouts.items():
        found = []
        for impl in ("triton", "ref"):
            y = kernels.rope(view, cos, sin, impl=impl)
            found += [y, *torch.autograd.grad((y * x).sum(), whole, retain_graph=True)]
        torch.testing.assert_close(found[:2], found[2:], atol=2e-6, rtol=0, msg=lambda m, name=name: f"{name}: {m}")
    y = kernels.rope(layouts["one key for all"], cos, sin, impl="triton")
    torch.autograd.grad(y.sum(), whole)  # a gradient of stride 0


@interpreted
def test_backward_turns_back():
    x, cos, sin, _ = inputs((2, 3, 5, 6), None, torch.float32)
    x.requires_grad_()
    y = kernels.rope(x, cos, sin, impl="triton")
    torch.testing.assert_close(torch.autograd.grad(y, x, y.detach())[0], x.detach())


def test_odd_widths_and_wrong_tables_are_refused():
    x, cos, sin, _ = inputs((2, 3, 5, 6), None, torch.float32)
    with pytest.raises(ValueError, match="rotary width = 5"):
        rope_triton.rope(x[..., :5], cos, sin)
    with pytest.raises(ValueError, match=r"sin_BTP's shape = \[2, 2, 3\].*\[2 or 1, 3, 3\]"):
        rope_triton.rope(x, cos, sin[:, 1:])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("shape", [(2, 4096, 64, 64), (3, 1001, 1, 64), (1, 37, 6, 16)], ids=str)
def test_on_a_gpu(shape, dtype):
    check(rope_triton, shape, dtype, "cuda")
    check(rope_triton, shape, dtype, "cuda", table_batch=1)


MUTANTS = [
    Mutant("rope_triton", "even * cos - odd * sin, odd", "even * cos + odd * sin, odd", check),
    Mutant("rope_triton", "        sin = -sin", "        sin = sin", check),
    Mutant("rope_triton", "at_table = (batch * table_stride_b + time", "at_table = (time", check),
]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
