"""Cubic convolution."""

from __future__ import annotations

import numpy as np
import pytest

from wsreg.simulation.upsampling import MARGIN, upsample


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_quadratic_is_reproduced_at_the_centres_of_the_parts(parts: int) -> None:
    def surface(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return 3.0 + 0.5 * row - 0.1 * row**2 + 0.2 * column + 0.05 * column**2

    row, column = np.arange(9.0)[:, None], np.arange(12.0)[None, :]
    fine = upsample(surface(row, column).astype(np.float32), parts)
    assert fine.shape == (5 * parts, 8 * parts)
    fine_row = MARGIN + (np.arange(5 * parts) + 0.5)[:, None] / parts - 0.5
    fine_column = MARGIN + (np.arange(8 * parts) + 0.5)[None, :] / parts - 0.5
    np.testing.assert_allclose(fine, surface(fine_row, fine_column), atol=1e-4)


def test_channels_are_kept_apart() -> None:
    image = np.random.default_rng(0).random((7, 8, 2), dtype=np.float32)
    fine = upsample(image, 3)
    assert fine.shape == (9, 12, 2)
    np.testing.assert_array_equal(fine[..., 1], upsample(image[..., 1], 3))


def test_one_part_is_the_image_without_its_margin() -> None:
    image = np.random.default_rng(0).random((7, 8), dtype=np.float32)
    np.testing.assert_array_equal(upsample(image, 1), image[2:-2, 2:-2])
