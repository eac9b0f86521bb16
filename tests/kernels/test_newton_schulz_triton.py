"""The symmetric product and both forms of Newton-Schulz built on it, against float64 of the definition."""

import pytest
import torch

from kimi_mini import kernels
from tests.kernels.mutants import Mutant, must_die, original

pytest.importorskip("triton", reason="triton is not installed: no kernel was run")
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: the gpu tests run compiled")

TOLERANCE = {torch.float32: 1e-6, torch.float16: 2**-10, torch.bfloat16: 2**-7}  # of one product
ITERATED = {torch.float32: 5e-5, torch.float16: 2e-2}  # of five steps, condition numbers up to 1000
SHAPES = [(7, 5), (1, 9), (17, 33), (20, 9), (16, 16)]  # the tile is 8 here: odd tails, one tile, odd and even counts of tiles


def normal(*shape, dtype=torch.float32, device="cpu", seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device, dtype)


def spread(shape, condition, seed=0):
    """Matrices in float64 whose singular values fall from 1 to 1/condition, evenly in their logarithm."""
    g = torch.Generator().manual_seed(seed)
    u, _, vt = torch.linalg.svd(torch.randn(shape, generator=g, dtype=torch.float64), full_matrices=False)
    return u @ torch.diag(torch.logspace(0, -torch.tensor(float(condition)).log10(), min(shape[-2:]), dtype=torch.float64)) @ vt


def relative_error(got, want):
    """Of the worst matrix."""
    return ((got.double() - want).norm(dim=(-2, -1)) / want.norm(dim=(-2, -1)).clamp_min(1e-30)).max()


def check_product(module, shape=(2, 20, 11), dtype=torch.float32, device="cpu", tall=False):
    a = (normal(*shape, device=device) / shape[-1] ** 0.5).to(dtype)
    a = a.mT.contiguous().mT if tall else a  # the same numbers, column after column
    gram = module.symmetric_product(a, a)
    assert gram.dtype == dtype and torch.equal(gram, gram.mT), "symmetric to the last bit"
    assert relative_error(gram, a.double() @ a.mT.double()) <= TOLERANCE[dtype]
    poly = module.symmetric_product(gram, gram, alpha=2.0, plus_nNN=gram, beta=-0.5, diagonal=3.0)
    wide = gram.double()
    assert torch.equal(poly, poly.mT)
    assert relative_error(poly, 2 * wide @ wide - 0.5 * wide + 3 * torch.eye(shape[1], device=device)) <= TOLERANCE[dtype]
    commuting = module.symmetric_product(poly, gram)
    assert torch.equal(commuting, commuting.mT)
    # What commutes in exact arithmetic does so up to rounding here: the error is that of poly, next to the sizes of both.
    error = (commuting.double() - poly.double() @ wide).norm(dim=(1, 2))
    assert (error <= 4 * TOLERANCE[dtype] * poly.double().norm(dim=(1, 2)) * wide.norm(dim=(1, 2))).all()


def check_iteration(module, shape=(2, 6, 15), dtype=torch.float32, condition=10, steps=5, device="cpu"):
    x = spread(shape, condition).to(device)
    form = {"steps": steps, "coefficients": "muon", "eps": 1e-7}
    got = module.newton_schulz(x.float(), dtype=dtype, **form)
    assert got.dtype == torch.float32
    assert relative_error(got, kernels.newton_schulz(x, impl="ref", **form)) <= ITERATED[dtype]
    return got


def check_direct(module):
    check_iteration(module, (1, 6, 7))


@interpreted
@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(2, 1, 1), (1, 5, 7), (2, 9, 1), (2, 17, 13), (1, 32, 9)], ids=str)
def test_products_are_exactly_symmetric(shape, dtype, tall):
    check_product(original("newton_schulz_triton"), shape, dtype, tall=tall)


@interpreted
@pytest.mark.parametrize("tiles", range(1, 7))
def test_every_tile_of_the_triangle_has_one_program(tiles):
    """A tile of 8: each entry of the result is written, whatever the count of tiles, odd or even."""
    n = 8 * tiles - 3
    out = original("newton_schulz_triton").symmetric_product(torch.ones(1, n, 1), torch.ones(1, n, 1))
    assert torch.equal(out, torch.ones(1, n, n))  # what no program wrote is NaN


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equal_to_the_definition_in_float64(shape, dtype):
    check_iteration(original("newton_schulz_triton"), (1, *shape), dtype)


@interpreted
@pytest.mark.parametrize("form", ["direct", "Gram"])
@pytest.mark.parametrize(("condition", "steps"), [(100, 5), (1000, 8)])
def test_singular_values_land_in_the_band(monkeypatch, form, condition, steps):
    """At a condition number of 1000 five steps do not suffice in exact arithmetic either: 3.4^5 = 480."""
    module = original("newton_schulz_triton")
    monkeypatch.setattr(module, "GRAM_ASPECT", 1e9 if form == "direct" else 1)
    for dtype in (torch.float32, torch.float16):
        x = spread((8, 20), condition).float()
        s = torch.linalg.svdvals(kernels.newton_schulz(x, dtype=dtype, steps=steps, impl="triton"))
        assert 0.6 < s.min() and s.max() < 1.3


@interpreted
@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 6])
def test_any_number_of_steps_and_other_coefficients(steps):
    x = spread((2, 6, 15), 30)
    for coefficients in kernels.NEWTON_SCHULZ_COEFFICIENTS:
        got = kernels.newton_schulz(x.float(), steps=steps, coefficients=coefficients, impl="triton")
        assert relative_error(got, kernels.newton_schulz(x, steps=steps, coefficients=coefficients, impl="ref")) <= 5e-5


@interpreted
def test_leading_axes_strides_and_no_matrices_at_all():
    x = normal(2, 3, 8, 5).transpose(0, 1).mT  # [3, 2, 5, 8], no two axes in order
    got = kernels.newton_schulz(x, steps=2, impl="triton")
    torch.testing.assert_close(got, kernels.newton_schulz(x, steps=2, impl="ref"), rtol=1e-4, atol=1e-5)
    assert torch.equal(got[2, 1], kernels.newton_schulz(x[2, 1], steps=2, impl="triton"))
    assert kernels.newton_schulz(x[:0], impl="triton").shape == (0, 2, 5, 8)


@interpreted
@pytest.mark.parametrize("shape", [(6, 15), (15, 6), (6, 7)], ids=str)  # Gram form, wide and tall; direct form
def test_a_zero_matrix_stays_zero_and_nan_stays_in_its_own(shape):
    x = normal(4, *shape)
    alone = kernels.newton_schulz(x, steps=3, impl="triton")
    x[1] = 0
    x[2, 3] = float("nan")
    got = kernels.newton_schulz(x, steps=3, impl="triton")
    assert (got[1] == 0).all() and got[2].isnan().all()
    assert torch.equal(got[0], alone[0]) and torch.equal(got[3], alone[3])


@interpreted
@pytest.mark.parametrize("impl", ["ref", "torch", "triton"])
@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_small_and_large_gradients_survive_an_iteration_in_fp16(impl, size):
    x = normal(2, 6, 9)
    got = kernels.newton_schulz(size * x, dtype=torch.float16, impl=impl)
    assert relative_error(got, kernels.newton_schulz(x.double(), impl="ref")) < 2e-2


def test_bf16_runs_the_direct_form_and_float64_is_refused(monkeypatch):
    module = original("newton_schulz_triton")
    monkeypatch.setattr(module, "_direct_form", lambda x, triples: x)
    monkeypatch.setattr(module, "gram_form", None)
    monkeypatch.setattr(module, "interpreting", lambda: False)  # which would multiply bf16 wrongly, and says so
    assert kernels.newton_schulz(normal(6, 15), dtype=torch.bfloat16, impl="triton").isfinite().all()
    with pytest.raises(ValueError, match=r"dtype = torch.float64.*float32, float16 or bfloat16"):
        kernels.newton_schulz(normal(2, 2), dtype=torch.float64, impl="triton")
    with pytest.raises(ValueError, match="requires_grad"):
        kernels.newton_schulz(normal(2, 2).requires_grad_(), impl="triton")


def test_tiles_are_small_where_large_ones_leave_processors_idle(monkeypatch):
    """By the H100's 132 processors: 136 tiles of 128 need two rounds, 528 of 64 four of a quarter each."""
    from kimi_mini.kernels import launch, newton_schulz_triton

    monkeypatch.setattr(launch, "interpreting", lambda: False)
    monkeypatch.setattr(launch, "family", lambda: "hopper")
    block = {
        (m, n): newton_schulz_triton._config(m, n, torch.float16).tiles["BLOCK"] for m in (1, 384) for n in (64, 1024, 2048)
    }
    assert block == {(1, 64): 64, (1, 1024): 64, (1, 2048): 64, (384, 64): 64, (384, 1024): 128, (384, 2048): 128}


@pytest.mark.gpu
@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("shape", [(4, 512, 1024), (3, 333, 130), (64, 64, 192), (1, 2048, 512)], ids=str)
def test_products_on_a_gpu(shape, dtype, tall):
    check_product(original("newton_schulz_triton"), shape, dtype, "cuda", tall)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(2, 1024, 1024), (4, 512, 1792), (4, 1792, 512), (3, 100, 333), (384, 64, 224)], ids=str)
@pytest.mark.parametrize("condition", [10, 1000])
def test_no_further_from_float64_than_cublas(shape, dtype, condition):
    """cuBLAS, with the same polynomial in the same format, sets the measure: three times as far direct, six as Gram form."""
    x = spread(shape, condition).cuda()
    exact = kernels.newton_schulz(x, impl="torch")
    ours, cublas = (
        relative_error(kernels.newton_schulz(x.float(), dtype=dtype, impl=impl), exact) for impl in ("triton", "torch")
    )
    direct = dtype == torch.bfloat16 or max(shape[1:]) < 1.5 * min(shape[1:])
    assert ours <= (3 if direct else 6) * cublas
    assert dtype == torch.bfloat16 or ours <= ITERATED[dtype]


BROKEN_PRODUCTS = {
    "short + along - (tiles - long))": "short + along - (tiles - long) - 1)",
    "acc = tl.dot(a, b, acc, ": "acc = tl.dot(a, b, ",
    "row[:, None] <= column[None, :], out, tl.trans(out)": "row[:, None] <= N, out, out",
    "out_ptr + column[None, :] * N + row[:, None]": "out_ptr + row[:, None] * N + column[None, :]",
    "column[None, :], diagonal, 0.0)": "column[None, :], diagonal + 0.01, 0.0)",
    "acc += beta * tl.load(": "acc += tl.load(",
}
MUTANTS = [Mutant("newton_schulz_triton", old, new, check_product) for old, new in BROKEN_PRODUCTS.items()]
MUTANTS += [Mutant("newton_schulz_triton", "x_nAB = _direct_form(x_nAB, triples)", "pass", check_direct)]


@interpreted
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutants_die(mutant, tmp_path):
    must_die(mutant, tmp_path)
