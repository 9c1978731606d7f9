from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from wsreg.errors import InputError
from wsreg.volumes.image_files import read_image_file

VOXELS = np.arange(24, dtype="<i2").reshape(2, 3, 4)
PLACED = "space directions: (0,2,0) (-1,0,0.5) (0,0,3)\nspace origin: (10,20,30)\n"


def _nrrd(path: Path, fields: str, encoding: str = "raw", sizes: str = "4 3 2") -> Path:
    data = VOXELS.tobytes()
    header = (
        f"NRRD0005\n# a comment: of no account\ntype: int16\ndimension: {len(sizes.split())}\n"
        f"sizes: {sizes}\nendian: little\nencoding: {encoding}\n{fields}\n"
    )
    path.write_bytes(header.encode() + (gzip.compress(data) if encoding == "gzip" else data))
    return path


def _metaimage(path: Path, fields: str) -> Path:
    header = f"ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\n{fields}"
    path.write_bytes(f"{header}ElementDataFile = LOCAL\n".encode() + VOXELS.tobytes())
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("ras", (-1, -1, 1)),
    ],
)
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_nrrd_of_each_space_lies_where_it_says(
    tmp_path: Path, space: str, signs: tuple[int, int, int], encoding: str
) -> None:
    path = _nrrd(tmp_path / "a.nrrd", f"space: {space}\n{PLACED}", encoding)
    image = read_image_file(path)
    np.testing.assert_array_equal(image.voxels, VOXELS)
    itk = SimpleITK.ReadImage(str(path))
    for x, y, z in np.ndindex(4, 3, 2):
        by_hand = np.array([10 - y, 20 + 2 * x, 30 + 0.5 * y + 3 * z]) * signs
        point = (image.ct_from_voxel @ (x, y, z, 1))[:3]
        np.testing.assert_allclose(point, by_hand, atol=1e-9)
        np.testing.assert_allclose(
            itk.TransformIndexToPhysicalPoint((x, y, z)), by_hand, atol=1e-6
        )  # ITK agrees
        assert image.voxels[z, y, x] == itk[x, y, z]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("", "lacks space, space directions, space origin"),
        ("spacings: 1 2 3\n", "lacks space, space directions, space origin"),
        ("spacings: 1 2 3\nspace: LPS\n", "lacks space directions, space origin"),
        (f"space dimension: 3\n{PLACED}", "lacks space"),
        ("space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n", "lacks space origin"),
        (f"space: 3D-right-handed\n{PLACED}", "space must be one of .* got 3D-right-handed"),
        (f"space: scanner-xyz\n{PLACED}", "space must be one of .* got scanner-xyz"),
    ],
)
def test_nrrd_that_does_not_place_its_voxels(tmp_path: Path, fields: str, message: str) -> None:
    path = _nrrd(tmp_path / "a.nrrd", fields)
    with pytest.raises(
        InputError, match=rf"a\.nrrd does not tell how its voxels lie in the patient: .*{message}"
    ):
        read_image_file(path)


def test_nrrd_units(tmp_path: Path) -> None:
    fields = f"space: LPS\n{PLACED}"
    image = read_image_file(_nrrd(tmp_path / "a.nrrd", f'{fields}space units: "cm" "cm" "cm"\n'))
    np.testing.assert_allclose(image.ct_from_voxel[:3, 3], (100, 200, 300))
    np.testing.assert_allclose(image.ct_from_voxel[:3, 1], (-10, 0, 5))
    assert image.notes == ()
    image = read_image_file(_nrrd(tmp_path / "a.nrrd", f'{fields}space units: "ell" "mm" "mm"\n'))
    np.testing.assert_allclose(image.ct_from_voxel[:3, 3], (10, 20, 30))
    assert "millimetres were assumed" in image.notes[0]
    with pytest.raises(InputError, match="must have one space unit"):
        read_image_file(_nrrd(tmp_path / "a.nrrd", f'{fields}space units: "mm" "mm" "m"\n'))


def test_nrrd_axes_that_are_not_of_space(tmp_path: Path) -> None:
    four = "space: LPS\nspace directions: none (1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)\n"
    kinds = "kinds: list domain domain domain\n"
    path = _nrrd(tmp_path / "a.nrrd", four + kinds, sizes="2 3 2 2")
    with pytest.raises(InputError, match="one number per voxel, got 2"):
        read_image_file(path)
    path = _nrrd(tmp_path / "a.nrrd", four + kinds, sizes="1 4 3 2")
    np.testing.assert_array_equal(read_image_file(path).voxels, VOXELS)
    np.testing.assert_allclose(read_image_file(path).ct_from_voxel[:3, 3], (1, 2, 3))


def test_nrrd_whose_voxels_are_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "a.nhdr"
    _nrrd(path, f"space: LPS\n{PLACED}data file: a.raw\n")
    with pytest.raises(InputError, match=r"a\.nhdr is not a readable image: .*a\.raw"):
        read_image_file(path)
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
    np.testing.assert_array_equal(read_image_file(path).voxels, VOXELS)


SPACING, OFFSET, MATRIX = (
    "ElementSpacing = 1 2 3\n", "Offset = 10 20 30\n", "TransformMatrix = 0 1 0 -1 0 0 0 0 1\n"
)  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        SPACING + OFFSET + MATRIX,
        "ElementSize = 1 2 3\nPosition = 10 20 30\nOrientation = 0 1 0 -1 0 0 0 0 1\n",
        "ElementSpacing = 1 2 3\nOrigin = 10 20 30\nRotation = 0 1 0 -1 0 0 0 0 1\n",
    ],
)
def test_metaimage_with_each_name_of_its_fields(tmp_path: Path, fields: str) -> None:
    image = read_image_file(_metaimage(tmp_path / "a.mha", fields))
    np.testing.assert_array_equal(image.voxels, VOXELS)
    # the matrix holds the directions of the axes one by one: x runs to P, y to R
    np.testing.assert_allclose((image.ct_from_voxel @ (1, 1, 1, 1))[:3], (10 - 2, 20 + 1, 30 + 3))


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ("", "ElementSpacing, Offset, TransformMatrix"),
        (SPACING, "Offset, TransformMatrix"),
        (SPACING + OFFSET, "TransformMatrix"),
        (SPACING + OFFSET + "AnatomicalOrientation = RAI\n", "TransformMatrix"),
        (OFFSET + MATRIX, "ElementSpacing"),
    ],
)
def test_metaimage_that_does_not_place_its_voxels(tmp_path: Path, fields: str, lacks: str) -> None:
    path = _metaimage(tmp_path / "a.mha", fields)
    with pytest.raises(
        InputError, match=rf"a\.mha does not tell how .*: its header lacks {lacks}$"
    ):
        read_image_file(path)


def test_metaimage_units_and_orientation(tmp_path: Path) -> None:
    fields = SPACING + OFFSET + MATRIX
    image = read_image_file(_metaimage(tmp_path / "a.mha", fields + "DistanceUnits = cm\n"))
    np.testing.assert_allclose(image.ct_from_voxel[:3, 3], (100, 200, 300))
    for letters in ("ALI", "PRS", "???"):  # where axes come from, where they go to, nothing
        said = f"AnatomicalOrientation = {letters}\n"
        assert read_image_file(_metaimage(tmp_path / "a.mha", fields + said)).notes == ()
    said = "AnatomicalOrientation = RAI\n"
    (note,) = read_image_file(_metaimage(tmp_path / "a.mha", fields + said)).notes
    assert "RAI contradicts its TransformMatrix, by which the axes run to P, R, S" in note


def test_metaimage_without_its_voxels(tmp_path: Path) -> None:
    (tmp_path / "a.mhd").write_text("ObjectType = Image\nNDims = 3\nElementDataFile = gone.raw\n")
    with pytest.raises(InputError, match=r"a\.mhd must have its voxels in gone\.raw beside it"):
        read_image_file(tmp_path / "a.mhd")
