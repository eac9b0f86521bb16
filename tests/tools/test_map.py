"""The map of tools: features see words, the plane keeps groups that are there, t-SNE's slope is that of its divergence."""

import numpy as np
import pytest

from kimi_mini.tools import WORLDS
from kimi_mini.tools import map as tool_map
from kimi_mini.tools.map import features, principal, same_neighbour, told, tsne


def groups(size=12, count=3, seed=0):
    """`count` groups far apart in ten dimensions, as points and labels."""
    rng = np.random.default_rng(seed)
    centres = 12 * np.eye(10)[:count]
    points = np.concatenate([centre + rng.normal(size=(size, 10)) for centre in centres])
    return points, [str(group) for group in range(count) for _ in range(size)]


def test_texts_are_near_when_their_words_are():
    one, same, inflected, other = features(["send a parcel", "Send a PARCEL", "send parcels", "boil the eggs"])
    assert one @ one == pytest.approx(1) and one @ same == pytest.approx(1)
    assert 0.3 < one @ inflected < 1 and abs(one @ other) < 0.1


def test_what_every_text_has_counts_less():
    texts = [f"the tool {word}" for word in ("parcel", "boat", "lamp", "goat")]
    found = features(texts)
    assert found[0] @ found[1] < features(["the tool parcel", "the tool boat"])[0] @ found[0] and found[0] @ found[2] < 0.5


def test_a_tool_is_told_by_name_description_and_arguments():
    text = told(next(tool for tool in WORLDS["shop"].tools if tool.name == "place_order"))
    assert all(word in text for word in ("place order", "paid at once", "count how many"))


def test_principal_axes_are_those_of_the_covariance():
    points, _ = groups()
    found = principal(points, 2)
    values = np.linalg.eigvalsh(np.cov(points.T))[::-1]
    assert found.var(0, ddof=1) == pytest.approx(values[:2]) and abs(np.corrcoef(found.T)[0, 1]) < 1e-9
    with pytest.raises(ValueError, match="dimensions = 11"):
        principal(points, 11)


@pytest.mark.parametrize("perplexity", [3.0, 8.0])
def test_affinities_have_the_perplexity_that_was_asked_for(perplexity):
    """On a circle all points are alike, so a row of the symmetric matrix, times their number, is one point's distribution."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    wanted = tool_map._affinities(np.stack([np.cos(angles), np.sin(angles)], 1), perplexity)
    share = np.delete(wanted[7] * 40, 7)
    assert wanted.sum() == pytest.approx(1) and wanted == pytest.approx(wanted.T) and share.sum() == pytest.approx(1)
    assert np.exp(-(share * np.log(share)).sum()) == pytest.approx(perplexity, rel=1e-3)


def test_the_slope_is_that_of_the_divergence():
    points, _ = groups(size=4)
    wanted = tool_map._affinities(points, 3.0)
    place = np.random.default_rng(1).normal(size=(len(points), 2))

    def divergence(place):
        near = 1 / (1 + tool_map._squares(place))
        np.fill_diagonal(near, 0)
        off = ~np.eye(len(place), dtype=bool)
        share = near / near.sum()
        return (wanted[off] * np.log(wanted[off] / share[off])).sum()

    slope, step = tool_map._slope(place, wanted), 1e-5
    for index in ((0, 0), (5, 1), (11, 0)):
        moved = [place.copy(), place.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        assert slope[index] == pytest.approx((divergence(moved[0]) - divergence(moved[1])) / (2 * step), rel=1e-3, abs=1e-6)


def test_groups_stay_together_and_the_map_is_the_same_again():
    points, labels = groups()
    place = tsne(points, perplexity=8, steps=300)
    assert same_neighbour(place, labels) == 1 and np.isfinite(place).all()
    assert (place == tsne(points, perplexity=8, steps=300)).all()
    shuffled = list(np.random.default_rng(0).permutation(labels))
    assert same_neighbour(place, shuffled) < 0.7
    with pytest.raises(ValueError, match="perplexity = 12.0"):
        tsne(points, perplexity=12.0)


def test_points_that_coincide_do_no_harm():
    points, _ = groups()
    assert np.isfinite(tsne(np.concatenate([points, points]), perplexity=5, steps=60)).all()
