from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.image_files import read_image_file
from wsreg.volumes.nifti import nifti_extensions

VOXELS = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
RAS = np.diag([2.0, 3.0, 4.0, 1.0])


def _save(
    path: Path,
    sform: tuple[NDArray[np.float64], int] | None,
    qform: tuple[NDArray[np.float64], int] | None,
    kind: type = nibabel.Nifti1Image,
) -> Path:
    image = kind(VOXELS.T, None)
    image.header.set_xyzt_units("mm")
    image.header.set_zooms((2.0, 3.0, 4.0))
    if qform is not None:
        image.set_qform(*qform)
    if sform is not None:
        image.set_sform(*sform)
    nibabel.save(image, path)
    return path


def _moved(mm: tuple[float, float, float], turn_deg: float = 0.0) -> NDArray[np.float64]:
    """Return the affine turned about z at the first voxel, then moved."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    motion = np.array([[c, -s, 0, mm[0]], [s, c, 0, mm[1]], [0, 0, 1, mm[2]], [0, 0, 0, 1.0]])
    return motion @ RAS


def test_a_sform_that_lies_elsewhere_than_the_qform_is_taken_and_told(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", (_moved((0, 3, -4)), 2), (RAS, 1))
    image = read_image_file(path)
    np.testing.assert_allclose((image.ct_from_voxel @ (0, 0, 0, 1))[:3], (0, -3, -4))
    assert image.notes == (
        "The sform (code 2) was taken; the qform (code 1) places the volume up to 5.0 mm and "
        "0.0 degrees from it.",
    )


def test_a_turn_is_told_with_the_distance_at_the_farthest_corner(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", (_moved((0, 0, 0), 10.0), 1), (RAS, 1))
    # the farthest corner from the axis: x to 5.5 * 2 mm, y to 4.5 * 3 mm; 2 r sin(5 deg)
    apart = 2 * np.hypot(11.0, 13.5) * np.sin(np.radians(5))
    assert f"Warning: the sform (code 1) was taken; the qform (code 1) places the volume up to "\
           f"{apart:.1f} mm and 10.0 degrees" in read_image_file(path).notes[0]  # fmt: skip


@pytest.mark.parametrize(
    ("sform", "qform"),
    [
        ((RAS, 2), (RAS, 1)),
        ((_moved((0.05, 0, 0)), 1), (RAS, 1)),
        ((RAS, 1), None),
        (None, (RAS, 1)),
    ],
)
def test_one_placement_or_two_alike_need_no_word(
    tmp_path: Path,
    sform: tuple[NDArray[np.float64], int] | None,
    qform: tuple[NDArray[np.float64], int] | None,
) -> None:
    image = read_image_file(_save(tmp_path / "a.nii.gz", sform, qform))
    assert image.notes == ()
    np.testing.assert_allclose(np.abs(image.ct_from_voxel[:3, :3]), RAS[:3, :3], atol=1e-6)


def test_an_atlas_is_named(tmp_path: Path) -> None:
    notes = read_image_file(_save(tmp_path / "a.nii", (RAS, 4), None)).notes
    assert "code 4) gives coordinates of MNI152, not of the scanner" in notes[0]


def test_a_sform_of_zeros_leaves_the_qform(tmp_path: Path) -> None:
    image = read_image_file(_save(tmp_path / "a.nii", (np.zeros((4, 4)), 1), (RAS, 1)))
    np.testing.assert_allclose(image.ct_from_voxel[:3, :3], np.diag([-2.0, -3.0, 4.0]))
    assert image.notes == (
        "The sform of the NIfTI header is no affine of three axes and was ignored.",
    )


def test_a_quaternion_longer_than_one_leaves_the_sform(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", (RAS, 1), (RAS, 1))
    raw = bytearray(path.read_bytes())
    raw[256:260] = np.float32(7).tobytes()  # quatern_b
    path.write_bytes(raw)
    image = read_image_file(path)
    np.testing.assert_allclose(image.ct_from_voxel[:3, :3], np.diag([-2.0, -3.0, 4.0]))
    assert image.notes == (
        "The qform of the NIfTI header is no affine of three axes and was ignored.",
    )


@pytest.mark.parametrize(
    ("code", "to_mm", "note"),
    [(1, 1000.0, ""), (2, 1.0, ""), (3, 0.001, ""), (10, 1.0, ""), (0, 1.0, "no unit of length"),
     (7, 1.0, "unknown unit code 7"), (13, 1.0, "unknown unit code 5")],
)  # fmt: skip
def test_units(tmp_path: Path, code: int, to_mm: float, note: str) -> None:
    image = nibabel.Nifti1Image(VOXELS.T, RAS)
    image.header["xyzt_units"] = code
    nibabel.save(image, tmp_path / "a.nii")
    read = read_image_file(tmp_path / "a.nii")
    np.testing.assert_allclose(np.diag(read.ct_from_voxel)[:3], np.array([-2, -3, 4]) * to_mm)
    assert note in "".join(read.notes)
    assert bool(note) == bool(read.notes)


def test_nifti_2_and_pairs_of_header_and_image(tmp_path: Path) -> None:
    _save(tmp_path / "two.nii.gz", (RAS, 1), None, nibabel.Nifti2Image)
    _save(tmp_path / "pair.hdr", (RAS, 1), None, nibabel.Nifti1Pair)
    for name in ("two.nii.gz", "pair.hdr", "pair.img"):
        image = read_image_file(tmp_path / name)
        np.testing.assert_array_equal(image.voxels, VOXELS)
        np.testing.assert_allclose(image.ct_from_voxel, np.diag([-2.0, -3.0, 4.0, 1.0]))


def test_analyze_places_nothing(tmp_path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(VOXELS.T, RAS), tmp_path / "a.hdr")
    with pytest.raises(InputError, match=r"a\.hdr does not tell how its voxels lie in the patient"):
        read_image_file(tmp_path / "a.hdr")


def test_a_folder_is_no_missing_file(tmp_path: Path, write_nifti: Callable[..., Path]) -> None:
    (tmp_path / "a.nii.gz").mkdir()
    with pytest.raises(InputError, match=r"a\.nii\.gz must be an image file, it is a folder"):
        read_image_file(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("place", "raw"),
    [
        (40, np.int16(-3)),  # the number of dimensions
        (42, np.int16(-6)),  # a size
        (46, np.int16(32767)),
        (70, np.int16(999)),  # the type of the numbers
        (70, np.int16(32)),  # complex
        (108, np.float32(np.nan)),  # where the voxels begin
        (112, np.float32(np.inf)),  # the slope
        (116, np.float32(np.nan)),  # the intercept
        (252, np.int16(-1)),  # the codes of the forms
        (280, np.float32(np.nan)),  # the sform
        (344, np.int32(7)),  # the magic
    ],
)
def test_a_header_that_makes_no_sense_is_read_or_refused_in_a_sentence(
    tmp_path: Path, place: int, raw: np.generic
) -> None:
    path = _save(tmp_path / "a.nii", (RAS, 1), (RAS, 1))
    data = bytearray(path.read_bytes())
    data[place : place + raw.nbytes] = raw.tobytes()
    path.write_bytes(data)
    said = ""
    try:
        image = read_image_file(path)
    except InputError as error:
        said = str(error)
    if said:
        assert "a.nii" in said
    else:
        np.testing.assert_array_equal(image.voxels, VOXELS)
        np.testing.assert_allclose(image.ct_from_voxel, np.diag([-2.0, -3.0, 4.0, 1.0]))


@pytest.mark.parametrize(
    ("pixdim", "said"),
    [((2.0, 3.0, 4.0), ""), ((2.0, 3.01, 4.0), ""),
     ((2.5, 3.0, 4.0), "The sform was taken, with voxels of 2 x 3 x 4 mm; the NIfTI header's pixdim"
      " says 2.5 x 3 x 4 mm, which makes the volume up to 3.0 mm longer or shorter."),
     ((2.0, 3.0, 1.0), "Warning: the sform was taken, with voxels of 2 x 3 x 4 mm; the NIfTI "
      "header's pixdim says 2 x 3 x 1 mm, which makes the volume up to 12.0 mm")],
)  # fmt: skip
def test_another_voxel_size_in_the_header_is_told(
    tmp_path: Path, pixdim: tuple[float, float, float], said: str
) -> None:
    path = _save(tmp_path / "a.nii", (RAS, 1), None)
    raw = bytearray(path.read_bytes())
    raw[80:92] = np.array(pixdim, np.float32).tobytes()
    path.write_bytes(raw)
    image = read_image_file(path)
    np.testing.assert_allclose(np.diag(image.ct_from_voxel)[:3], (-2, -3, 4))
    assert bool(image.notes) == bool(said)
    assert said in "".join(image.notes)


@pytest.mark.parametrize("code", [0, 4, 6, 30])
def test_header_extensions_of_any_code_are_bytes(tmp_path: Path, code: int) -> None:
    from nibabel.nifti1 import Nifti1Extension

    image = nibabel.Nifti1Image(VOXELS.T, RAS)
    image.header.extensions.append(Nifti1Extension(code, b"<a/>\xff\xfe"))
    nibabel.save(image, tmp_path / "a.nii")
    assert [content.rstrip(b"\0") for content in nifti_extensions(tmp_path / "a.nii")] == [
        b"<a/>\xff\xfe"
    ]


def test_a_name_that_says_the_opposite_of_the_packing(tmp_path: Path) -> None:
    packed = _save(tmp_path / "a.nii.gz", (RAS, 1), None)
    plain = _save(tmp_path / "b.nii", (RAS, 1), None)
    packed.rename(tmp_path / "c.nii")
    plain.rename(tmp_path / "d.nii.gz")
    with pytest.raises(InputError, match=r"c\.nii is not .*compressed, name it \.nii\.gz"):
        read_image_file(tmp_path / "c.nii")
    with pytest.raises(InputError, match=r"d\.nii\.gz is not .*content is not compressed"):
        read_image_file(tmp_path / "d.nii.gz")


def test_a_cut_file_is_told_on_one_line(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", (RAS, 1), None)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="not a readable NIfTI file") as caught:
        read_image_file(path)
    assert "\n" not in str(caught.value)
