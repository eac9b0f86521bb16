"""Newton-Schulz: fast form against the definition, singular values, shapes, zero matrices (claim 7)."""

import pytest
import torch

from kimi_mini import kernels

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
