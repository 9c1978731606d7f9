"""What 3D Slicer is given: read back by SimpleITK and by hand, it agrees with the camera."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import SimpleITK
import torch

from wsreg.geometry.camera import Camera
from wsreg.geometry.pose_file import read_pose
from wsreg.geometry.rigid import exp_so3, inverse_rigid, rigid, transform_points
from wsreg.outputs.slicer_scene import scene_files, write_slicer_scene
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.result import RegistrationResult

MakeResult = Callable[..., RegistrationResult]

CAMERA = Camera(
    source_to_detector_mm=900.0, rows=5, columns=7, pixel_spacing_mm=(1.5, 2.0),
    principal_point_px=(2.25, 3.5),
)  # fmt: skip
POSE = rigid(
    exp_so3(torch.tensor([0.4, -1.1, 0.3], dtype=torch.float64)),
    torch.tensor([12.0, -30.0, 610.0], dtype=torch.float64),
)
IMAGE = torch.arange(35.0).reshape(5, 7)
XRAY = Radiograph(image=IMAGE, mask=torch.ones(5, 7, dtype=torch.bool))


@pytest.fixture
def result(make_result: MakeResult) -> RegistrationResult:
    made = make_result(camera_from_ct=POSE)
    view = dataclasses.replace(made.views[0], camera=CAMERA)
    return dataclasses.replace(made, views=(view,))


def test_every_voxel_of_the_plane_is_the_pixel_that_its_ray_meets(
    result: RegistrationResult, tmp_path: Path
) -> None:
    write_slicer_scene(result, tmp_path, [XRAY])
    volume = SimpleITK.ReadImage(str(tmp_path / "xray.nrrd"))
    assert volume.GetSize() == (7, 5, 1)
    source = inverse_rigid(POSE)[:3, 3]
    for row in range(5):
        for column in range(7):
            assert volume[column, row, 0] == 7 * row + column
            place = volume.TransformIndexToPhysicalPoint((column, row, 0))
            place_mm = torch.tensor(place, dtype=torch.float64)
            for along in (0.3, 1.0):
                point = source + along * (place_mm - source)
                seen = transform_points(POSE, point[None])
                assert CAMERA.project(seen)[0].tolist() == pytest.approx((column, row), abs=1e-6)
            assert float(seen[0, 2]) == pytest.approx(900.0)


def test_transforms_do_what_their_names_say(result: RegistrationResult, tmp_path: Path) -> None:
    write_slicer_scene(result, tmp_path, [XRAY])
    point = (10.0, 20.0, -30.0)
    there = SimpleITK.ReadTransform(str(tmp_path / "camera-from-ct.tfm")).TransformPoint(point)
    expected = POSE @ torch.tensor([*point, 1.0], dtype=torch.float64)
    assert there == pytest.approx(expected[:3].tolist())
    back = SimpleITK.ReadTransform(str(tmp_path / "ct-from-camera.tfm")).TransformPoint(there)
    assert back == pytest.approx(point)
    for name in ("camera-from-ct.tfm", "ct-from-camera.tfm"):
        torch.testing.assert_close(read_pose(tmp_path / name), POSE, rtol=0, atol=1e-9)


def test_resampling_by_the_transform_puts_the_ct_into_the_camera_frame(
    result: RegistrationResult, tmp_path: Path
) -> None:
    """ITK takes points of the output to the input: ct-from-camera draws the CT for the camera."""
    write_slicer_scene(result, tmp_path, [XRAY])
    voxels = np.zeros((9, 9, 9), dtype=np.float32)
    voxels[4, 4, 4] = 1.0  # the CT's origin
    ct = SimpleITK.GetImageFromArray(voxels)
    ct.SetOrigin((-16.0, -16.0, -16.0))
    ct.SetSpacing((4.0, 4.0, 4.0))
    grid = SimpleITK.Image(9, 9, 9, SimpleITK.sitkFloat32)
    grid.SetSpacing((4.0, 4.0, 4.0))
    grid.SetOrigin((POSE[:3, 3] - 16.0).tolist())
    back = SimpleITK.ReadTransform(str(tmp_path / "ct-from-camera.tfm"))
    drawn = SimpleITK.GetArrayFromImage(SimpleITK.Resample(ct, grid, back))
    assert np.unravel_index(drawn.argmax(), drawn.shape) == (4, 4, 4)
    assert drawn.max() == pytest.approx(1.0, abs=1e-4)


def test_beam_and_source_lie_where_the_camera_is(
    result: RegistrationResult, tmp_path: Path
) -> None:
    write_slicer_scene(result, tmp_path, [XRAY])
    (markups,) = json.loads((tmp_path / "source.mrk.json").read_text())["markups"]
    assert markups["coordinateSystem"] == "LPS"
    source = torch.tensor(markups["controlPoints"][0]["position"], dtype=torch.float64)
    torch.testing.assert_close(
        transform_points(POSE, source[None])[0], torch.zeros(3).double(), rtol=0, atol=1e-9
    )
    lines = (tmp_path / "c-arm.vtk").read_text().splitlines()
    assert (lines[1], lines[4]) == ("SPACE=LPS", "POINTS 5 double")
    points = torch.tensor([[float(w) for w in line.split()] for line in lines[5:10]]).double()
    seen = transform_points(POSE, points)
    torch.testing.assert_close(points[0], source, rtol=0, atol=1e-3)
    corners = CAMERA.project(seen[1:]).tolist()
    assert corners[0] == pytest.approx((-0.5, -0.5), abs=1e-3)
    assert corners[2] == pytest.approx((6.5, 4.5), abs=1e-3)
    assert lines[10:] == [
        "POLYGONS 5 21", "3 0 1 2", "3 0 2 3", "3 0 3 4", "3 0 4 1", "4 1 2 3 4",
    ]  # fmt: skip


def test_the_scene_names_files_that_are_there(result: RegistrationResult, tmp_path: Path) -> None:
    ct = tmp_path / "a & b.nii.gz"
    ct.write_text("")
    files = write_slicer_scene(result, tmp_path / "out" / "slicer", [XRAY], ct=ct)
    assert sorted(os.listdir(tmp_path / "out" / "slicer")) == sorted(files)
    root = ElementTree.parse(tmp_path / "out" / "slicer" / "scene.mrml").getroot()
    stored = {node.get("id"): node.get("fileName") for node in root if node.get("fileName")}
    ids = {node.get("id") for node in root}
    shown = {}
    for tag in ("Volume", "Model", "MarkupsFiducial"):
        for node in root.findall(tag):
            assert node.get("displayNodeRef") in ids
            shown[node.get("name")] = stored[node.get("storageNodeRef")]
    assert shown == {
        "CT": "../../a%20%26%20b.nii.gz", "X-ray": "xray.nrrd", "C-arm": "c-arm.vtk",
        "source": "source.mrk.json",
    }  # fmt: skip


def test_files_of_an_earlier_scene_go_and_those_of_the_user_stay(
    result: RegistrationResult, two_of_each: RegistrationResult, tmp_path: Path
) -> None:
    xray = Radiograph(image=torch.zeros(48, 64), mask=torch.ones(48, 64, dtype=torch.bool))
    write_slicer_scene(two_of_each, tmp_path, [xray, xray])
    (tmp_path / "mine.nrrd").write_text("")
    files = write_slicer_scene(result, tmp_path, [XRAY])
    assert set(os.listdir(tmp_path)) == {*files, "mine.nrrd"}
    assert scene_files(tmp_path) == set(files)
    assert scene_files(tmp_path / "absent") == set()


def test_the_ct_is_named_as_it_was_given_seen_from_where_the_scene_will_lie(
    result: RegistrationResult, tmp_path: Path
) -> None:
    (tmp_path / "doe-john").mkdir()
    (tmp_path / "doe-john" / "ct.nii").write_text("")
    (tmp_path / "ct.nii").symlink_to(tmp_path / "doe-john" / "ct.nii")
    staging, lies_in = tmp_path / "a" / "b" / "staged", tmp_path / "out" / "slicer"
    write_slicer_scene(result, staging, [XRAY], ct=tmp_path / "ct.nii", lies_in=lies_in)
    scene = (staging / "scene.mrml").read_text()
    assert 'fileName="../../ct.nii"' in scene
    assert "doe" not in scene


def test_every_view_has_files_of_its_own(two_of_each: RegistrationResult, tmp_path: Path) -> None:
    xray = Radiograph(image=torch.zeros(48, 64), mask=torch.ones(48, 64, dtype=torch.bool))
    files = write_slicer_scene(two_of_each, tmp_path, [xray, xray], ct=tmp_path)
    assert {f"xray-{name}.nrrd" for name in ("frontal", "lateral")} < set(files)
    sources = []
    for name in ("frontal", "lateral"):
        pose = read_pose(tmp_path / f"camera-from-ct-{name}.tfm")
        sources.append(inverse_rigid(pose)[:3, 3])
        volume = SimpleITK.ReadImage(str(tmp_path / f"xray-{name}.nrrd"))
        direction = torch.tensor(volume.GetDirection(), dtype=torch.float64).reshape(3, 3)
        torch.testing.assert_close(direction, inverse_rigid(pose)[:3, :3])
    # The second camera stands 100 mm further back along its own axis.
    assert float((sources[0] - sources[1]).norm()) == pytest.approx(100.0)
