"""WSD: the phases, their seams, and K2's own numbers."""

import pytest

from kimi_mini.optim import wsd_factor


def test_phases():
    rate = [wsd_factor(s, warmup=4, total=20, decay=8, final=0.1) for s in range(20)]
    assert rate[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rate[4:12] == [1.0] * 8
    assert all(a > b for a, b in zip(rate[11:], rate[12:], strict=False))
    assert rate[15] == pytest.approx(0.55) and rate[19] == pytest.approx(0.1)


def test_no_phase_is_forced():
    assert [wsd_factor(s, warmup=0, total=3, decay=0) for s in range(3)] == [1.0, 1.0, 1.0]
    assert wsd_factor(9, warmup=0, total=3, decay=3) == pytest.approx(0.1)  # past the end it stays down


@pytest.mark.parametrize(("warmup", "decay", "final"), [(11, 0, 0.1), (5, 6, 0.1), (-1, 0, 0.1), (0, -1, 0.1), (0, 0, 1.1)])
def test_impossible_schedules_are_refused(warmup, decay, final):
    with pytest.raises(ValueError, match="expected"):
        wsd_factor(0, warmup=warmup, total=10, decay=decay, final=final)
