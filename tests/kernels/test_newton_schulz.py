"""Newton-Schulz: fast form against the definition, singular values, shapes, zero matrices (claim 7)."""

import pytest
import torch

from kimi_mini import kernels
from kimi_mini.kernels import newton_schulz_torch

SHAPES = [(8, 8), (16, 40), (40, 16), (1, 5), (5, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coefficients", list(kernels.NEWTON_SCHULZ_COEFFICIENTS))
def test_batched_form_equals_definition(shape, coefficients):
    x = torch.randn(35, *shape, dtype=torch.float64)
    ref = kernels.newton_schulz(x, coefficients=coefficients, impl="ref")
    fast = kernels.newton_schulz(x, coefficients=coefficients)
    torch.testing.assert_close(fast, ref, rtol=1e-11, atol=1e-11)


def test_leading_axes_are_independent():
    x = torch.randn(3, 2, 6, 10, dtype=torch.float64)
    whole = kernels.newton_schulz(x)
    alone = kernels.newton_schulz(x[1, 1])
    torch.testing.assert_close(whole[1, 1], alone, rtol=1e-12, atol=1e-12)


def test_same_polynomial_on_every_singular_value():
    """The iteration must keep singular vectors and send each singular value through the scalar polynomial."""
    x = torch.randn(12, 20, dtype=torch.float64)
    u, s, vt = torch.linalg.svd(x, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for a, b, c in kernels.step_coefficients("muon", 5):
        s = a * s + b * s**3 + c * s**5
    torch.testing.assert_close(kernels.newton_schulz(x), u @ torch.diag(s) @ vt, rtol=1e-9, atol=1e-9)


def test_singular_values_of_wide_gaussian_land_in_the_published_band():
    """k2-facts 5.1: Gaussian 256 x 1024 ends within 0.68-1.13, RMS after scaling about 0.191."""
    torch.manual_seed(0)
    out = kernels.newton_schulz(torch.randn(256, 1024))
    s = torch.linalg.svdvals(out)
    assert 0.66 < s.min() and s.max() < 1.15
    assert 0.185 < (out * 0.2 * 1024**0.5).square().mean().sqrt() < 0.197


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("shape", [(256, 384), (256, 512), (512, 256), (256, 1024)])
def test_wide_and_tall_matrices_are_in_the_band_after_five_steps(shape, seed):
    torch.manual_seed(seed)
    s = torch.linalg.svdvals(kernels.newton_schulz(torch.randn(shape, dtype=torch.float64)))
    assert 0.65 < s.min() and s.max() < 1.25


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_smallest_of_a_square_matrix_comes_later(seed):
    torch.manual_seed(seed)
    x = torch.randn(256, 256, dtype=torch.float64)
    five, ten = (torch.linalg.svdvals(kernels.newton_schulz(x, steps=steps)) for steps in (5, 10))
    assert five.min() < 0.3 and five.max() < 1.25 and ten.min() > 0.65
    assert (five > 0.65).double().mean() > 0.95, "most directions have arrived"


@pytest.mark.parametrize("shape", [(64, 64), (64, 192), (192, 64)])
def test_rms_of_an_orthogonal_matrix_is_one_over_the_root_of_its_longer_side(shape):
    """Lemma 1 of the Moonlight report, for the exact factor and, within the band's width, for the iteration."""
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    u, _, vt = torch.linalg.svd(x, full_matrices=False)
    rms = [m.square().mean().sqrt().item() * max(shape) ** 0.5 for m in (u @ vt, kernels.newton_schulz(x))]
    assert rms[0] == pytest.approx(1) and 0.85 < rms[1] < 1.0


def test_one_axis_alone_starts_at_exactly_one():
    """Over its Frobenius norm a matrix of rank one has the singular value 1; of two equal axes each has the root of a half."""
    alone, equal = torch.diag(torch.tensor([3.0, 0.0])), torch.diag(torch.tensor([3.0, 3.0]))
    alone, equal = alone.double(), equal.double()
    after = [kernels.newton_schulz(x, steps=steps)[0, 0].item() for x in (alone, equal) for steps in (0, 1, 2, 3)]
    assert [round(value, 2) for value in after] == [1.0, 0.7, 1.11, 0.72, 0.71, 1.11, 0.71, 1.1]


def test_msign_turns_with_its_matrix_and_the_entrywise_sign_does_not():
    torch.manual_seed(0)
    m, q = torch.randn(6, 6, dtype=torch.float64), torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    torch.testing.assert_close(kernels.newton_schulz(q @ m), q @ kernels.newton_schulz(m), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(torch.linalg.svdvals(torch.sign(q @ m)), torch.linalg.svdvals(torch.sign(m)), atol=0.1)


def test_five_steps_never_settle_at_one():
    values = [1.0]
    for a, b, c in kernels.step_coefficients("muon", 3):
        values.append(a * values[-1] + b * values[-1] ** 3 + c * values[-1] ** 5)
    assert [round(v, 2) for v in values[1:]] == [0.70, 1.11, 0.72]


@pytest.mark.parametrize("impl", ["ref", "torch"])
def test_zero_matrix_stays_zero(impl):
    x = torch.stack((torch.zeros(4, 6), torch.ones(4, 6)))
    out = kernels.newton_schulz(x, impl=impl)
    assert out.isfinite().all() and out[0].abs().max() == 0 and out[1].abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_iteration_format_does_not_change_the_result_format(dtype):
    x = torch.randn(16, 24)
    out = kernels.newton_schulz(x, dtype=dtype)
    exact = kernels.newton_schulz(x.double())
    assert out.dtype == torch.float32
    error = (out - exact).norm() / exact.norm()
    assert error < (4e-2 if dtype == torch.bfloat16 else 1e-5)


def test_bad_arguments_say_what_is_right():
    with pytest.raises(ValueError, match="coefficients = 'cubic' will not do; expected 'muon' or 'polar_express'"):
        kernels.newton_schulz(torch.ones(2, 2), coefficients="cubic")
    with pytest.raises(ValueError, match="impl = 'cuda'"):
        kernels.newton_schulz(torch.ones(2, 2), impl="cuda")


def spread(shape, condition, rank):
    """A matrix in float64 with `rank` singular values from 1 down to 1/condition, the others zero."""
    u, _, vt = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    s = torch.zeros(min(shape), dtype=torch.float64)
    s[:rank] = torch.logspace(0, -torch.tensor(float(condition)).log10(), rank, dtype=torch.float64)
    return u @ torch.diag(s) @ vt


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (1, 30)], ids=str)
def test_the_gram_form_is_the_same_polynomial(shape, steps):
    x = torch.randn(2, *shape, dtype=torch.float64)
    for coefficients in kernels.NEWTON_SCHULZ_COEFFICIENTS:
        direct = kernels.newton_schulz(x, steps=steps, coefficients=coefficients, impl="ref")
        gram = kernels.newton_schulz(x, steps=steps, coefficients=coefficients, impl="torch")
        torch.testing.assert_close(gram, direct, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("coefficients", list(kernels.NEWTON_SCHULZ_COEFFICIENTS))
@pytest.mark.parametrize(("condition", "rank"), [(10, 32), (1e3, 32), (1e5, 32), (100, 8)])
def test_restarts_keep_the_gram_form_from_growing_negative_eigenvalues(monkeypatch, condition, rank, coefficients):
    """fp32, and fp16 where a Gram form without restarts ends in numbers of 2 to 40 and NaN."""
    torch.manual_seed(0)
    x = spread((32, 96), condition, rank)
    exact = kernels.newton_schulz(x, coefficients=coefficients, impl="ref")
    for dtype, factor in ((torch.float32, 10), (torch.float16, 4)):
        off = {
            impl: (kernels.newton_schulz(x.float(), coefficients=coefficients, dtype=dtype, impl=impl) - exact).norm()
            for impl in ("ref", "torch")
        }
        assert off["torch"] <= factor * off["ref"]
    monkeypatch.setattr(newton_schulz_torch, "_SEGMENTS", (5, 5))
    grown = kernels.newton_schulz(x.float(), coefficients=coefficients, dtype=torch.float16, impl="torch")
    assert condition == 10 or not (grown - exact).norm() <= 4 * off["ref"]


def test_bf16_fp32_and_short_matrices_are_not_iterated_on_their_gram_matrix(monkeypatch):
    monkeypatch.setattr(newton_schulz_torch, "gram_form", None)
    for dtype in (torch.bfloat16, torch.float32):
        kernels.newton_schulz(torch.randn(8, 64), dtype=dtype)
    kernels.newton_schulz(torch.randn(8, 12), dtype=torch.float64)
    with pytest.raises(TypeError):
        kernels.newton_schulz(torch.randn(8, 64), dtype=torch.float64)
