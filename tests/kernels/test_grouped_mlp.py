"""Routed experts: the fast form against the loop over experts, outputs and all gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_mini import kernels


def inputs(tokens=13, experts=5, chosen=2, width=16, hidden=8, dtype=torch.float32, seed=0):
    """x_TD, expert_TK, weight_TK, gate_up_E2FD, down_EDF."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    expert_TK = torch.rand(tokens, experts, generator=generator).topk(chosen).indices
    weight_TK = torch.rand(tokens, chosen, generator=generator, dtype=torch.promote_types(dtype, torch.float32))
    return (
        normal(tokens, width),
        expert_TK,
        weight_TK,
        normal(experts, 2, hidden, width) / 4,
        normal(experts, width, hidden) / 3,
    )


def run(impl, x, expert, weight, gate_up, down):
    """(out, dx, dweight, dgate_up, ddown)"""
    leaves = [t.detach().clone().requires_grad_() for t in (x, weight, gate_up, down)]
    x, weight, gate_up, down = leaves
    out = kernels.grouped_mlp(x, expert, weight, gate_up, down, impl=impl)
    probe = torch.cos(torch.arange(out.numel(), dtype=torch.float64)).view(out.shape).to(out.dtype)
    return [out, *torch.autograd.grad((out * probe).sum(), leaves)]


def assert_twins_agree(*tensors):
    tolerance = 1e-12 if tensors[0].dtype == torch.float64 else 1e-5
    names = ("out", "dx", "dweight", "dgate_up", "ddown")
    for name, a, b in zip(names, run("torch", *tensors), run("ref", *tensors), strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance, msg=lambda m, name=name: f"{name}: {m}")


def test_definition_token_by_token():
    x, expert, weight, gate_up, down = inputs(dtype=torch.float64)
    expected = torch.stack(
        [
            sum(w * (down[e] @ (F.silu(gate_up[e, 0] @ row) * (gate_up[e, 1] @ row))) for e, w in zip(chosen, ws, strict=True))
            for row, chosen, ws in zip(x, expert.tolist(), weight, strict=True)
        ]
    )
    torch.testing.assert_close(kernels.grouped_mlp(x, expert, weight, gate_up, down, impl="ref"), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "shape",
    [
        dict(),
        dict(tokens=1),
        dict(tokens=0),
        dict(chosen=1),
        dict(chosen=5),
        dict(experts=1, chosen=1),
        dict(tokens=3, experts=64),  # most experts are empty
        dict(width=15, hidden=7),  # rows that are no multiple of 16 bytes
        dict(width=16, hidden=6),
        dict(width=6, hidden=16),
        dict(tokens=200, experts=32, chosen=4, width=32, hidden=24),
    ],
    ids=str,
)
def test_twins_agree(shape, dtype):
    assert_twins_agree(*inputs(dtype=dtype, **shape))


@pytest.mark.parametrize("tokens", [0, 1, 3, 31, 32])
def test_decoding_without_gradients_agrees(tokens):
    """Below one assignment per expert only the experts that are hit run."""
    tensors = inputs(tokens=tokens, experts=64)
    with torch.no_grad():
        fast = kernels.grouped_mlp(*tensors)
        torch.testing.assert_close(fast, kernels.grouped_mlp(*tensors, impl="ref"), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_token_to_one_expert(dtype):
    x, expert, weight, gate_up, down = inputs(chosen=1, dtype=dtype)
    for e in (0, 2, 4):
        assert_twins_agree(x, torch.full_like(expert, e), weight, gate_up, down)


@pytest.mark.parametrize("impl", ["ref", "torch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_experts_without_tokens_have_zero_gradient(impl, dtype):
    x, expert, weight, gate_up, down = inputs(dtype=dtype)
    _, _, _, dgate_up, ddown = run(impl, x, expert % 2 + 1, weight, gate_up, down)
    for e in (0, 3, 4):
        assert (dgate_up[e] == 0).all() and (ddown[e] == 0).all()
    assert (dgate_up[1] != 0).any() and (ddown[2] != 0).any()


@pytest.mark.parametrize(("dtype", "unit"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
@pytest.mark.parametrize("shape", [dict(tokens=60), dict(tokens=1), dict(width=20, hidden=12)], ids=str)
def test_half_precision(shape, dtype, unit):
    x, expert, weight, gate_up, down = inputs(dtype=dtype, **shape)
    truth = run("ref", x.double(), expert, weight.double(), gate_up.double(), down.double())
    for impl in ("ref", "torch"):
        results = run(impl, x, expert, weight, gate_up, down)
        assert [r.dtype for r in results] == [dtype, dtype, torch.float32, dtype, dtype]
        for got, exact in zip(results, truth, strict=True):
            assert (got - exact).norm() < 3 * unit * exact.norm()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_routing(data):
    experts = data.draw(st.integers(1, 9))
    chosen = data.draw(st.integers(1, experts))
    rows = data.draw(st.lists(st.permutations(range(experts)), min_size=1, max_size=12))
    x, _, weight, gate_up, down = inputs(len(rows), experts, chosen, seed=data.draw(st.integers(0, 99)))
    assert_twins_agree(x, torch.tensor(rows)[:, :chosen], weight, gate_up, down)


def test_unknown_impl():
    with pytest.raises(ValueError, match="impl = 'triton3'"):
        kernels.grouped_mlp(*inputs(), impl="triton3")
