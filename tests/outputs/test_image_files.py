from __future__ import annotations

import math
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from wsreg.errors import InputError
from wsreg.outputs.image_files import save_image

IMAGE = torch.tensor([[0.5, 1.5, 2.5], [1.0, -0.5, 0.25]])


def test_npy_and_tiff_keep_every_value(tmp_path: Path) -> None:
    save_image(IMAGE.double(), tmp_path / "a.npy", pixel_spacing_mm=(1, 1))
    kept = np.load(tmp_path / "a.npy")
    assert kept.dtype == np.float32
    assert np.array_equal(kept, IMAGE.numpy())
    save_image(IMAGE, tmp_path / "a.TIFF", pixel_spacing_mm=(1, 1))
    with Image.open(tmp_path / "a.TIFF") as tiff:
        assert np.array_equal(np.asarray(tiff), IMAGE.numpy())
    assert sorted(os.listdir(tmp_path)) == ["a.TIFF", "a.npy"]


def test_png_uses_all_16_bits_and_says_how_to_get_back(tmp_path: Path) -> None:
    note = save_image(IMAGE, tmp_path / "a.png", pixel_spacing_mm=(1, 1))
    with Image.open(tmp_path / "a.png") as png:
        pixels = np.asarray(png).astype(np.float64)
        assert png.info["Description"] in note
    assert (pixels.min(), pixels.max()) == (0, 65535)
    low, scale = -0.5, 3.0 / 65535
    assert f"{low} + {scale:.9g} * pixel" in note
    assert low + scale * pixels == pytest.approx(IMAGE.numpy(), abs=scale)


def test_constant_png_is_black(tmp_path: Path) -> None:
    note = save_image(torch.full((2, 2), 7.0), tmp_path / "a.png", pixel_spacing_mm=(1, 1))
    with Image.open(tmp_path / "a.png") as png:
        assert not np.asarray(png).any()
    assert "value = 7 + 1 * pixel" in note


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_has_columns_first_and_the_spacing(tmp_path: Path, name: str) -> None:
    save_image(IMAGE, tmp_path / name, pixel_spacing_mm=(0.2, 0.3))
    image = nibabel.load(tmp_path / name)
    assert image.shape == (3, 2, 1)
    assert image.get_data_dtype() == np.float32
    assert image.header.get_zooms() == pytest.approx((0.3, 0.2, 1.0))
    assert np.array_equal(np.asarray(image.dataobj)[2, 0, 0], 2.5)
    assert np.array_equal(np.asarray(image.dataobj)[:, :, 0].T, IMAGE.numpy())


@pytest.mark.parametrize(
    ("image", "name", "message"),
    [
        (IMAGE, "a.jpg", r"\.npy, \.png, .*\.nii\.gz, got .*a\.jpg"),
        (IMAGE, "a", r"must end in one of"),
        (IMAGE[None], "a.png", r"must be \[H,W\], got \[1, 2, 3\]"),
        (IMAGE * math.nan, "a.png", "must be finite"),
    ],
)
def test_bad_input_writes_nothing(
    tmp_path: Path, image: torch.Tensor, name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        save_image(image, tmp_path / name, pixel_spacing_mm=(1, 1))
    assert os.listdir(tmp_path) == []
