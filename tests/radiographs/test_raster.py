from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wsreg.errors import InputError
from wsreg.radiographs.raster import read_mask, read_raster

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_keep_their_values(tmp_path: Path, name: str, dtype: type) -> None:
    pixels: NDArray[Any] = (PIXELS // (257 if dtype is np.uint8 else 1)).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / name)
    np.testing.assert_array_equal(read_raster(tmp_path / name).pixels, pixels)


def test_float_tiff_and_npy(tmp_path: Path) -> None:
    pixels = PIXELS.astype(np.float32) / 7
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    np.save(tmp_path / "x.npy", pixels)
    np.testing.assert_array_equal(read_raster(tmp_path / "x.tif").pixels, pixels)
    np.testing.assert_array_equal(read_raster(tmp_path / "x.npy").pixels, pixels)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1)])
def test_nifti_counts_columns_first(tmp_path: Path, shape: tuple[int, ...]) -> None:
    import nibabel

    image = nibabel.Nifti1Image(PIXELS.T.reshape(shape).copy(), np.eye(4))
    nibabel.save(image, tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(read_raster(tmp_path / "x.nii.gz").pixels, PIXELS)


def test_damaged_files(tmp_path: Path) -> None:
    import nibabel

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 65535, (64, 64)).astype(np.uint16)
    Image.fromarray(noise).save(tmp_path / "x.png")
    Image.fromarray(noise).save(tmp_path / "x.tif")
    np.save(tmp_path / "x.npy", noise)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), tmp_path / "x.nii.gz")
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), tmp_path / "x.nii")
    for name in ("x.png", "x.tif", "x.npy", "x.nii.gz", "x.nii"):
        path = tmp_path / name
        whole = path.read_bytes()
        for size in (len(whole) // 2, 6, 0):
            path.write_bytes(whole[:size])
            with pytest.raises(InputError, match=name):
                read_raster(path)


def test_volumes_stacks_and_objects_are_refused(tmp_path: Path) -> None:
    import nibabel

    np.save(tmp_path / "volume.npy", np.zeros((2, 3, 4)))
    np.save(tmp_path / "object.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "complex.npy", np.zeros((3, 4), dtype=complex))
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5)), np.eye(4)), tmp_path / "volume.nii")
    pages = [Image.fromarray(PIXELS), Image.fromarray(PIXELS)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    for name, message in {
        "volume.npy": r"2D array \[rows, columns\], got \[2, 3, 4\]",
        "object.npy": "numbers",
        "complex.npy": "real numbers",
        "volume.nii": r"one 2D image .* got \[3, 4, 5\]",
        "pages.tif": "one image, it holds 2",
    }.items():
        with pytest.raises(InputError, match=message):
            read_raster(tmp_path / name)


def test_mask_is_what_is_not_zero(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([[0, 1, 0], [2, 0, 0]]))
    Image.fromarray(np.array([[0, 255, 0], [9, 0, 0]], dtype=np.uint8)).save(tmp_path / "m.png")
    for name in ("m.npy", "m.png"):
        mask = read_mask(tmp_path / name, (2, 3))
        assert mask.tolist() == [[False, True, False], [True, False, False]]


def test_mask_must_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.zeros((2, 3)))
    with pytest.raises(InputError, match="3 x 2, got 2 x 3"):
        read_mask(tmp_path / "m.npy", (3, 2))
    with pytest.raises(InputError, match="leave some pixels"):
        read_mask(tmp_path / "m.npy", (2, 3))
    with pytest.raises(InputError, match="is not a file"):
        read_mask(tmp_path / "none.png", (2, 3))
    (tmp_path / "m.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="must end in one of"):
        read_mask(tmp_path / "m.jpg", (2, 3))


def png_header(columns: int, rows: int) -> bytes:
    """A PNG file of which there is no more than what it says of its size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def test_images_larger_than_any_x_ray_are_not_read(tmp_path: Path) -> None:
    import nibabel

    (tmp_path / "a.png").write_bytes(png_header(50_000, 50_000))
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, 50_000) for tag in (256, 257))
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(8))
    header = nibabel.Nifti1Header()
    header.set_data_shape((30_000, 30_000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / "a.nii").write_bytes(bytes(header.binaryblock) + bytes(100))
    for name in ("a.png", "a.tif", "a.nii"):
        with pytest.raises(InputError, match=rf"{name} must be of at most 67108864 pixels"):
            read_raster(tmp_path / name)
