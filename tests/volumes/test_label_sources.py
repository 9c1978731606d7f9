"""Label maps with names within, in layers, and as a folder of masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.label_names import names_in_label_table, read_label_names
from wsreg.volumes.labels import read_labels
from wsreg.volumes.reading import read_volume
from wsreg.volumes.totalsegmentator import NUMBERS
from wsreg.volumes.voxel_image import VoxelImage

SHAPE = (8, 10, 12)
AFFINE = np.diag([3.0, 2.0, 4.0, 1.0])


@pytest.fixture
def ct() -> VoxelImage:
    return VoxelImage(np.zeros(SHAPE, np.int16), AFFINE)


def _box(z: slice, y: slice, x: slice) -> NDArray[np.uint8]:
    mask = np.zeros(SHAPE, np.uint8)
    mask[z, y, x] = 1
    return mask


LEFT, RIGHT = (
    _box(slice(1, 5), slice(2, 6), slice(1, 4)),
    _box(slice(1, 5), slice(2, 6), slice(6, 9)),
)


def _table(*labels: tuple[object, str]) -> bytes:
    rows = "".join(f'<Label Key="{key}" Red="1"><![CDATA[{name}]]></Label>' for key, name in labels)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<A><LabelTable>{rows}</LabelTable></A>'.encode()
    )


def test_names_in_a_nifti_header(ct: VoxelImage, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image((LEFT + 2 * RIGHT).T, np.diag([-3.0, -2.0, 4.0, 1.0]))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"made by hand"))
    table = _table((0, "background"), (1, "rib_left_3"), (2, "rib_right_3"))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, table))
    nibabel.save(image, tmp_path / "a.nii.gz")
    found = read_labels(tmp_path / "a.nii.gz", ct)
    assert found.names == {1: "rib_left_3", 2: "rib_right_3"}
    np.testing.assert_array_equal(found.values, LEFT + 2 * RIGHT)


@pytest.mark.parametrize(
    "content", [b"", b"LabelTable", b"<LabelTable><Label", _table(("x", "a"), (-1, "b"), (3, ""))]
)
def test_tables_that_name_nothing(content: bytes) -> None:
    assert names_in_label_table(content) == {}


def test_names_beside_a_label_map_win(
    write_nifti: Callable[..., Path], tmp_path: Path, patient_affine: NDArray[np.float64]
) -> None:
    hu = np.full((4, 4, 4), -1000, np.int16)
    hu[1:3, 1:3, 1:3] = 50
    ct = write_nifti(hu, patient_affine)
    image = nibabel.load(write_nifti((hu > 0).astype(np.uint8), patient_affine, "l.nii"))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, _table((1, "sternum"))))
    nibabel.save(image, tmp_path / "named.nii")
    assert read_volume(ct, tmp_path / "named.nii").label_names == {1: "sternum"}
    assert read_volume(ct, tmp_path / "named.nii", {1: "hip"}).label_names == {1: "hip"}


def _seg_nrrd(
    path: Path, layers: NDArray[np.uint8], segments: str, origin: tuple[int, int, int] = (0, 0, 0)
) -> Path:
    """Write layers [L,D,H,W] with 3 x 2 x 4 mm, as 3D Slicer does."""
    count, depth, height, width = layers.shape
    header = (
        f"NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\n"
        f"sizes: {count} {width} {height} {depth}\nkinds: list domain domain domain\n"
        "space directions: none (3,0,0) (0,2,0) (0,0,4)\nencoding: raw\n"
        f"space origin: ({origin[0]},{origin[1]},{origin[2]})\n{segments}\n"
    )
    path.write_bytes(header.encode() + np.moveaxis(layers, 0, -1).tobytes())
    return path


def _segments(*said: tuple[str, int, int]) -> str:
    return "".join(
        f"Segment{n}_Name:={name}\nSegment{n}_Layer:={layer}\nSegment{n}_LabelValue:={value}\n"
        for n, (name, layer, value) in enumerate(said)
    )


def test_layers_of_a_cropped_segmentation_are_merged(ct: VoxelImage, tmp_path: Path) -> None:
    layers = np.stack([LEFT * 1, RIGHT * 2])[:, 1:7, 2:8, 1:10]
    layers[0, 0, 0, 8] = 3
    segments = _segments(("Left tibia", 0, 1), ("screw", 0, 3), ("Right tibia", 1, 2))
    path = _seg_nrrd(tmp_path / "a.seg.nrrd", layers, segments, (3 * 1, 2 * 2, 4 * 1))
    found = read_labels(path, ct)
    expected = LEFT + 2 * RIGHT
    expected[1, 2, 9] = 3
    np.testing.assert_array_equal(found.values, expected)
    assert found.names == {1: "Left tibia", 3: "screw", 2: "Right tibia"}
    assert found.notes == ()


def test_segments_with_one_number_in_two_layers_are_numbered(
    ct: VoxelImage, tmp_path: Path
) -> None:
    for segments in (_segments(("a", 1, 1), ("b", 0, 1)), "Segment0_Name:=b\nSegment1_Name:=a\n"):
        path = _seg_nrrd(tmp_path / "a.seg.nrrd", np.stack([LEFT, RIGHT]), segments)
        found = read_labels(path, ct)
        by_name = {name: found.values == value for value, name in found.names.items()}
        np.testing.assert_array_equal(by_name["b"], LEFT)
        np.testing.assert_array_equal(by_name["a"], RIGHT)
        assert set(found.names) == {1, 2}
        assert "2 segments of a.seg.nrrd were numbered from 1" in found.notes[0]


def test_segments_that_overlap_or_are_not_there_are_refused(ct: VoxelImage, tmp_path: Path) -> None:
    wide = _box(slice(1, 5), slice(2, 6), slice(3, 9))
    path = _seg_nrrd(
        tmp_path / "a.seg.nrrd", np.stack([LEFT, wide]), _segments(("hip", 0, 1), ("leg", 1, 1))
    )
    with pytest.raises(InputError, match=r"hip and leg share 16 voxels, 33% of the smaller one"):
        read_labels(path, ct)
    _seg_nrrd(path, np.stack([LEFT, RIGHT]), _segments(("hip", 0, 1), ("leg", 2, 1)))
    with pytest.raises(InputError, match="must have a layer 2 for its segment leg, it has 2"):
        read_labels(path, ct)
    _seg_nrrd(path, np.stack([LEFT, RIGHT]), _segments(("hip", 0, 1)).replace("=0", "=zero"))
    with pytest.raises(InputError, match="whole numbers in SegmentN_Layer"):
        read_labels(path, ct)


def test_a_folder_of_masks_has_totalsegmentators_numbers(
    ct: VoxelImage, write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    for name, mask in (("tibia", LEFT * 255), ("hip_left", RIGHT), ("aorta", 0 * LEFT)):
        write_nifti(mask, AFFINE).rename(folder / f"{name}.nii.gz")
    (folder / "statistics.json").write_text("{}")
    (folder / "._hip_left.nii.gz").write_bytes(b"a fork")
    (folder / "deeper").mkdir()
    found = read_labels(folder, ct)
    assert found.names[77] == "hip_left"
    assert found.names[118] == "tibia"
    np.testing.assert_array_equal(found.values, 118 * LEFT + 77 * RIGHT)
    assert (
        "2 are numbered as in TotalSegmentator's label map, the others from 118" in found.notes[0]
    )
    assert found.notes[-1] == "Structures without a voxel were left out: aorta."


def test_other_masks_are_numbered_by_the_alphabet_from_any_grid(
    ct: VoxelImage, write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    write_nifti(LEFT, AFFINE).rename(folder / "ulna.nii.gz")
    cut, fine = AFFINE.copy(), AFFINE @ np.diag([1.0, 0.5, 1.0, 1.0])
    cut[:3, 3] = (3 * 5, 2 * 1, 0)
    write_nifti(RIGHT[:, 1:, 5:], cut).rename(folder / "radius.nii.gz")
    fine[:3, 3] = (0, -0.5, 0)
    other = _box(slice(6, 8), slice(0, 3), slice(0, 3))
    write_nifti(other.repeat(2, axis=1), fine).rename(folder / "carpal.nii.gz")
    found = read_labels(folder, ct)
    assert found.names == {1: "carpal", 2: "radius", 3: "ulna"}
    np.testing.assert_array_equal(found.values, 3 * LEFT + 2 * RIGHT + other)


def test_of_few_common_voxels_the_smaller_structure_has_them(
    ct: VoxelImage, write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    large = _box(slice(0, 8), slice(0, 10), slice(0, 7))  # 560 voxels
    small = _box(slice(0, 5), slice(0, 10), slice(7, 10))  # 150
    small[0, 0, 6] = 1
    folder = tmp_path / "masks"
    folder.mkdir()
    for names in (("a", "b"), ("b", "a")):  # whichever comes first
        for name, mask in zip(names, (large, small), strict=True):
            write_nifti(mask, AFFINE).rename(folder / f"{name}.nii.gz")
        found = read_labels(folder, ct)
        value = {name: value for value, name in found.names.items()}[names[1]]
        np.testing.assert_array_equal(found.values == value, small != 0)
        assert "overlap by a few voxels: a and b (1)" in found.notes[-1]
    small[0, :2, 5:7] = 1
    write_nifti(small, AFFINE).rename(folder / "a.nii.gz")
    with pytest.raises(InputError, match=r"a and b share 4 voxels, 3% of the smaller one"):
        read_labels(folder, ct)


def test_folders_that_are_no_segmentation(
    ct: VoxelImage, write_nifti: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    with pytest.raises(InputError, match=r"masks is a folder, .* it holds no image file"):
        read_labels(folder, ct)
    write_nifti(LEFT + 2 * RIGHT, AFFINE).rename(folder / "all.nii.gz")
    with pytest.raises(InputError, match=r"all\.nii\.gz must be a mask of 0 and one other value"):
        read_labels(folder, ct)
    (folder / "all.nii.gz").unlink()
    elsewhere = AFFINE.copy()
    elsewhere[0, 3] = 500
    write_nifti(LEFT, elsewhere).rename(folder / "hip.nii.gz")
    with pytest.raises(InputError, match=r"only 0% of .*another patient's grid"):
        read_labels(folder, ct)


def test_labels_of_a_slope(ct: VoxelImage, tmp_path: Path) -> None:
    values = LEFT * 3.0 + RIGHT * 90.0
    image = nibabel.Nifti1Image(values.T, np.diag([-3.0, -2.0, 4.0, 1.0]))
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "a.nii")
    slope = nibabel.load(tmp_path / "a.nii").dataobj.slope
    assert slope != 1
    found = read_labels(tmp_path / "a.nii", ct)
    np.testing.assert_array_equal(found.values, values)
    assert f"because of the file's slope of {slope:g} were rounded" in found.notes[-1]
    image.set_data_dtype(np.uint8)  # a slope of 90 / 255: 3 is 3.18
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"fractions up to 0\.18 off \(the file's slope of 0\.35"):
        read_labels(tmp_path / "a.nii", ct)
    np.save(tmp_path / "x.npy", values)


def test_colour_tables_and_label_descriptions(tmp_path: Path) -> None:
    expected = {1: "Left femur", 25: "sacrum"}
    (tmp_path / "slicer.ctbl").write_text(
        "# Color table file\n0 Background 0 0 0 0\n1 Left femur 120 3 7 255\n25 sacrum 1 2 3 255\n"
    )
    (tmp_path / "snap.txt").write_text(
        '# ITK-SnAP Label Description File\n    0     0    0    0        0  0  0    "Clear Label"\n'
        '    1   255    0    0        1  1  1    "Left femur"\n'
        '   25   9 9 9   0.5  1  0  "sacrum"\n'
    )
    for name in ("slicer.ctbl", "snap.txt"):
        found = read_label_names(tmp_path / name)
        assert {value: found[value] for value in found if value} == expected
    for name, text in (("a.csv", "LabelValue,Name,Color_R\n1,Left femur,3\n25,sacrum,4\n"),
                       ("b.csv", "label;name\n1;Left femur\n25;sacrum\n"),
                       ("c.tsv", "index\tname\n1\tLeft femur\n25\tsacrum\n"),
                       ("d.csv", "id,label\n1.0,Left femur\n25.0,sacrum\n")):  # fmt: skip
        (tmp_path / name).write_text(text)
        assert read_label_names(tmp_path / name) == expected


def test_totalsegmentators_numbers_are_those_of_its_class_map() -> None:
    assert len(NUMBERS) == 117
    known = {"spleen": 1, "sacrum": 25, "vertebrae_S1": 26, "vertebrae_L5": 27, "vertebrae_T12": 32,
             "vertebrae_C1": 50, "heart": 51, "humerus_left": 69, "femur_left": 75, "hip_left": 77,
             "hip_right": 78, "spinal_cord": 79, "iliopsoas_right": 89, "skull": 91,
             "rib_left_1": 92, "rib_right_1": 104, "sternum": 116,
             "costal_cartilages": 117}  # fmt: skip
    assert {name: NUMBERS[name] for name in known} == known
