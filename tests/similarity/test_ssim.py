"""SSIM: scikit-image's values, the definition under a mask, and what it tells apart."""

from __future__ import annotations

import pytest
import torch
from skimage.metrics import structural_similarity
from tests.similarity.conftest import Pair

from wsreg.similarity.measure import LeastSquaresMeasure
from wsreg.similarity.ssim import Ssim, scaled_image


def test_it_is_that_of_another_library_away_from_the_edges(pair: Pair) -> None:
    whole = torch.ones_like(pair.mask)
    prepared = Ssim().prepare(pair.fixed, whole)
    moving = scaled_image(pair.moving, whole)
    _, expected = structural_similarity(
        prepared.fixed.numpy(), moving[0].numpy(), gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, data_range=1.0, full=True,
    )  # fmt: skip
    inner = (slice(5, -5), slice(5, -5))
    torch.testing.assert_close(
        prepared.map(pair.moving)[0][inner], torch.from_numpy(expected)[inner]
    )


def test_around_a_pixel_the_valid_ones_alone_count(pair: Pair) -> None:
    """By hand from the definition, for a pixel beside the masked corner and the image's edge."""
    prepared = Ssim().prepare(pair.fixed, pair.mask)
    row, column = 2, 5
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    gauss = torch.exp(-offsets.square() / (2 * 1.5**2))
    pairs, weights = [], []
    for down, by_row in zip(range(row - 5, row + 6), gauss, strict=True):
        for right, by_column in zip(range(column - 5, column + 6), gauss, strict=True):
            if down >= 0 and right >= 0 and bool(pair.mask[down, right]):
                pairs.append((down, right))
                weights.append(by_row * by_column)
    weight = torch.stack(weights) / sum(weights)
    images = (scaled_image(image, pair.mask) for image in (pair.fixed, pair.moving[0]))
    x, y = (torch.stack([image[at] for at in pairs]) for image in images)
    mean_x, mean_y = weight @ x, weight @ y
    variance_x, variance_y = weight @ (x - mean_x) ** 2, weight @ (y - mean_y) ** 2
    covariance = weight @ ((x - mean_x) * (y - mean_y))
    expected = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    expected /= (mean_x**2 + mean_y**2 + 1e-4) * (variance_x + variance_y + 9e-4)
    torch.testing.assert_close(prepared.map(pair.moving)[0, row, column], expected)
    valid = prepared.map(pair.moving)[0][pair.mask]
    assert float(prepared.similarity(pair.moving)) == pytest.approx(float(valid.mean()))
    assert float(prepared.loss(pair.moving)) == pytest.approx(1.0 - float(valid.mean()))


def test_it_is_no_sum_of_squares(pair: Pair) -> None:
    assert not isinstance(Ssim().prepare(pair.fixed, pair.mask), LeastSquaresMeasure)
