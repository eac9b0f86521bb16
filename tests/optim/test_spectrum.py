"""Singular values and their entropy: known matrices, what changes nothing, bad input (claim 11)."""

import math

import pytest
import torch

from kimi_mini.optim import singular_values, svd_entropy
from kimi_mini.optim.spectrum import rms


def turned(sigma, rows, columns):
    """A [rows, columns] matrix with these singular values, in directions drawn at random."""
    torch.manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(n, len(sigma), dtype=torch.float64))[0] for n in (rows, columns))
    return u @ torch.diag(torch.tensor(sigma, dtype=torch.float64)) @ v.T


def test_the_singular_values_that_were_put_in_come_out():
    sigma = [3.0, 2.0, 0.5, 0.0]
    assert singular_values(turned(sigma, 4, 9)).tolist() == pytest.approx(sigma, abs=1e-12)


def test_entropy_is_the_published_formula():
    sigma = [3.0, 2.0, 0.5]
    total = sum(s**2 for s in sigma)
    expected = -sum(s**2 / total * math.log(s**2 / total) for s in sigma) / math.log(3)
    assert float(svd_entropy(turned(sigma, 7, 3))) == pytest.approx(expected)


@pytest.mark.parametrize(("sigma", "entropy"), [([1.0] * 5, 1.0), ([2.0, 0, 0, 0, 0], 0.0), ([1.0, 1, 0, 0], 0.5)])
def test_equal_shares_give_one_and_a_single_direction_gives_zero(sigma, entropy):
    assert float(svd_entropy(turned(sigma, len(sigma), 8))) == pytest.approx(entropy, abs=1e-9)


def test_size_and_turning_do_not_matter():
    x = torch.randn(6, 10)
    q = torch.linalg.qr(torch.randn(6, 6))[0]
    assert float(svd_entropy(-7 * x)) == pytest.approx(float(svd_entropy(x)))
    assert float(svd_entropy(q @ x)) == pytest.approx(float(svd_entropy(x)), abs=1e-6)


def test_leading_axes_are_independent():
    slab = torch.randn(3, 2, 5, 4)
    assert svd_entropy(slab).shape == rms(slab).shape == (3, 2) and singular_values(slab).shape == (3, 2, 4)
    assert float(svd_entropy(slab)[2, 1]) == pytest.approx(float(svd_entropy(slab[2, 1])))


def test_rms_is_the_root_of_the_mean_square_and_of_the_squared_singular_values():
    x = torch.randn(6, 10, dtype=torch.float64)
    assert float(rms(x)) == pytest.approx(float(x.square().mean().sqrt()))
    assert float(rms(x)) == pytest.approx(float((singular_values(x).square().sum() / 60).sqrt()))


@pytest.mark.parametrize(
    ("bad", "message"), [(torch.ones(3), "axes"), (torch.ones(1, 4), "directions"), (torch.zeros(2, 2), "all zero")]
)
def test_what_has_no_entropy_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        svd_entropy(bad)
