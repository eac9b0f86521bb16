"""Rotary positions against complex multiplication; YaRN's frequencies; relative positions only."""

import math

import pytest
import torch

import kimi_mini as km
from kimi_mini.model.rope import rope_frequencies, rope_table, rotate, yarn_range


def table(config, positions, dtype=torch.float64):
    return rope_table(config, torch.as_tensor(positions), dtype)


def random_vectors(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_rotation_is_complex_multiplication():
    x_BTHR = random_vectors(2, 5, 3, 8)
    positions = torch.tensor([[0, 1, 2, 3, 4], [7, 100, 3, 511, 0]])
    frequency = 10000.0 ** -(torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    turn = torch.polar(torch.ones((), dtype=torch.float64), positions[..., None] * frequency)
    expected = torch.view_as_real(torch.view_as_complex(x_BTHR.unflatten(-1, (4, 2))) * turn[:, :, None]).flatten(-2)
    torch.testing.assert_close(rotate(x_BTHR, table(km.NANO, positions)), expected, atol=1e-13, rtol=0)


def test_half_split_pairs_are_another_rotation():
    # Claim 5: the layout of the pairs is part of the weights' meaning.
    x = random_vectors(1, 5, 1, 8)
    rope = table(km.NANO, [[1, 2, 3, 4, 5]])
    first, second = x.chunk(2, -1)
    cos, sin = rope.cos_BTP[:, :, None], rope.sin_BTP[:, :, None]
    half_split = torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
    assert (rotate(x, rope) - half_split).abs().max() > 0.1


def test_logits_depend_on_distance_only():
    q, k = random_vectors(2, 1, 1, 1, 8)

    def logit(at_q: int, at_k: int) -> float:
        return (rotate(q, table(km.NANO, [[at_q]])) * rotate(k, table(km.NANO, [[at_k]]))).sum().item()

    assert logit(5, 3) == pytest.approx(logit(400, 398), abs=1e-12)
    assert abs(logit(5, 3) - logit(5, 2)) > 1e-3
    assert logit(9, 9) == pytest.approx((q * k).sum().item(), abs=1e-12)


def test_rotation_keeps_lengths():
    x = random_vectors(1, 4, 2, 8)
    turned = rotate(x, table(km.NANO, [[0, 10, 100, 500]]))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-12, rtol=0)
    assert torch.equal(turned[:, 0], x[:, 0])  # position 0 turns nothing


def test_fp32_table_is_exact_at_the_last_position():
    last = km.K2.max_position_embeddings - 1
    wide, narrow = table(km.K2, [[last]]), table(km.K2, [[last]], torch.float32)
    torch.testing.assert_close(narrow.cos_BTP, wide.cos_BTP.float(), atol=0, rtol=0)
    torch.testing.assert_close(narrow.sin_BTP, wide.sin_BTP.float(), atol=0, rtol=0)


# ---- YaRN (k2-facts 1.4) ---------------------------------------------------------------------------------------------


def test_ranges_of_the_released_models():
    assert yarn_range(km.K2) == (19, 20)
    assert yarn_range(km.DEEPSEEK_V3) == (10, 23)


def test_k2_slows_its_last_twelve_pairs_by_32():
    plain, slowed = rope_frequencies(km.K2.replace(rope_scaling=None)), rope_frequencies(km.K2)
    ratio = plain / slowed
    assert torch.equal(ratio[:20], torch.ones(20, dtype=torch.float64))
    torch.testing.assert_close(ratio[20:], torch.full((12,), 32.0, dtype=torch.float64), atol=1e-12, rtol=0)


def test_deepseek_ramps_in_between():
    plain, slowed = rope_frequencies(km.DEEPSEEK_V3.replace(rope_scaling=None)), rope_frequencies(km.DEEPSEEK_V3)
    kept = (slowed / plain - 1 / 40) / (1 - 1 / 40)  # 1: as it was, 0: slowed by 40
    expected = (1 - (torch.arange(32, dtype=torch.float64) - 10) / (23 - 10)).clamp(0, 1)
    torch.testing.assert_close(kept, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("mscale", "all_dim", "amplitude"),
    [
        (1.0, 1.0, 1.0),
        (0.0, 0.0, 0.1 * math.log(8) + 1),
        (0.5, 0.0, 0.1 * math.log(8) + 1),
        (0.0, 0.5, 0.1 * math.log(8) + 1),
        (0.5, 2.0, (0.05 * math.log(8) + 1) / (0.2 * math.log(8) + 1)),
    ],
)
def test_amplitude_of_the_table(mscale, all_dim, amplitude):
    yarn = km.YarnScaling(8.0, 64, mscale=mscale, mscale_all_dim=all_dim)
    rope = table(km.NANO.replace(rope_scaling=yarn), [[0, 3]])
    radius = (rope.cos_BTP**2 + rope.sin_BTP**2).sqrt()
    torch.testing.assert_close(radius, torch.full_like(radius, amplitude), atol=1e-14, rtol=0)


def test_a_factor_of_one_changes_nothing():
    yarn = km.NANO.replace(rope_scaling=km.YarnScaling(1.0, 64, mscale=1.0, mscale_all_dim=1.0))
    assert torch.equal(rope_frequencies(yarn), rope_frequencies(km.NANO))
    assert yarn.softmax_scale == km.NANO.softmax_scale
