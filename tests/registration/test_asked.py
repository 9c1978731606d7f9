"""What is asked for, put together: cameras, the rig's frame, starts, regions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rig import Rig, RigView
from wsreg.geometry.rigid import exp_so3, inverse_rigid, rigid, transform_points
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.asked import asked_views
from wsreg.registration.asked_start import asked_start
from wsreg.registration.register import register
from wsreg.rendering.prepared import PreparedCt
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

HERE = torch.eye(4, dtype=torch.float64)


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


SIDE = rigid(exp_so3(step(0.0, math.pi / 2, 0.0)), step(-700.0, 0.0, 700.0))
"""A camera a quarter around the point 700 mm in front of the first."""
OTHER_SIDE = rigid(exp_so3(step(0.0, -math.pi / 2, 0.0)), step(700.0, 0.0, 700.0))
"""From the other side."""
FRAME = rigid(exp_so3(step(0.3, -0.2, 0.9)), step(100.0, 20.0, -3000.0))


def detector(distance_mm: float) -> Camera:
    return Camera(
        source_to_detector_mm=distance_mm, rows=28, columns=32, pixel_spacing_mm=(12.0, 12.0)
    )


def xray(camera: Camera | None = None, angles: CArmAngles | None = None) -> Radiograph:
    image = torch.zeros(28, 32)
    mask = torch.ones(28, 32, dtype=torch.bool)
    return Radiograph(image=image, mask=mask, camera=camera, angles=angles, name="ap")


def test_the_rigs_frame_becomes_the_first_camera() -> None:
    camera = detector(1000.0)
    pair = [xray(camera), xray(camera)]
    for frame in (HERE, FRAME):
        first, second = asked_views(pair, [frame, SIDE @ frame], None, None)
        assert torch.equal(first.camera_from_rig, HERE)
        torch.testing.assert_close(second.camera_from_rig, SIDE, atol=1e-9, rtol=0)
    (only,) = asked_views(pair[:1], None, None, None)
    assert torch.equal(only.camera_from_rig, HERE)


def test_a_camera_that_is_given_stands_before_the_rigs_and_that_before_the_xrays() -> None:
    own, rigs, given = (detector(mm) for mm in (1000.0, 1100.0, 1200.0))
    rig = Rig(
        views=(
            RigView(name="one", camera=rigs, camera_from_rig=HERE),
            RigView(name="two", camera_from_rig=SIDE),
        )
    )
    pair = [xray(own), xray(own)]

    def seen(camera: Camera | list[Camera | None] | None) -> list[Camera]:
        return [view.camera for view in asked_views(pair, rig, camera, None)]

    assert seen(None) == [rigs, own]
    assert seen([None, given]) == [rigs, given]
    assert seen([given, None]) == [given, own]
    assert seen(given) == [given, given]


def test_xrays_of_one_name_are_told_apart() -> None:
    camera = detector(1000.0)
    views = asked_views([xray(camera)] * 3, [HERE, SIDE, OTHER_SIDE], None, None)
    assert [view.radiograph.name for view in views] == ["ap", "ap-2", "ap-3"]


def test_regions_belong_to_their_xrays() -> None:
    camera = detector(1000.0)
    target = RoiTarget(names=("a",), masks=torch.ones(1, 28, 32), labels=((1,),))
    pair, rig = [xray(camera), xray(camera)], [HERE, SIDE]
    views = asked_views(pair, rig, None, [None, target])
    assert [view.rois for view in views] == [None, target]
    assert asked_views(pair[:1], None, None, target)[0].rois is target
    with pytest.raises(InputError, match=r"^rois must be one for each X-ray, got 1 for 2 X-rays$"):
        asked_views(pair, rig, None, target)


def test_every_camera_has_the_size_of_its_xray() -> None:
    camera = detector(1000.0)
    with pytest.raises(InputError, match="must match the image, 28 x 32, got 14 x 16"):
        asked_views(
            [xray(camera), xray(camera)], [HERE, SIDE], [None, camera.resized(14, 16)], None
        )


def test_a_search_begins_where_all_views_see_the_middle_of_the_ct(coarse: Volume) -> None:
    """The axes cross 700 mm in front of the first camera."""
    camera = detector(1000.0)
    views = asked_views([xray(camera), xray(camera)], [FRAME, SIDE @ FRAME], None, None)
    start = asked_start(views, PreparedCt(volume=coarse), "search", "LAT")
    assert start.init == "search"
    for view in views:
        centre = transform_points(view.camera_from_rig @ start.pose, coarse.centre_mm[None])[0]
        torch.testing.assert_close(centre, step(0.0, 0.0, 700.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(start.pose[:3, :3], view_pose(coarse, camera, "LAT")[:3, :3])
    (one,) = asked_views([xray(camera)], None, None, None)
    alone = asked_start([one], PreparedCt(volume=coarse), "search", "LAT")
    torch.testing.assert_close(alone.pose, view_pose(coarse, camera, "LAT"))


def test_the_angles_are_those_of_the_first_xray(coarse: Volume) -> None:
    camera = detector(1000.0)
    angles = CArmAngles(primary_rad=0.4, secondary_rad=-0.1)
    views = asked_views([xray(camera, angles), xray(camera)], [HERE, SIDE], None, None)
    start = asked_start(views, PreparedCt(volume=coarse), "dicom", "PA")
    assert start.init == "dicom"
    torch.testing.assert_close(start.pose[:3, :3], view_pose(coarse, camera, angles)[:3, :3])
    with pytest.raises(InputError, match="needs C-arm angles in the header of ap-2, it has none"):
        asked_start(views[1:], PreparedCt(volume=coarse), "dicom", "PA")


def test_a_pose_is_that_in_the_first_xray(coarse: Volume) -> None:
    camera = detector(1000.0)
    views = asked_views([xray(camera), xray(camera)], [FRAME, SIDE @ FRAME], None, None)
    given = view_pose(coarse, camera)
    start = asked_start(views, PreparedCt(volume=coarse), given, "PA")
    assert start.init == "pose"
    assert torch.equal(start.pose, given)
    behind = inverse_rigid(given)
    with pytest.raises(InputError, match=r"^in view ap: pose camera_from_ct must place the CT"):
        asked_start(views, PreparedCt(volume=coarse), behind, "PA")
    with pytest.raises(InputError, match=r"^pose camera_from_ct must place the CT"):
        asked_start(views[:1], PreparedCt(volume=coarse), behind, "PA")


def test_a_pose_that_only_the_second_xray_cannot_show_names_it(coarse: Volume) -> None:
    """Its source is 20 mm from the middle of the CT."""
    camera = detector(1000.0)
    near = SIDE.clone()
    near[2, 3] += 20.0 - transform_points(SIDE, step(0.0, 0.0, 700.0)[None])[0, 2]
    views = asked_views([xray(camera), xray(camera)], [HERE, near], None, None)
    with pytest.raises(InputError, match=r"^in view ap-2: .* it reaches behind the source"):
        asked_start(views, PreparedCt(volume=coarse), view_pose(coarse, camera), "PA")


def test_an_xray_without_a_camera_says_what_its_header_lacks() -> None:
    image, mask = torch.zeros(28, 32), torch.ones(28, 32, dtype=torch.bool)
    notes = (
        "Took the first of 3 frames.",
        "The geometry is incomplete, it lacks pixel_spacing_mm.",
    )
    radiograph = Radiograph(image=image, mask=mask, notes=notes)
    message = r"are needed \(The geometry is incomplete, it lacks pixel_spacing_mm\)$"
    with pytest.raises(InputError, match=message):
        asked_views([radiograph], None, None, None)


@pytest.mark.parametrize(
    ("distance_mm", "spacing_mm", "unit"), [(0.9, 0.011, "metres"), (90.0, 1.1, "centimetres")]
)
def test_a_detector_nearer_than_the_ct_is_thin_is_refused(
    coarse: Volume, distance_mm: float, spacing_mm: float, unit: str
) -> None:
    camera = Camera(source_to_detector_mm=distance_mm, rows=28, columns=32,
                    pixel_spacing_mm=(spacing_mm, spacing_mm))  # fmt: skip
    views = asked_views(xray(camera), None, None, None)
    with pytest.raises(InputError, match=rf"must leave room for the CT, .*; is it in {unit}\?$"):
        asked_start(views, PreparedCt(volume=coarse), "search", "PA")


def test_arguments_of_other_kinds_are_one_sentence(coarse: Volume) -> None:
    good = xray(detector(1000.0))
    wrong: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("volume must be a Volume or PreparedCt", (good, "ct.nii.gz"), {}),
        ("prepared must be a PreparedCt", (good, coarse), {"prepared": coarse}),
        ("radiograph must be a Radiograph .* got str", ("x.png", coarse), {}),
        ("radiograph must be a Radiograph .* got Tensor", (torch.zeros(3, 3), coarse), {}),
        (r"radiographs\[1\] must be a Radiograph .* got ndarray", ([good, SIDE.numpy()], coarse),
         {"rig": [HERE, SIDE]}),
        ("rois must be a RoiTarget or a list", (good, coarse), {"rois": {"hip": torch.ones(9, 9)}}),
        ("rois must be a RoiTarget, got ndarray", (good, coarse), {"rois": [SIDE.numpy()]}),
        ("camera must be a Camera or a list", (good, coarse, "camera.json"), {}),
        ("camera must be a Camera .* got dict", (good, coarse, [{"rows": 28}]), {}),
        ("rig must be a rig or", (good, coarse), {"rig": "rig.json"}),
        ("view must be one of", (good, coarse), {"view": 3}),
    ]  # fmt: skip
    for said, given, more in wrong:
        with pytest.raises(InputError, match=said):
            register(*given, **more)


def test_what_shows_nothing_is_refused_as_from_files(coarse: Volume) -> None:
    camera = detector(1000.0)
    image = torch.arange(28.0 * 32).reshape(28, 32)
    nowhere = image.clone()
    nowhere[3, 4] = math.nan
    good = Radiograph(image=image, camera=camera)
    air = dataclasses.replace(coarse, hu=torch.full_like(coarse.hu, -1000))
    for said, given in (
        ("must show something, every pixel is 0", (xray(camera), coarse)),
        ("must be finite where its mask", (Radiograph(image=nowhere, camera=camera), coarse)),
        ("must be finite", (dataclasses.replace(good, opposite_polarity=nowhere), coarse)),
        ("values of at most 1e\\+15", (dataclasses.replace(good, image=image * 1e30), coarse)),
        ("volume must hold a body, its voxels are all -1000 HU", (good, air)),
    ):
        with pytest.raises(InputError, match=said):
            register(*given, init=view_pose(coarse, camera, "PA"))
    with pytest.raises(InputError, match="opposite_polarity must have the image's shape"):
        dataclasses.replace(good, opposite_polarity=image[:5])
