"""Assignments sorted by expert: the same order as a stable argsort, and where each expert's share ends."""

import pytest
import torch

from kimi_mini import kernels
from tests.kernels.mutants import Mutant, must_die

interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")
IMPLS = ["torch", pytest.param("triton", marks=interpreted)]


def by_hand(expert_TK, n_experts):
    flat = expert_TK.flatten().tolist()
    order = sorted(range(len(flat)), key=flat.__getitem__)
    return order, [sum(e <= expert for e in flat) for expert in range(n_experts)]


def draw(tokens, experts, k=2, seed=0):
    return torch.rand(tokens, experts, generator=torch.Generator().manual_seed(seed)).topk(min(k, experts)).indices


CASES = {
    "even": (draw(21, 5), 5),
    "many experts": (draw(9, 33, 4), 33),
    "most are empty": (draw(3, 64), 64),
    "one token": (draw(1, 7), 7),
    "no token": (draw(0, 7), 7),
    "one block exactly": (draw(4, 6), 6),
    "all to the first": (torch.zeros(20, 1, dtype=torch.int64), 4),
    "all to the last": (torch.full((20, 1), 3), 4),
    "one expert": (torch.zeros(5, 1, dtype=torch.int64), 1),
    "int32": (draw(21, 5).int(), 5),
    "strided": (draw(21, 5, 4)[:, ::2], 5),
}


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("name", CASES)
def test_sorted_as_by_hand(name, impl):
    pytest.importorskip("triton") if impl == "triton" else None
    expert_TK, n_experts = CASES[name]
    order_A, ends_E = kernels.sort_by_expert(expert_TK, n_experts, impl=impl)
    assert (order_A.dtype, ends_E.dtype) == (torch.int64, torch.int32)
    assert (order_A.tolist(), ends_E.tolist()) == by_hand(expert_TK, n_experts)


def check(form):
    expert_TK, n_experts = CASES["even"]
    got = form.sort_by_expert(expert_TK, n_experts)
    assert tuple(t.tolist() for t in got) == by_hand(expert_TK, n_experts)


@pytest.mark.gpu
@pytest.mark.parametrize(("tokens", "experts", "k"), [(16_384, 384, 8), (32_768, 128, 8), (1001, 64, 6), (1, 384, 8)])
def test_on_a_gpu_inside_a_graph(tokens, experts, k):
    expert_TK = draw(tokens, experts, k).cuda()
    kernels.sort_by_expert(expert_TK, experts, impl="triton")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = kernels.sort_by_expert(expert_TK, experts, impl="triton")
    graph.replay()
    want = kernels.sort_by_expert(expert_TK, experts, impl="ref")
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


MUTANTS = [
    Mutant(
        "sort_triton", "tl.histogram(expert, E_BLOCK, mask=at < A)", "tl.histogram(expert, E_BLOCK, mask=at < A - 1)", check
    ),
    Mutant("sort_triton", "before + tl.cumsum(count, 0) - count", "tl.cumsum(count, 0) - count", check),
    Mutant("sort_triton", "other[None, :] < local[:, None]", "other[None, :] > local[:, None]", check),
]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    pytest.importorskip("triton")
    must_die(mutant, tmp_path)
