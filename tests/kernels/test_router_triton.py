"""The router's kernels: the chosen (exactly, off ties), weights, scores and gradients against float64 of the definition."""

import pytest
import torch

from kimi_mini import kernels
from kimi_mini.kernels import router_ref
from tests.kernels.mutants import Mutant, must_die

pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")

GAP = 1e-5  # choices nearer than this are a tie to fp32


def how(k=3, n_group=1, topk_group=1, normalise=True, scale=2.5):
    return dict(k=k, n_group=n_group, topk_group=topk_group, normalise=normalise, scale=scale)


def inputs(tokens, experts, shift=0.0, device="cpu"):
    """Logits, a bias per expert around `shift`, and incoming gradients for weights and scores."""
    g = torch.Generator().manual_seed(experts)
    logits, bias = 2 * torch.randn(tokens, experts, generator=g), shift + 0.3 * torch.randn(experts, generator=g)
    dweight, dscore = torch.randn(tokens, experts, generator=g), torch.randn(tokens, experts, generator=g)
    return tuple(t.to(device) for t in (logits, bias, dweight, dscore))


def run(form, logits, bias, dweight, dscore, options):
    """expert_TK, then [weight, score, dlogits of both, of the weights alone, of the scores alone]."""
    logits = logits.detach().requires_grad_()
    expert, weight, score = form.route(logits, bias, **options)
    dweight = dweight[:, : options["k"]]  # strided on purpose
    grads = [
        torch.autograd.grad(outputs, logits, incoming, retain_graph=True)[0]
        for outputs, incoming in (((weight, score), (dweight, dscore)), ((weight,), (dweight,)), ((score,), (dscore,)))
    ]
    return expert, [weight, score, *grads]


def clear(logits, bias, options):
    """Tokens whose best k + 1 choices, and groups, are further apart than GAP."""
    choice = torch.sigmoid(logits) + bias
    falling = torch.cat((choice.sort(-1, descending=True).values, choice.amin(-1, keepdim=True) - 1), -1)
    gaps = [falling[:, : options["k"] + 1]]
    if options["n_group"] > 1:
        gaps.append(choice.unflatten(-1, (options["n_group"], -1)).topk(2, -1).values.sum(-1).sort(-1, descending=True).values)
    return torch.stack([(-g.diff(dim=-1)).amin(-1) > GAP for g in gaps]).all(0)


def check(form, tokens=5, experts=12, options=None, shift=0.0, device="cpu"):
    options = options or how()
    tensors = inputs(tokens, experts, shift, device)
    want_expert, want = run(router_ref, *(t.double() for t in tensors), options)
    expert, got = run(form, *tensors, options)
    off_ties = clear(tensors[0].double(), tensors[1].double(), options)
    assert off_ties.sum() >= tokens // 2
    assert expert.dtype == torch.int64 and torch.equal(expert[off_ties], want_expert[off_ties])
    for a, b in zip(got, want, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a[off_ties].double(), b[off_ties], atol=2e-6, rtol=2e-6)


SHAPES = [
    (5, 7, how()),
    (1, 33, how(k=8, normalise=False)),
    (3, 384, how(k=8)),
    (3, 64, how(k=6)),
    (4, 12, how(n_group=4, topk_group=2)),  # groups of three: no power of two
    (3, 256, how(k=8, n_group=8, topk_group=4)),
    (5, 30, how(k=2, n_group=5, topk_group=1, normalise=False)),  # five groups: no power of two either
    (4, 5, how(k=5)),
    (2, 1, how(k=1)),
    (3, 6, how(k=1, n_group=3, topk_group=3)),
]


@interpreted
@pytest.mark.parametrize("shift", [0.0, -5.0])
@pytest.mark.parametrize(("tokens", "experts", "options"), SHAPES, ids=str)
def test_kernels_equal_the_definition(tokens, experts, options, shift):
    from kimi_mini.kernels import router_triton

    check(router_triton, tokens, experts, options, shift)


def check_closed_groups(form):
    """With choices that are all negative, a closed expert masked with 0 would win."""
    logits, bias, _, _ = inputs(7, 12, shift=-5.0)
    groups = form.route(logits, bias, **how(k=4, n_group=4, topk_group=2))[0] // 3
    assert [len(set(row)) for row in groups.tolist()] == [2] * 7


def check_ties(form):
    """Equal scores, -inf, NaN of both signs: a token's experts stay distinct, and stand in their order."""
    nan, inf = float("nan"), float("inf")
    logits = torch.zeros(6, 8)
    logits[1], logits[2] = nan, -inf
    logits[3, 5], logits[4, 6], logits[5, :4] = nan, -torch.tensor(nan), inf
    expert = form.route(logits, torch.zeros(8), **how(k=4))[0].tolist()
    assert all(len(set(row)) == 4 and set(row) <= set(range(8)) for row in expert)
    assert expert[3][0] == 5 and expert[4][0] == 6 and set(expert[5]) == {0, 1, 2, 3}
    negative_nan = torch.tensor([0.0, 0.0, -nan, 0.0, 0.0, 0.0, 0.0, 0.0]).copysign(torch.tensor(-1.0))
    assert form.route(torch.zeros(1, 8), negative_nan, **how())[0][0, 0] == 2
    expert = form.route(logits, torch.zeros(8), **how(k=4, n_group=4, topk_group=2))[0].tolist()
    assert all(len({e // 2 for e in row}) == 2 and len(set(row)) == 4 for row in expert)


def check_bias_never_weighs(form):
    """Where a bias leaves a token's experts alone, its weights are the same to the bit, though their order may change."""
    logits, bias, _, _ = inputs(40, 12)
    plain, biased = (form.route(logits, b, **how()) for b in (torch.zeros(12), 0.05 * bias))
    order = [routing[0].argsort(1) for routing in (plain, biased)]
    experts, weights = ([r[i].gather(1, o) for r, o in zip((plain, biased), order, strict=True)] for i in (0, 1))
    same = (experts[0] == experts[1]).all(1)
    assert same.sum() > 10
    torch.testing.assert_close(weights[0][same], weights[1][same], atol=3e-7, rtol=0)  # a sum in another order


@interpreted
@pytest.mark.parametrize("what", [check_closed_groups, check_ties, check_bias_never_weighs], ids=lambda f: f.__name__)
def test_choosing(what):
    from kimi_mini.kernels import router_triton

    what(router_triton)


@interpreted
def test_no_token_and_no_gradient():
    logits, bias, _, _ = inputs(0, 12)
    expert, weight, score = kernels.route(logits, bias, **how(), impl="triton")
    assert expert.shape == weight.shape == (0, 3) and score.shape == (0, 12) and not weight.requires_grad


def test_bad_options_are_refused():
    logits, bias, _, _ = inputs(2, 12)
    for wrong in (dict(k=13), dict(n_group=5), dict(n_group=12), dict(n_group=4, topk_group=5), dict(k=5, n_group=4)):
        with pytest.raises(ValueError):
            kernels.route(logits, bias, **how(**wrong))
    with pytest.raises(ValueError, match="float16"):
        kernels.route(logits.half(), bias, **how(), impl="triton")


@pytest.mark.gpu
@pytest.mark.parametrize("experts", [384, 256, 64, 33])
def test_on_a_gpu(experts):
    from kimi_mini.kernels import router_triton

    options = how(k=8, n_group=8, topk_group=4) if experts == 256 else how(k=6)
    check(router_triton, 4099, experts, options, device="cuda")
    tied = kernels.route(torch.zeros(99, experts, device="cuda"), torch.zeros(experts, device="cuda"), **options)[0]
    assert all(len(set(row)) == options["k"] for row in tied.tolist())


@pytest.mark.gpu
def test_a_cuda_graph_takes_it():
    logits, bias, _, _ = inputs(1000, 384, device="cuda")
    want = kernels.route(logits, bias, **how(k=8))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = kernels.route(logits, bias, **how(k=8))
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def check_groups(form):
    check(form, 4, 12, how(n_group=4, topk_group=2))


def check_negative(form):
    check(form, shift=-5.0)


MUTANTS = [
    Mutant("router_triton", "_keys(score_RC + bias, expert)", "_keys(score_RC, expert)", check),
    Mutant("router_triton", "weight_RK * scale", "weight_RK", check),
    Mutant(
        "router_triton",
        "tl.where(value == value, value.to(tl.int32, bitcast=True), 0x7FFFFFFF)",
        "value.to(tl.int32, bitcast=True)",
        check_ties,
    ),
    Mutant("router_triton", "ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)", "ordered = bits", check_negative),
    Mutant("router_triton", "_value(best_RG) + _value(second_RG)", "_value(best_RG)", check_groups),
    Mutant("router_triton", "static_range(TOPK_GROUP)", "static_range(TOPK_GROUP + 1)", check_closed_groups),
    Mutant("router_triton", "score_RC * (1.0 - score_RC)", "score_RC", check),
    Mutant("router_triton", "dchosen_RK - tl.sum(dchosen_RK * score_RK, 1)[:, None] / total_R1", "dchosen_RK", check),
]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
