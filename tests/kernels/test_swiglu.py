"""SwiGLU: every form's output and both gradients against float64 of the definition; halves of one tensor; mutants."""

import math

import pytest
import torch

from kimi_mini import kernels
from tests.kernels.mutants import Mutant, must_die

interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-6, torch.float16: 2**-9, torch.bfloat16: 2**-6}
SHAPES = [(1, 1), (7, 5), (5, 100), (2, 3, 33)]  # the interpreter's tiles hold 4 x 16: fewer, as many, more, odd tails


class Form:
    """The public operation by one of its forms; stands where a test of mutants passes a module."""

    def __init__(self, impl):
        self.impl = impl

    def swiglu(self, gate, up):
        return kernels.swiglu(gate, up, impl=self.impl)


def run(form, gate, up, dy):
    gate, up = (t.detach().clone().requires_grad_() for t in (gate, up))
    y = form.swiglu(gate, up)
    return [y, *torch.autograd.grad(y, (gate, up), dy)]


def check(form, shape=(5, 100), dtype=torch.float32, device="cpu"):
    g = torch.Generator().manual_seed(0)
    tensors = [(3 * torch.randn(shape, generator=g)).to(device, dtype) for _ in range(3)]
    exact = run(Form("ref"), *(t.double() for t in tensors))
    for got, want in zip(run(form, *tensors), exact, strict=True):
        assert got.dtype == dtype and got.shape == want.shape
        assert (got.double() - want).norm() <= TOLERANCE[dtype] * want.norm()


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_twins_agree(impl, dtype):
    check(Form(impl), (2, 3, 33), dtype)


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_definition(impl):
    y = kernels.swiglu(torch.tensor([0.0, math.log(3)]).double(), torch.tensor([5.0, 2.0]).double(), impl=impl)
    torch.testing.assert_close(y, torch.tensor([0.0, math.log(3) * 0.75 * 2]).double(), atol=1e-7, rtol=0)


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_equal_the_definition(shape, dtype):
    pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
    check(Form("triton"), shape, dtype)


@interpreted
def test_halves_of_one_tensor_are_read_where_they_lie():
    swiglu_triton = pytest.importorskip("kimi_mini.kernels.swiglu_triton", reason="triton is not installed")
    gate_up = torch.randn(2, 3, 42, requires_grad=True)
    halves = gate_up.chunk(2, -1)
    for half in halves:
        assert swiglu_triton._rows(half).data_ptr() == half.data_ptr()
    (got,) = torch.autograd.grad(kernels.swiglu(*halves, impl="triton").sum(), gate_up)  # a gradient of stride 0
    (want,) = torch.autograd.grad(kernels.swiglu(*halves, impl="ref").sum(), gate_up)
    torch.testing.assert_close(got, want)


@interpreted
def test_columns_apart_are_copied():
    pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
    gate, up = torch.randn(2, 20, 6).unbind(0)
    torch.testing.assert_close(
        kernels.swiglu(gate.t(), up.t(), impl="triton"), kernels.swiglu(gate.t(), up.t(), impl="ref"), atol=1e-6, rtol=1e-5
    )


def extremes(form):
    gate = torch.tensor([[-6e4, 6e4, -20.0, 0.0]], dtype=torch.float16)
    y, dgate, dup = run(form, gate, torch.ones_like(gate), torch.ones_like(gate))
    assert y.tolist()[0][:2] == [0, gate[0, 1].item()] and dgate.tolist()[0] == [0, 1, dgate[0, 2].item(), 0.5]
    assert torch.equal(dup, y) and y[0, 3] == 0


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_extreme_gates(impl):
    extremes(Form(impl))


@interpreted
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # as it must: silu is then 0
def test_extreme_gates_in_the_kernels():
    pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
    extremes(Form("triton"))


def test_shapes_that_differ_are_refused():
    swiglu_triton = pytest.importorskip("kimi_mini.kernels.swiglu_triton", reason="triton is not installed")
    with pytest.raises(ValueError, match=r"up_F's shape = \[2, 1\]"):
        swiglu_triton.swiglu(torch.ones(2, 4), torch.ones(2, 1))
    with pytest.raises(ValueError, match="up_F's dtype = torch.float16"):
        swiglu_triton.swiglu(torch.ones(2, 4), torch.ones(2, 4).half())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(4096, 18_432), (1000, 1408), (37, 64)], ids=str)
def test_on_a_gpu(shape, dtype):
    check(Form("triton"), shape, dtype, "cuda")


MUTANTS = [
    Mutant("swiglu_triton", "y = gate * tl.sigmoid(gate) * up", "y = tl.sigmoid(gate) * up", check),
    Mutant("swiglu_triton", "(opening + silu * (1.0 - opening))", "(opening + silu)", check),
    Mutant("swiglu_triton", "(dy * silu).to(", "(dy * gate).to(", check),
]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
    must_die(mutant, tmp_path)
