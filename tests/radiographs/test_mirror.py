"""Left and right of an X-ray exchanged, and its camera with it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from wsreg.geometry.camera import Camera
from wsreg.radiographs.mirror import mirrored_camera, mirrored_radiograph
from wsreg.radiographs.radiograph import Radiograph

CAMERA = Camera(
    source_to_detector_mm=900.0, rows=3, columns=5, pixel_spacing_mm=(2.0, 3.0),
    principal_point_px=(1.25, 0.5),
)  # fmt: skip


def test_the_principal_point_lies_as_far_from_the_other_side() -> None:
    """4 is the last column."""
    found = mirrored_camera(CAMERA)
    assert found == dataclasses.replace(CAMERA, principal_point_px=(2.75, 0.5))
    assert mirrored_camera(found) == CAMERA


def test_one_in_the_middle_stays_there() -> None:
    middle = Camera(source_to_detector_mm=900.0, rows=3, columns=6, pixel_spacing_mm=(2.0, 3.0))
    assert mirrored_camera(middle) == middle
    assert middle.principal_point_px == (2.5, 1.0)


def test_a_point_on_the_other_side_is_seen_at_the_mirrored_pixel() -> None:
    point = torch.tensor([4.0, -3.0, 450.0], dtype=torch.float64)
    column, row = CAMERA.project(point).tolist()
    assert (column, row) == pytest.approx((1.25 + 4.0 * 2.0 / 3.0, 0.5 - 3.0 * 2.0 / 2.0))
    there = mirrored_camera(CAMERA).project(point * torch.tensor([-1.0, 1.0, 1.0]))
    assert there.tolist() == pytest.approx((4 - column, row))


def test_all_of_the_xray_is_mirrored_and_the_rest_stays() -> None:
    image = torch.arange(15.0).reshape(3, 5)
    mask = image > 3
    xray = Radiograph(
        image=image, mask=mask, camera=CAMERA, notes=("a note",), name="ap",
        opposite_polarity=-image,
    )  # fmt: skip
    found = mirrored_radiograph(xray)
    assert found.image[0].tolist() == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert found.mask[0].tolist() == [True, False, False, False, False]
    assert found.opposite_polarity is not None
    assert found.opposite_polarity[2].tolist() == [-14.0, -13.0, -12.0, -11.0, -10.0]
    assert found.camera == mirrored_camera(CAMERA)
    assert (found.notes, found.name) == (("a note",), "ap")
    again = mirrored_radiograph(found)
    assert torch.equal(again.image, image)
    assert torch.equal(again.mask, mask)
    assert again.camera == CAMERA
    bare = mirrored_radiograph(Radiograph(image=image, mask=mask))
    assert bare.camera is None
    assert bare.opposite_polarity is None
