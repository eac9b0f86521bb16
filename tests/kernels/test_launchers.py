"""What every launcher owes: the GPU of its tensors, shapes that fit, no second derivative that lacks a part, wide offsets."""

import mmap
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from kimi_mini import kernels
from kimi_mini.kernels import fp8

pytest.importorskip("triton", reason="triton is not installed: nothing was launched")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def ones(*shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype, device=DEVICE)


def choices(*rows):
    return torch.tensor(rows, device=DEVICE)


def test_a_launch_goes_to_the_gpu_of_its_tensors(monkeypatch):
    second = SimpleNamespace(device=torch.device("cuda", 1), dtype=torch.bfloat16)
    active = []
    monkeypatch.setattr(kernels.launch, "has_triton", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", lambda device: active.append(device) or nullcontext())
    monkeypatch.setattr(kernels, "import_module", lambda *_: SimpleNamespace(rms_norm=lambda *_, **__: list(active)))
    run = kernels._pick("rms_norm", "triton", second, "ref", "torch")
    assert active == [] and run() == [second.device]


def norm(x):
    return kernels.rms_norm(x, ones(8), 1e-6, impl="triton")


def attend(x):
    return kernels.attention(*(x.view(1, 2, 1, 8),) * 3, scale=0.3, impl="triton")[0]


def choose(x):
    return kernels.route(x, ones(8), k=2, n_group=1, topk_group=1, normalise=True, scale=1.0, impl="triton")[1]


def experts(x):
    slabs = ones(2, 2, 4, 8), ones(2, 8, 4)
    return kernels.grouped_mlp(x, choices([0], [1]), ones(2, 1), *slabs, impl="triton")


def loss(x):
    return kernels.linear_cross_entropy(x, ones(4, 8), choices(0, 1), impl="triton")


def gate(x):
    return kernels.swiglu(x, x, impl="triton")


def turn(x):
    return kernels.rope(x.view(1, 2, 1, 8), ones(1, 2, 4), ones(1, 2, 4), impl="triton")


@pytest.mark.parametrize("op", [norm, attend, choose, experts, loss, gate, turn])
def test_a_second_derivative_raises_instead_of_missing_a_part(op):
    x = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).to(DEVICE).requires_grad_()
    (gradient,) = torch.autograd.grad(op(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):  # not x.sum()'s gradient alone
        (gradient.square().sum() + x.sum()).backward()


X, LATENT = ones(2, 8), {"latent_dim": 4, "scale": 1.0, "impl": "triton"}
Q, V = ones(1, 2, 1, 8), ones(1, 1, 1, 8)
ROUTER = {"k": 1, "n_group": 1, "topk_group": 1, "normalise": True, "scale": 1.0, "impl": "triton"}
MISFITS = {
    "weight_D's shape": lambda: kernels.rms_norm(X, ones(7), 1e-6, impl="triton"),
    "residual_D": lambda: kernels.add_rms_norm(X, X[:1], ones(8), 1e-6, impl="triton"),
    "v_BTHM's shape": lambda: kernels.attention(Q, Q, V, scale=1.0, impl="triton"),
    "document_BT's shape": lambda: kernels.attention(Q, Q, Q, scale=1.0, document_BT=choices([1]), impl="triton"),
    "cache_BSX's shape": lambda: kernels.latent_attention(Q, ones(2, 3, 8), choices([1, 2]), **LATENT),
    "visible_BT's shape": lambda: kernels.latent_attention(Q, ones(1, 3, 8), choices([1]), **LATENT),
    "selection_bias_E's shape": lambda: kernels.route(X, ones(7), **ROUTER),
    "shapes of x_TD": lambda: kernels.grouped_mlp(
        X, choices([0], [1]), ones(2, 1), ones(2, 2, 4, 8), ones(2, 8, 5), impl="triton"
    ),
    "dtypes": lambda: kernels.grouped_mlp(
        X, choices([0], [1]), ones(2, 1), ones(2, 2, 4, 8).half(), ones(2, 8, 4), impl="triton"
    ),
    "shapes of weight_VD": lambda: kernels.linear_cross_entropy(X, ones(4, 8), choices(0), impl="triton"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_shapes_that_would_be_read_past_their_end_are_refused(name):
    with pytest.raises(ValueError, match=name):
        MISFITS[name]()


@pytest.mark.skipif(DEVICE == "cuda", reason="the memory is a CPU's")
def test_fp8_rows_lie_further_than_2_31_apart():
    stride = 2**24
    memory = mmap.mmap(-1, (128 * stride + 128) * 2)  # of which the kernel touches 129 pages
    x_AB = torch.frombuffer(memory, dtype=torch.float16).as_strided((129, 128), (stride, 1))
    x_AB.copy_(torch.randn(129, 128, generator=torch.Generator().manual_seed(0)))
    q_AB, scale = kernels.quantize_fp8(x_AB, (128, 128), impl="triton")
    exact = fp8.quantize_fp8_torch(x_AB, (128, 128))
    assert torch.equal(q_AB.view(torch.uint8), exact[0].view(torch.uint8)) and torch.equal(scale, exact[1])


@pytest.mark.gpu
@pytest.mark.parametrize("impl", ["triton", "torch"])
@pytest.mark.parametrize("size", [100, 10_000])
def test_old_tiles_keep_their_weight_while_the_peak_stays(size, impl):
    """All logits equal: the output is the mean of the values seen. A rescaling that is off by an ulp a tile piles up (LOG)."""
    T, generator = 16_384, torch.Generator("cuda").manual_seed(0)
    q = torch.full((1, T, 1, 16), (size / 1.1) ** 0.5 / 4, device="cuda", dtype=torch.float16)
    v = torch.rand(1, T, 1, 16, device="cuda", generator=generator).half()
    mean = v.double().cumsum(1) / torch.arange(1, T + 1, device="cuda")[:, None, None]
    out, _ = kernels.attention(q, q, v, scale=1.1, impl=impl)
    torch.testing.assert_close(out.double(), mean, atol=2e-3, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU: none is the other")
def test_on_the_second_gpu_while_the_first_is_active():
    x = torch.randn(3, 8, device="cuda:1", requires_grad=True)
    y = kernels.rms_norm(x, torch.ones(8, device="cuda:1"), 1e-6, impl="triton")
    y.sum().backward()
    exact = kernels.rms_norm(x.detach(), torch.ones(8, device="cuda:1"), 1e-6, impl="ref")
    torch.testing.assert_close(y, exact)
    assert x.grad.device == x.device and x.grad.isfinite().all()
