"""A map of a collection of tools: each as hashed n-grams of what a model is told of it, brought to a plane.

`features` -> `principal` (singular value decomposition) -> `tsne`. Near on the map means alike in words; what a tool does is
not looked at.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from ..checks import is_int, require
from .world import Tool

SIZE = 2048  # features that n-grams are hashed to


def told(tool: Tool) -> str:
    """Name, description and the arguments' names and descriptions, as one text."""
    arguments = [f"{name} {schema.get('description', '')}" for name, schema in tool.parameters["properties"].items()]
    return " ".join([tool.name.replace("_", " "), tool.description, *arguments])


def features(texts: Sequence[str], size: int = SIZE) -> np.ndarray:
    """TF-IDF of words and of their letters in threes, hashed; [N, size], rows of length 1. Dot products are cosines."""
    require(len(texts) > 0, "texts", len(texts), "at least one")
    counts_ND = np.zeros((len(texts), size))
    for row_D, text in zip(counts_ND, texts, strict=True):
        for gram in _grams(text):
            row_D[zlib.crc32(gram.encode()) % size] += 1
    rarity_D = np.log((1 + len(texts)) / (1 + (counts_ND > 0).sum(0))) + 1
    found_ND = np.log1p(counts_ND) * rarity_D
    return found_ND / np.maximum(np.linalg.norm(found_ND, axis=1, keepdims=True), 1e-12)


def _grams(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return words + [f"#{f' {word} '[start : start + 3]}" for word in words for start in range(len(word))]


def principal(found_ND: np.ndarray, dimensions: int) -> np.ndarray:
    """The rows' coordinates on the first principal axes, [N, dimensions]; signs are fixed, so it is the same everywhere."""
    most = min(found_ND.shape)
    require(is_int(dimensions, 1) and dimensions <= most, "dimensions", dimensions, f"an integer from 1 to {most}")
    centred_ND = found_ND - found_ND.mean(0)
    left_NK, scale_K, axes_KD = np.linalg.svd(centred_ND, full_matrices=False)
    strongest_K = np.abs(axes_KD).argmax(1)
    signs_K = np.sign(axes_KD[np.arange(len(axes_KD)), strongest_K])
    return (left_NK * scale_K * np.where(signs_K == 0, 1, signs_K))[:, :dimensions]


def tsne(points_ND: np.ndarray, *, perplexity: float = 15.0, steps: int = 500) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton, 2008) in the plane, exact, from the first two principal axes; [N, 2].

    Raises ValueError unless there are more than three times as many points as the perplexity.
    """
    size = len(points_ND)
    require(0 < 3 * perplexity < size, "perplexity", perplexity, f"above 0 and below {size / 3:.1f}, a third of the points")
    wanted_NN = _affinities(points_ND, perplexity)
    place_N2 = principal(points_ND, 2)
    place_N2 = place_N2 / max(place_N2.std(), 1e-12) * 1e-2
    speed_N2, gain_N2 = np.zeros_like(place_N2), np.ones_like(place_N2)
    rate = max(size / 12 / 4, 10.0)
    for step in range(steps):
        early = step < steps // 4
        slope_N2 = _slope(place_N2, wanted_NN * (12 if early else 1))
        agree_N2 = np.sign(slope_N2) == np.sign(speed_N2)
        gain_N2 = np.maximum(0.01, np.where(agree_N2, gain_N2 * 0.8, gain_N2 + 0.2))
        speed_N2 = (0.5 if early else 0.8) * speed_N2 - rate * gain_N2 * slope_N2
        place_N2 = place_N2 + speed_N2
        place_N2 = place_N2 - place_N2.mean(0)
    return place_N2


def _squares(points_ND: np.ndarray) -> np.ndarray:
    """Squared distances, [N, N]."""
    norms_N = (points_ND**2).sum(1)
    return np.maximum(0, norms_N[:, None] + norms_N - 2 * points_ND @ points_ND.T)


def _affinities(points_ND: np.ndarray, perplexity: float) -> np.ndarray:
    """Symmetric probabilities of neighbours: for each point a width is sought at which its entropy is log(perplexity)."""
    squares_NN = _squares(points_ND)
    given_NN = np.zeros_like(squares_NN)
    for index, row_N in enumerate(squares_NN):
        others_M = np.delete(row_N, index)
        others_M = others_M - others_M.min()
        low, high = 0.0, np.inf
        beta = 1.0
        for _ in range(60):
            weight_M = np.exp(-beta * others_M)
            share_M = weight_M / weight_M.sum()
            entropy = np.log(weight_M.sum()) + beta * (share_M * others_M).sum()
            if abs(entropy - np.log(perplexity)) < 1e-5:
                break
            low, high = (beta, high) if entropy > np.log(perplexity) else (low, beta)
            beta = beta * 2 if high == np.inf else (low + high) / 2
        given_NN[index, np.arange(len(row_N)) != index] = share_M
    return np.maximum((given_NN + given_NN.T) / (2 * len(points_ND)), 1e-12)


def _slope(place_N2: np.ndarray, wanted_NN: np.ndarray) -> np.ndarray:
    """Gradient of the divergence between the neighbours wanted and those of the map."""
    near_NN = 1 / (1 + _squares(place_N2))
    np.fill_diagonal(near_NN, 0)
    pull_NN = (wanted_NN - near_NN / near_NN.sum()) * near_NN
    return 4 * (pull_NN.sum(1)[:, None] * place_N2 - pull_NN @ place_N2)


def same_neighbour(points_ND: np.ndarray, labels: Sequence[str]) -> float:
    """Share of points whose nearest other point has the same label."""
    squares_NN = _squares(points_ND)
    np.fill_diagonal(squares_NN, np.inf)
    labels_N = np.asarray(labels)
    return float((labels_N == labels_N[squares_NN.argmin(1)]).mean())
