from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.evaluation.image_shift import image_shift_px

BLOBS = ((20.3, 31.8, 4.0), (44.1, 28.4, 3.0), (33.7, 52.2, 5.0), (60.9, 40.5, 2.5))
"""(column, row, standard deviation) of what the images show."""


def picture(shift_px: tuple[float, float], rows: int = 70, columns: int = 81) -> Tensor:
    """[rows,columns] float64 sum of Gaussians, everything moved by (column, row)."""
    row, column = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64),
        torch.arange(columns, dtype=torch.float64),
        indexing="ij",
    )
    image = torch.zeros(rows, columns, dtype=torch.float64)
    for x, y, sigma in BLOBS:
        squared = (column - x - shift_px[0]) ** 2 + (row - y - shift_px[1]) ** 2
        image += torch.exp(-0.5 * squared / sigma**2)
    return image


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, 0.0), (0.0, -0.3), (-1.4, 0.9)])
def test_a_known_shift_is_found_in_sign_and_size(shift: tuple[float, float]) -> None:
    found = image_shift_px(picture(shift), picture((0.0, 0.0)))
    assert found.tolist() == pytest.approx(shift, abs=2e-3)


def test_gain_haze_and_noise_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    hazy = 2.5 * picture((0.4, -0.2)) + 7.0 + 0.02 * torch.arange(81)
    noisy = hazy + 0.02 * torch.randn(70, 81, generator=generator, dtype=torch.float64)
    found = image_shift_px(noisy, picture((0.0, 0.0)))
    assert found.tolist() == pytest.approx((0.4, -0.2), abs=0.02)


def test_a_tool_and_what_is_not_valid_matter_little() -> None:
    image = picture((0.4, -0.2))
    image[50:53, 15:40] += 1.0
    image[:, 75:] = 9.0
    valid = torch.ones(70, 81, dtype=torch.bool)
    valid[:, 75:] = False
    found = image_shift_px(image, picture((0.0, 0.0)), valid)
    assert found.tolist() == pytest.approx((0.4, -0.2), abs=0.05)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match=r"one size \[H,W\], got \[70, 81\], \[70, 80\]"):
        image_shift_px(picture((0.0, 0.0)), picture((0.0, 0.0), columns=80))
    nothing = torch.zeros(70, 81, dtype=torch.bool)
    with pytest.raises(InputError, match=r"must have 100 valid pixels .* got 0"):
        image_shift_px(picture((0.0, 0.0)), picture((0.0, 0.0)), nothing)
