from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.image_files import read_image_file

MARK_XYZ = (5, 1, 3)
KINDS = ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.nhdr", "ct.mha", "ct.mhd"]


def _write(
    name: str,
    voxels: NDArray[np.int16],
    affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
    write_itk: Callable[..., Path],
) -> Path:
    write = write_nifti if ".nii" in name else write_itk
    return write(voxels, affine, name)


@pytest.mark.parametrize("name", KINDS)
def test_an_oblique_grid_comes_back_in_lps(
    name: str,
    marked_ct: NDArray[np.int16],
    oblique_affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
    write_itk: Callable[..., Path],
) -> None:
    path = _write(name, marked_ct, oblique_affine, write_nifti, write_itk)
    image = read_image_file(path)
    np.testing.assert_array_equal(image.voxels, marked_ct)
    assert image.voxels.flags.c_contiguous
    np.testing.assert_allclose(image.ct_from_voxel, oblique_affine, atol=1e-4)
    z, y, x = map(int, np.unravel_index(image.voxels.argmax(), image.voxels.shape))
    assert (x, y, z) == MARK_XYZ
    # the same point through ITK, which knows nothing of our affine
    if name != "ct.nhdr":
        itk = SimpleITK.ReadImage(str(path)).TransformIndexToPhysicalPoint((x, y, z))
        np.testing.assert_allclose((image.ct_from_voxel @ (x, y, z, 1))[:3], itk, atol=1e-4)


def test_nifti_ras_becomes_lps(marked_ct: NDArray[np.int16], tmp_path: Path) -> None:
    ras = np.diag([2.0, 2.0, 2.0, 1.0])
    ras[:3, 3] = (10, 20, 30)
    nibabel.save(nibabel.Nifti1Image(marked_ct.T, ras), tmp_path / "a.nii")
    image = read_image_file(tmp_path / "a.nii")
    np.testing.assert_allclose((image.ct_from_voxel @ (1, 0, 0, 1))[:3], (-12, -20, 30))


def test_a_left_handed_grid_is_kept(
    marked_ct: NDArray[np.int16],
    oblique_affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
    write_itk: Callable[..., Path],
) -> None:
    oblique_affine[:3, 1] *= -1
    assert np.linalg.det(oblique_affine) < 0
    for name in ("ct.nii", "ct.mha"):
        path = _write(name, marked_ct, oblique_affine, write_nifti, write_itk)
        image = read_image_file(path)
        np.testing.assert_array_equal(image.voxels, marked_ct)
        np.testing.assert_allclose(image.ct_from_voxel, oblique_affine, atol=1e-4)


def test_nifti_scaling_units_byte_order_and_a_fourth_axis_of_one(tmp_path: Path) -> None:
    stored = np.arange(24, dtype=">i2").reshape(2, 3, 4, 1)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_xyzt_units("meter")
    image = nibabel.Nifti1Image(stored, np.diag([-0.001, -0.002, 0.003, 1.0]), header)
    image.header.set_slope_inter(2.0, -1024.0)
    image.header.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "ct.nii")
    expected = nibabel.load(tmp_path / "ct.nii").get_fdata()[..., 0].T
    read = read_image_file(tmp_path / "ct.nii")
    np.testing.assert_allclose(read.voxels, expected)
    np.testing.assert_allclose(read.ct_from_voxel, np.diag([1.0, 2.0, 3.0, 1.0]), atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "slope", "intercept", "kept"),
    [
        (np.int16, 1.0, -1024.0, np.int32),
        (np.uint16, 1.0, -1024.0, np.int32),
        (np.uint8, 1.0, -1024.5, np.float32),
        (np.int16, 0.5, -1024.0, np.float32),
        (np.int32, 1.0, -1024.0, np.float32),
    ],
)
def test_small_whole_numbers_with_a_whole_intercept_stay_whole(
    tmp_path: Path, dtype: type[np.integer], slope: float, intercept: float, kept: type[np.number]
) -> None:
    ends = np.iinfo(dtype) if np.dtype(dtype).itemsize <= 2 else np.iinfo(np.int16)
    stored = np.linspace(ends.min, ends.max, 24).astype(dtype).reshape(2, 3, 4)
    image = nibabel.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(slope, intercept)
    nibabel.save(image, tmp_path / "ct.nii")
    # nibabel writes what the header's scaling would undo: put the stored numbers back
    raw = bytearray((tmp_path / "ct.nii").read_bytes())
    raw[352:] = stored.tobytes(order="F")
    (tmp_path / "ct.nii").write_bytes(raw)
    read = read_image_file(tmp_path / "ct.nii")
    assert read.voxels.dtype == kept
    np.testing.assert_array_equal(read.voxels, (stored * slope + intercept).T)


def test_itk_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4)
    image = SimpleITK.GetImageFromArray(voxels, isVector=False)
    image.SetSpacing((1.0, 2.0, 3.0, 1.0))
    SimpleITK.WriteImage(image, str(tmp_path / "ct.mha"))
    read = read_image_file(tmp_path / "ct.mha")
    np.testing.assert_array_equal(read.voxels, voxels[0])
    np.testing.assert_allclose(np.diag(read.ct_from_voxel), (1, 2, 3, 1))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such image file: .*nowhere\.nii"):
        read_image_file(tmp_path / "nowhere.nii")


def test_unknown_ending_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "ct.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"ct\.jpg must be one of \.nii, .*\.mhd.*got .*'\.jpg'"):
        read_image_file(tmp_path / "ct.jpg")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kept", [0.6, 0.05, 0.0])
def test_truncated_files(
    name: str,
    kept: float,
    oblique_affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
    write_itk: Callable[..., Path],
) -> None:
    voxels = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20), dtype=np.int16)
    path = _write(name, voxels, oblique_affine, write_nifti, write_itk)
    detached = {".nhdr": ".raw", ".mhd": ".raw"}.get(path.suffix)
    data = path.with_suffix(detached) if detached else path
    content = data.read_bytes()
    data.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=path.name):
        read_image_file(path)


@pytest.mark.parametrize("name", KINDS)
def test_rubbish(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"this is no image " * 100)
    with pytest.raises(InputError, match="readable"):
        read_image_file(tmp_path / name)


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (8, 9, 5, 2), (8, 9, 5, 1, 3)])
def test_nifti_that_is_not_3d(shape: tuple[int, ...], tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros(shape, np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "ct.nii")
    with pytest.raises(InputError, match=r"one 3D image .* got a size of 8x9"):
        read_image_file(tmp_path / "ct.nii")


@pytest.mark.parametrize("shape", [(9, 8), (2, 5, 9, 8)])
def test_itk_that_is_not_3d(shape: tuple[int, ...], tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros(shape, np.int16), isVector=False)
    SimpleITK.WriteImage(image, str(tmp_path / "ct.mha"))
    with pytest.raises(InputError, match=r"one 3D image .* got a size of 8x9"):
        read_image_file(tmp_path / "ct.mha")


def test_colour_is_refused(tmp_path: Path) -> None:
    rgb = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "ct.nii")
    vectors = SimpleITK.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(vectors, str(tmp_path / "ct.mha"))
    for name in ("ct.nii", "ct.mha"):
        with pytest.raises(InputError, match="one number per voxel"):
            read_image_file(tmp_path / name)


def _nifti_with_sform(path: Path, rows: list[list[float]], code: int = 1) -> Path:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4))
    nibabel.save(image, path)
    header = bytearray(path.read_bytes())
    header[252:256] = np.array([0, code], "<i2").tobytes()  # qform_code, sform_code
    header[280:328] = np.array(rows, "<f4").tobytes()
    path.write_bytes(header)
    return path


def test_singular_affine(tmp_path: Path) -> None:
    path = _nifti_with_sform(tmp_path / "ct.nii", [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    with pytest.raises(InputError, match=r"ct\.nii .*span three dimensions.*determinant 0"):
        read_image_file(path)


def test_nan_affine(tmp_path: Path) -> None:
    nan = float("nan")
    path = _nifti_with_sform(tmp_path / "ct.nii", [[1, 0, 0, nan], [0, 1, 0, 0], [0, 0, 1, 0]])
    with pytest.raises(InputError, match=r"ct\.nii must have a finite affine"):
        read_image_file(path)


def test_nifti_without_orientation(tmp_path: Path) -> None:
    path = _nifti_with_sform(tmp_path / "ct.nii", [[0] * 4] * 3, code=0)
    with pytest.raises(InputError, match="sform_code and qform_code are both 0"):
        read_image_file(path)


def test_singular_direction_in_metaimage(tmp_path: Path) -> None:
    (tmp_path / "ct.mha").write_bytes(
        b"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\n"
        b"TransformMatrix = 1 0 0 1 0 0 0 0 1\nElementDataFile = LOCAL\n" + bytes(16)
    )
    with pytest.raises(InputError, match=r"ct\.mha"):
        read_image_file(tmp_path / "ct.mha")
