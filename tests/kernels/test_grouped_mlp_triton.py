"""Routed experts' kernels: output and every gradient against float64 of the definition, whatever the experts' loads."""

import pytest
import torch

import kimi_mini as km
from kimi_mini import kernels
from kimi_mini.model import MoE
from tests.kernels.mutants import Mutant, must_die
from tests.kernels.test_grouped_mlp import inputs

pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")

TOLERANCE = {torch.float32: 2e-6, torch.float16: 2**-9, torch.bfloat16: 2**-7}
NAMES = ("out", "dx", "dweight", "dgate_up", "ddown")


def gradients(form, x, expert, weight, gate_up, down, dout):
    """[out, dx, dweight, dgate_up, ddown]"""
    leaves = [t.detach().requires_grad_() for t in (x, weight, gate_up, down)]
    out = form.grouped_mlp(leaves[0], expert, *leaves[1:])
    return [out, *torch.autograd.grad(out, leaves, dout)]


class Definition:
    @staticmethod
    def grouped_mlp(*tensors):
        return kernels.grouped_mlp(*tensors, impl="ref")


class Triton:
    @staticmethod
    def grouped_mlp(*tensors):
        return kernels.grouped_mlp(*tensors, impl="triton")


def assert_exact(form, x, expert, weight, gate_up, down):
    dout = torch.cos(torch.arange(x.numel(), dtype=torch.float64, device=x.device)).view(x.shape).to(x.dtype)
    exact = gradients(Definition, x.double(), expert, *(t.double() for t in (weight, gate_up, down, dout)))
    for name, got, want in zip(NAMES, gradients(form, x, expert, weight, gate_up, down, dout), exact, strict=True):
        assert got.dtype == (torch.float32 if name == "dweight" else x.dtype)
        assert (got.double() - want).norm() <= TOLERANCE[x.dtype] * want.norm(), name


LOADS = {
    "even": lambda expert: expert,
    "all to the first": torch.zeros_like,
    "all to the last": lambda expert: torch.full_like(expert, 4),
    "two of five": lambda expert: expert % 2 + 1,
}
SHAPES = [
    dict(),
    dict(tokens=1),
    dict(tokens=3, experts=30, width=9, hidden=5),  # most are empty
    dict(tokens=5, experts=1, chosen=1),
    dict(tokens=6, chosen=5, width=9),
    dict(tokens=7, width=15, hidden=7),
    dict(tokens=6, width=20, hidden=18, experts=3, chosen=2),
]


@interpreted
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_equal_the_definition(shape):
    assert_exact(Triton, *inputs(**shape))


@interpreted
@pytest.mark.parametrize("shape", [dict(tokens=6), dict(tokens=5, width=15, hidden=7)], ids=str)
def test_half_precision(shape):
    assert_exact(Triton, *inputs(dtype=torch.float16, **shape))


@interpreted
@pytest.mark.parametrize("load", LOADS)
def test_loads_however_uneven(load):
    x, expert, *rest = inputs(chosen=1, width=10)
    expert = LOADS[load](expert)
    assert_exact(Triton, x, expert, *rest)
    dout = torch.ones_like(x[:1, :1]).expand_as(x)  # strides of 0
    *_, dgate_up, ddown = gradients(Triton, x, expert, *rest, dout)
    empty = torch.bincount(expert.flatten(), minlength=5) == 0
    assert (dgate_up[empty] == 0).all() and (ddown[empty] == 0).all()


@interpreted
def test_a_weight_of_zero_still_has_its_gradient():
    x, expert, weight, *slabs = inputs()
    weight[::2] = 0
    assert_exact(Triton, x, expert, weight, *slabs)


@interpreted
def test_strided_tensors_and_narrow_expert_numbers():
    x, expert, weight, gate_up, down = inputs(tokens=6)
    expert = torch.stack((expert, expert), -1).int()[..., 0]
    assert_exact(Triton, x.t().contiguous().t(), expert.long(), weight, gate_up, down.mT.contiguous().mT)
    got = kernels.grouped_mlp(x, expert, weight, gate_up, down, impl="triton")
    torch.testing.assert_close(got, kernels.grouped_mlp(x, expert, weight, gate_up, down, impl="ref"))


@interpreted
def test_what_is_not_a_number_stays_with_its_token():
    """Rows of two tokens share tiles; a tile's masked rows and columns must not meet another's NaN."""
    x, expert, weight, gate_up, down = inputs(tokens=6, experts=4, chosen=1, width=10, hidden=6)
    expert = torch.tensor([0, 0, 1, 1, 3, 3])[:, None]
    x[2] = float("nan")
    out, dx, dweight, dgate_up, ddown = gradients(Triton, x, expert, weight, gate_up, down, torch.ones_like(x))
    for rows in (out, dx, dweight):
        assert rows[2].isnan().all() and rows[[0, 1, 3, 4, 5]].isfinite().all()
    for slab in (dgate_up, ddown):
        assert slab[1].isnan().any() and slab[[0, 2, 3]].isfinite().all()


@interpreted
def test_no_token():
    x, *rest = inputs(tokens=0)
    out, *_, dgate_up, ddown = gradients(Triton, x, *rest, torch.zeros_like(x))
    assert out.shape == x.shape and (dgate_up == 0).all() and (ddown == 0).all()


@interpreted
def test_without_gradients_and_with_some():
    x, expert, weight, gate_up, down = inputs(tokens=3, experts=3, width=10, hidden=6)
    with torch.no_grad():
        plain = kernels.grouped_mlp(x, expert, weight, gate_up, down, impl="triton")
    out, dx, dweight, dgate_up, ddown = gradients(Triton, x, expert, weight, gate_up, down, torch.ones_like(x))
    assert torch.equal(plain, out) and plain.grad_fn is None
    for i, want in ((0, dx), (1, dweight), (2, dgate_up), (3, ddown)):
        leaves = [t.detach().requires_grad_(j == i) for j, t in enumerate((x, weight, gate_up, down))]
        out = kernels.grouped_mlp(leaves[0], expert, *leaves[1:], impl="triton")
        (got,) = torch.autograd.grad(out, leaves[i], torch.ones_like(out))
        assert torch.equal(got, want)


@interpreted
def test_the_models_layer_runs_on_them():
    """Router, sort, experts and balance loss together: a layer under "triton" against the same layer in float64."""
    config = km.NANO.replace(hidden_size=24, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2)
    torch.manual_seed(0)
    layer = MoE(config)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    layer.router.selection_bias.normal_(std=0.2)
    x, results = torch.randn(2, 4, 24), []
    for impl, dtype in (("triton", torch.float32), ("ref", torch.float64)):
        layer, leaf = layer.to(dtype), x.to(dtype).requires_grad_()
        with kernels.using(impl):
            y, load, loss = layer(leaf, torch.arange(4) < torch.tensor([[4], [3]]), balance_loss=True)
            grads = torch.autograd.grad(y.square().sum() + loss, [leaf, *layer.parameters()])
        results.append([load, y, loss, *grads])
    (load, *got), (exact_load, *exact) = results
    assert load.tolist() == exact_load.tolist() and load.sum() == 7 * 2
    for a, b in zip(got, exact, strict=True):
        torch.testing.assert_close(a.double(), b, atol=1e-5, rtol=1e-4)


def test_every_product_walks_the_same_row_tiles():
    from kimi_mini.kernels.grouped_mlp_triton import GATE_UP
    from kimi_mini.kernels.grouped_mlp_triton_backward import D_HIDDEN
    from kimi_mini.kernels.row_tiles_triton import BY_ROW

    for row, config in BY_ROW.items():
        assert config.tiles["BLOCK_M"] == GATE_UP[row].tiles["BLOCK_M"] == D_HIDDEN[row].tiles["BLOCK_M"]


BIG = [
    dict(tokens=4096, experts=128, chosen=8, width=2048, hidden=768),
    dict(tokens=1024, experts=64, chosen=6, width=2048, hidden=1408),
    dict(tokens=64, experts=384, chosen=8, width=1024, hidden=512),  # most row tiles nearly empty
    dict(tokens=1003, experts=33, chosen=3, width=192, hidden=48),
    dict(tokens=100, experts=7, chosen=2, width=131, hidden=67),
]


def on_gpu(dtype, uneven=False, *, tokens, experts, chosen, width, hidden):
    g = torch.Generator("cuda").manual_seed(0)
    expert = torch.rand(tokens, experts, generator=g, device="cuda").topk(chosen).indices
    if uneven:  # half of the tokens take expert 0, a tenth of the experts takes what is left; some tokens take one twice
        expert[::2, 0], expert[1::2, 0] = 0, 1
        expert[:, 1:] %= max(experts // 10, 2)
    shapes = (tokens, width), (tokens, chosen), (experts, 2, hidden, width), (experts, width, hidden)
    x, weight, gate_up, down = (torch.randn(shape, generator=g, device="cuda") for shape in shapes)
    return x.to(dtype), expert, weight, (gate_up * width**-0.5).to(dtype), (down * hidden**-0.5).to(dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("shape", BIG, ids=str)
def test_on_a_gpu(shape, dtype, uneven):
    assert_exact(Triton, *on_gpu(dtype, uneven, **shape))


@pytest.mark.gpu
def test_a_cuda_graph_takes_both_passes_and_repeats_them_to_the_bit():
    x, expert, weight, gate_up, down = on_gpu(torch.bfloat16, **BIG[1])
    other = expert.roll(1, 0)
    dout = torch.ones_like(x)
    want = [gradients(Triton, x, e, weight, gate_up, down, dout) for e in (expert, other)]
    buffer, graph = expert.clone(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # a wait for the device, anywhere, would be an error here
        got = gradients(Triton, x, buffer, weight, gate_up, down, dout)
    for experts, expected in zip((expert, other), want, strict=True):
        buffer.copy_(experts)  # another routing, same graph
        graph.replay()
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


SMALL = dict(tokens=7, experts=3, width=12, hidden=10)


def check(form):
    x, expert, *rest = inputs(**SMALL)
    want = kernels.grouped_mlp(x.double(), expert, *(t.double() for t in rest), impl="ref")
    assert (form.grouped_mlp(x, expert, *rest) - want).norm() <= TOLERANCE[x.dtype] * want.norm()


def check_backward(form):
    from kimi_mini.kernels import grouped_mlp_triton

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped_mlp_triton, "backward", form.backward)
        assert_exact(Triton, *inputs(**SMALL))


def check_tiles(form):
    from kimi_mini.kernels import grouped_mlp_triton

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped_mlp_triton, "Plan", form.Plan)
        check(grouped_mlp_triton)


MUTANTS = [
    Mutant("row_tiles_triton", "last[None, :] <= tile_R1", "last[None, :] < tile_R1", check_tiles),
    Mutant("grouped_mlp_triton", "x_ptr + (assignment // K)", "x_ptr + (row // K)", check),
    Mutant("grouped_mlp_triton", "tl.sigmoid(gate) * up * weight[:, None]", "tl.sigmoid(gate) * up", check),
    Mutant("grouped_mlp_triton", "gate_ptrs + F * D", "gate_ptrs + 0 * D", check),
    Mutant("row_tiles_triton", "    place = tl.load(order_ptr + row, mask=is_row, other=0)", "    place = row", check_tiles),
    Mutant("row_tiles_triton", "tl.static_range(K)", "tl.static_range(K - 1)", check_tiles),
    Mutant("grouped_mlp_triton_backward", "dweight += tl.sum", "dweight = tl.sum", check_backward),
    Mutant("grouped_mlp_triton_backward", "(1.0 + gate * (1.0 - sigmoid))", "(1.0 - gate * (1.0 - sigmoid))", check_backward),
    Mutant("grouped_mlp_triton_backward", "(hidden * weight).to(dtype)", "hidden.to(dtype)", check_backward),
    Mutant("grouped_mlp_triton_backward", "ahead = start + ", "ahead = 0 * start + ", check_backward),
    Mutant("grouped_mlp_triton_backward", "range(start, end, BLOCK_K)", "range(start, end - 4, BLOCK_K)", check_backward),
]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
