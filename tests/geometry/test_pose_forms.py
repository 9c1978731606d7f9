"""One pose in every form that is read, and what is refused because it is open."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.conventions import deepfluoro_from_camera_from_ct
from wsreg.geometry.diffdrr import diffdrr_from_camera_from_centred_ct
from wsreg.geometry.pose_file import read_pose, read_pose_with_notes
from wsreg.geometry.rigid import exp_so3, inverse_rigid, rigid
from wsreg.vocabulary import PoseConvention

# A quarter turn about x: (x, y, z) -> (x, -z, y); as a quaternion sin and cos of 45 degrees.
QUARTER = [[1, 0, 0, 4], [0, 0, -1, -5], [0, 1, 0, 700], [0, 0, 0, 1]]
HALF = math.sqrt(0.5)
POSE = torch.tensor(QUARTER, dtype=torch.float64)
ROTATION = [row[:3] for row in QUARTER[:3]]


def write(folder: Path, content: Any, name: str = "pose.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def assert_reads(path: Path, **how: Any) -> tuple[str, ...]:
    reading = read_pose_with_notes(path, **how)
    torch.testing.assert_close(reading.camera_from_ct, POSE, rtol=0, atol=1e-12)
    assert not reading.centred
    return reading.notes


TEXTS = {
    "blanks.txt": "1 0 0 4\n0 0 -1 -5\n0 1 0 700\n0 0 0 1\n",
    "commas.csv": "# camera_from_ct\n1,0,0,4\n0,0,-1,-5\n0,1,0,700\n",
    "brackets.txt": "[[1, 0, 0, 4],\n [0, 0, -1, -5],\n [0, 1, 0, 700]]\n",
    "one-line.txt": "1 0 0 4 0 0 -1 -5 0 1 0 700 0 0 0 1\n",
    "list.json": json.dumps(QUARTER),
    "three-rows.json": json.dumps(QUARTER[:3]),
    "named.json": json.dumps({"matrix": QUARTER, "units": "mm", "frame": "LPS"}),
    "opencv.json": json.dumps({"R": ROTATION, "t": [4, -5, 700], "K": [[1, 0, 0]]}),
    "rvec.json": json.dumps({"rvec": [math.pi / 2, 0, 0], "tvec": [[4], [-5], [700]]}),
    "xyzw.json": json.dumps({"quaternion_xyzw": [HALF, 0, 0, HALF],
                             "translation_mm": [4, -5, 700]}),
    "wxyz.json": json.dumps({"quaternion_wxyz": [-HALF, -HALF, 0, 0],
                             "translation_mm": [4, -5, 700]}),
    "opencv.yml": (
        "%YAML:1.0\n---\nR: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n"
        "   data: [ 1., 0., 0., 0., 0.,\n       -1., 0., 1., 0. ]\n"
        "t: !!opencv-matrix\n   rows: 3\n   cols: 1\n   dt: d\n   data: [ 4., -5., 7.e+02 ]\n"
    ),
    "opencv.xml": (
        '<?xml version="1.0"?><opencv_storage><rvec type_id="opencv-matrix"><rows>1</rows>'
        f"<cols>3</cols><dt>d</dt><data>{math.pi / 2} 0. 0.</data></rvec>"
        "<tvec>4 -5 700</tvec></opencv_storage>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_each_form_is_the_same_pose_and_says_how_it_is_taken(tmp_path: Path, name: str) -> None:
    notes = assert_reads(write(tmp_path, TEXTS[name], name))
    assert any("is taken for camera_from_ct (LPS mm -> camera mm)" in note for note in notes)
    assert assert_reads(tmp_path / name, convention="camera_from_ct") == ()


@pytest.mark.parametrize("array", [POSE.numpy(), POSE.numpy()[:3], POSE.numpy()[None]])
def test_arrays_are_read(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "pose.npy", array)
    assert_reads(tmp_path / "pose.npy")


def test_the_inverse_is_read_where_it_is_said(tmp_path: Path) -> None:
    inverse = inverse_rigid(POSE).tolist()
    assert_reads(write(tmp_path, inverse), convention="ct_from_camera")
    named = write(tmp_path, {"matrix": inverse, "convention": "ct_from_camera"}, "named.json")
    assert assert_reads(named) == ()
    with pytest.raises(InputError, match="is ct_from_camera, it cannot be read as camera_from_ct"):
        read_pose(named, convention="camera_from_ct")


def test_a_result_is_the_pose_of_its_first_body(tmp_path: Path) -> None:
    fields = {"schema_version": "2", "verdict": {}, "camera_from_ct": QUARTER, "frame": "LPS",
              "units": "mm", "bodies": {}}  # fmt: skip
    assert assert_reads(write(tmp_path, fields, "result.json")) == ()
    assert assert_reads(tmp_path) == ()
    with pytest.raises(InputError, match=r"result\.json lacks camera_from_ct, frame"):
        read_pose(write(tmp_path, {"schema_version": "2", "units": "mm"}, "result.json"))


def euler() -> Any:
    transform = SimpleITK.Euler3DTransform()
    transform.SetCenter((10.0, -20.0, 30.0))  # moves the offset, not the map
    transform.SetRotation(math.pi / 2, 0.0, 0.0)
    shift = np.array([4.0, -5.0, 700.0]) - transform.TransformPoint((0.0, 0.0, 0.0))
    transform.SetTranslation(shift.tolist())
    return transform


def versor() -> Any:
    transform = SimpleITK.VersorRigid3DTransform()
    transform.SetRotation((1.0, 0.0, 0.0), math.pi / 2)
    transform.SetTranslation((4.0, -5.0, 700.0))
    return transform


def affine() -> Any:
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix([number for row in ROTATION for number in row])
    transform.SetTranslation((4.0, -5.0, 700.0))
    return transform


def composite() -> Any:
    return SimpleITK.CompositeTransform([versor()])


@pytest.mark.parametrize("ending", ["tfm", "txt", "h5"])
@pytest.mark.parametrize("make", [euler, versor, affine, composite])
def test_rigid_transforms_of_itk_are_read(tmp_path: Path, make: Any, ending: str) -> None:
    path = tmp_path / f"pose.{ending}"
    SimpleITK.WriteTransform(make(), str(path))
    notes = assert_reads(path)
    assert "its TransformPoint is taken for camera_from_ct" in notes[0]


def test_transforms_that_are_no_one_rigid_motion_are_refused(tmp_path: Path) -> None:
    similarity = SimpleITK.Similarity3DTransform()
    similarity.SetScale(10.0)
    several = SimpleITK.CompositeTransform([versor(), euler()])
    cases = {
        "it scales by 10": similarity,
        "got a composite of 2": several,
        "rigid transform of 3D points": SimpleITK.Euler2DTransform(),
        "got BSplineTransform": SimpleITK.BSplineTransformInitializer(
            SimpleITK.Image(8, 8, 8, SimpleITK.sitkUInt8), [3, 3, 3]
        ),
    }
    for said, transform in cases.items():
        SimpleITK.WriteTransform(transform, str(tmp_path / "pose.tfm"))
        with pytest.raises(InputError, match=said):
            read_pose(tmp_path / "pose.tfm")
    with pytest.raises(InputError, match="must be an ITK transform file"):
        read_pose(write(tmp_path, "no transform", "bad.tfm"))


CENTRE = torch.tensor([12.0, -30.0, 55.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "orientation", "reverse"),
    [
        ("diffdrr-ap", "AP", False), ("diffdrr-ap-reversed-x", "AP", True),
        ("diffdrr-pa", "PA", False), ("diffdrr-pa-reversed-x", "PA", True),
    ],
)  # fmt: skip
def test_diffdrr_is_read_by_its_name_and_the_centre_of_the_ct(
    tmp_path: Path, name: PoseConvention, orientation: str, reverse: bool
) -> None:
    centred = POSE @ rigid(torch.eye(3, dtype=torch.float64), CENTRE)
    matrix = diffdrr_from_camera_from_centred_ct(
        centred, orientation=orientation, reverse_x_axis=reverse
    )
    fields = {"convention": "diffdrr", "matrix": matrix[None].tolist(),
              "orientation": orientation, "reverse_x_axis": reverse}  # fmt: skip
    by_file = write(tmp_path, fields)
    bare = write(tmp_path, matrix.tolist(), "bare.json")
    for path, how in ((by_file, None), (bare, name)):
        found = read_pose(path, convention=how, ct_centre_mm=CENTRE)
        torch.testing.assert_close(found, POSE, rtol=0, atol=1e-9)
        notes = read_pose_with_notes(path, convention=how).notes
        assert any("--mirror" in note for note in notes) == ((orientation == "PA") == reverse)
    with pytest.raises(InputError, match="give ct_centre_mm"):
        read_pose(by_file)


@pytest.mark.parametrize("upside_down", [False, True])
def test_deepfluoro_is_read_with_its_extrinsic(tmp_path: Path, upside_down: bool) -> None:
    extrinsic = rigid(
        exp_so3(torch.tensor([0.1, -3.0, 0.3], dtype=torch.float64)),
        torch.tensor([-4.0, -2.7, -632.0], dtype=torch.float64),
    )
    cam_to_vol = deepfluoro_from_camera_from_ct(POSE, extrinsic, rot_180_for_up=upside_down)
    fields = {"convention": "deepfluoro", "extrinsic": extrinsic.tolist(),
              "cam_to_vol": cam_to_vol.tolist(), "rot_180_for_up": upside_down}  # fmt: skip
    reading = read_pose_with_notes(write(tmp_path, fields))
    torch.testing.assert_close(reading.camera_from_ct, POSE, rtol=0, atol=1e-9)
    assert ("rows" if upside_down else "columns") in reading.notes[0]
    with pytest.raises(InputError, match="must hold extrinsic, cam_to_vol and rot_180_for_up"):
        read_pose(write(tmp_path, QUARTER), convention="deepfluoro")


SHIFT = {"translation_mm": [4, -5, 700]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"quaternion": [0, 0, 0, 1], **SHIFT}, "quaternion_xyzw .*or quaternion_wxyz"),
        ({"q": [0, 0, 0, 1], **SHIFT}, "q must name the order of its numbers"),
        ({"quaternion_xyzw": [0, 0, 0, 1]}, "lacks translation_mm"),
        ({"quaternion_xyzw": [0, 0, 0, 2], **SHIFT}, "must have the length 1, got 2"),
        ({"quaternion_xyzw": [0, 0, 0, 1], "quaternion_wxyz": [1, 0, 0, 0], **SHIFT}, "one quat"),
        ({"R": ROTATION}, "one rotation .* and one translation"),
        ({"R": ROTATION, "rvec": [0, 0, 0], "t": [1, 2, 3]}, "one rotation"),
        ({"R": ROTATION, "rotation": ROTATION, "t": [1, 2, 3]}, "R once, got it under two names"),
        ({"R": ROTATION, "t": [1, 2, 3], "euler": 1}, "unknown fields euler"),
        ({"R": ROTATION, "t": [1, 2, 3], "units": "m"}, "units must be 'mm', got 'm'"),
        ({"matrix": QUARTER, "frame": "RAS"}, "frame must be 'LPS', got 'RAS'"),
        ({"matrix": QUARTER, "convention": "slicer"}, "convention must be one of"),
        ({"convention": "diffdrr", "matrix": QUARTER}, "lacks orientation, reverse_x_axis"),
        ({"convention": "deepfluoro", "matrix": QUARTER}, "lacks extrinsic, cam_to_vol"),
        ([[1, 0], [0, 1]], "3x4 or 4x4 matrix"),
        (3, "JSON object or a matrix"),
    ],
)
def test_what_is_open_or_wrong_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_pose(write(tmp_path, content))
    assert "pose.json" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "1 0 0\n0 1 0 0\n", "got rows of"),
        ("a.txt", "1 0 0 4 0 0 -1 -5 0 1 0 700\n", "3x4 or 4x4 matrix"),
        ("a.csv", "x,y,z\n1,2,3\n", "numbers only, got the line 'x,y,z'"),
        ("a.txt", "", "got rows of"),
        ("a.npy", "text", "must be a .npy file of numbers"),
        ("a.yml", "- 1\n", "OpenCV's YAML, got the line '- 1'"),
        ("a.yml", "R: !!opencv-matrix\n   rows: 3\n   cols: 3\n   data: [1, 2]\n", "3 x 3 numbers"),
        ("a.xml", "<a>", "valid XML"),
        ("a.xml", "<a></a>", "must hold <opencv_storage>, got <a>"),
        ("a.pt", "text", "must be a pose ending in"),
    ],
)
def test_files_that_are_no_pose_are_one_sentence(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_pose(write(tmp_path, text, name))
    assert name in str(raised.value)


@pytest.mark.parametrize("name", ["a.json", "a.tfm", "a.txt", "a.npy", "a.yml", "a.pt"])
def test_an_absent_file_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_pose(tmp_path / name)


def test_a_folder_without_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it has none"):
        read_pose(tmp_path)


def test_small_errors_are_said(tmp_path: Path) -> None:
    rounded: Tensor = rigid(
        exp_so3(torch.tensor([0.4, 0.5, -0.6], dtype=torch.float64)), POSE[:3, 3]
    )
    rounded = (rounded * 1e3).round() / 1e3
    path = write(tmp_path, {"camera_from_ct": rounded.tolist(), "frame": "LPS", "units": "mm"})
    (note,) = read_pose_with_notes(path).notes
    assert note.startswith("The rotation of pose.json: camera_from_ct was orthonormal to ")


@pytest.mark.parametrize("ending", ["json", "yml"])
def test_a_rotation_vector_in_degrees_is_refused(tmp_path: Path, ending: str) -> None:
    """A turn of 20 degrees about y would be taken for 20 rad, a turn by 66 degrees."""
    path = tmp_path / f"pose.{ending}"
    if ending == "json":
        path.write_text(json.dumps({"rvec": [0.0, 20.0, 0.0], "tvec": [1, 2, 700]}))
    else:
        path.write_text("%YAML:1.0\n---\nrvec: [0., 20., 0.]\ntvec: [1., 2., 700.]\n")
    with pytest.raises(InputError, match=rf"pose\.{ending}: rvec must be in radians .* degrees\?"):
        read_pose(path)


def test_a_rotation_vector_between_half_a_turn_and_a_whole_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "pose.json"
    for length, noted in ((3.1, False), (math.pi, False), (3.5, True), (6.2, True)):
        path.write_text(json.dumps({"rvec": [length, 0.0, 0.0], "tvec": [1, 2, 700]}))
        found = read_pose_with_notes(path)
        assert any("taken for radians" in note for note in found.notes) == noted
        assert float(found.camera_from_ct[1, 1]) == pytest.approx(math.cos(length), abs=1e-12)


def test_opencvs_json_is_read_as_its_yaml_is(tmp_path: Path) -> None:
    turn = {"type_id": "opencv-matrix", "rows": 3, "cols": 3, "dt": "d",
            "data": [number for row in ROTATION for number in row]}  # fmt: skip
    shift = {"type_id": "opencv-matrix", "rows": 3, "cols": 1, "dt": "d", "data": [4, -5, 700.0]}
    content = {"calibration_time": "noon", "board_width": 9, "R": turn, "T": shift}
    path = write(tmp_path, json.dumps(content))
    torch.testing.assert_close(read_pose(path), POSE, rtol=0, atol=1e-12)
    for data, said in (([1, 2], "3 x 1 numbers as data"), ("$base64$ZA==", "a list of numbers")):
        path = write(tmp_path, json.dumps({"R": turn, "t": {**shift, "data": data}}))
        with pytest.raises(InputError, match=said):
            read_pose(path)


@pytest.mark.parametrize("name", ["t.json", "t.txt", "t.npy", "line.txt"])
def test_a_transposed_matrix_is_named(tmp_path: Path, name: str) -> None:
    path, transposed = tmp_path / name, POSE.T.numpy()
    if name.endswith(".json"):
        path.write_text(json.dumps({"camera_from_ct": transposed.tolist(), "frame": "LPS",
                                    "units": "mm"}))  # fmt: skip
    elif name.endswith(".npy"):
        np.save(path, transposed)
    else:
        np.savetxt(path, transposed.reshape((1, 16) if name == "line.txt" else (4, 4)))
    with pytest.raises(InputError, match=r"last row 0 0 0 1, got \[4.*700.*; is it transposed\?"):
        read_pose(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.h5", b"x" * 300, r"in HDF5: Unable to [\w ]+\(.*\)$"),
        (
            "b.hdf5",
            b"\x89HDF\r\n\x1a\n" + b"x" * 90,
            r"must be an ITK transform in HDF5: Unable to [\w ]+\(.*\)$",
        ),
        ("c.mat", b"x" * 300, r"got no transform in its \.mat content$"),
        ("d.tfm", b"#Insight Transform File V1.0\nhello", "got none: Tags must be delimited by :$"),
    ],
)
def test_files_that_itk_cannot_read_are_one_short_sentence(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_pose(tmp_path / name)
