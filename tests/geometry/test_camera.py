from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera


def test_the_image_centre_is_the_principal_point_left_out() -> None:
    camera = Camera(
        source_to_detector_mm=1020, rows=1536, columns=1000, pixel_spacing_mm=(0.194, 0.194)
    )
    assert camera.centre_px == (499.5, 767.5)
    assert camera.principal_point_px == (499.5, 767.5)


def test_projection_known_by_hand(camera: Camera) -> None:
    # At half the distance everything is magnified twice; 1 mm columns, 2 mm rows.
    point = torch.tensor([[10.0, 20.0, 500.0]])
    torch.testing.assert_close(camera.project(point), torch.tensor([[110.0, 80.0]]))


def test_points_not_in_front_of_the_source_have_no_projection(camera: Camera) -> None:
    points = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, -5.0]])
    assert bool(torch.isnan(camera.project(points)).all())


def test_intrinsic_matrix_projects(camera: Camera) -> None:
    point = torch.tensor([3.0, -4.0, 700.0], dtype=torch.float64)
    homogeneous = camera.intrinsic_matrix @ point
    torch.testing.assert_close(homogeneous[:2] / homogeneous[2], camera.project(point))


def test_detector_points_project_to_their_pixels(camera: Camera) -> None:
    pixels = torch.tensor([[0.0, 0.0], [199.0, 99.0], [90.0, 60.0]])
    points = camera.detector_points(pixels)
    torch.testing.assert_close(points[0], torch.tensor([-90.0, -120.0, 1000.0]))
    torch.testing.assert_close(points[2], torch.tensor([0.0, 0.0, 1000.0]))
    torch.testing.assert_close(camera.project(points), pixels)


def test_resized_covers_the_same_detector(camera: Camera) -> None:
    small = camera.resized(rows=50, columns=40)
    assert small.pixel_spacing_mm == (4.0, 5.0)
    for corner, corner_small in (((-0.5, -0.5), (-0.5, -0.5)), ((199.5, 99.5), (39.5, 49.5))):
        torch.testing.assert_close(
            small.detector_points(torch.tensor(corner_small, dtype=torch.float64)),
            camera.detector_points(torch.tensor(corner, dtype=torch.float64)),
        )


def test_numpy_numbers_are_numbers(camera: Camera) -> None:
    same = Camera(
        source_to_detector_mm=np.float32(1000),  # type: ignore[arg-type]
        rows=np.int64(100),  # type: ignore[arg-type]
        columns=200,
        pixel_spacing_mm=(np.float64(2), 1),
        principal_point_px=(90, 60),
    )
    assert same == camera


@pytest.mark.parametrize("name", ["rows", "columns"])
@pytest.mark.parametrize("value", [0, -3, 1.5, math.nan, math.inf, True, "100", None, [100]])
def test_sizes_must_be_whole_numbers(camera: Camera, name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"camera {name} must be a whole number"):
        dataclasses.replace(camera, **{name: value})


@pytest.mark.parametrize("value", [0, -1020, math.nan, math.inf, 10**400, True, "1020", None])
def test_the_distance_must_be_positive(camera: Camera, value: Any) -> None:
    with pytest.raises(InputError, match="source_to_detector_mm must be positive and finite, got"):
        dataclasses.replace(camera, source_to_detector_mm=value)


@pytest.mark.parametrize(
    "value", [0.194, (0.194,), (1, 2, 3), (0, 1), (1, -1), (1, math.nan), ("1", "2"), None, {}]
)
def test_the_spacing_must_be_two_positive_numbers(camera: Camera, value: Any) -> None:
    with pytest.raises(InputError, match="pixel_spacing_mm must be two positive numbers"):
        dataclasses.replace(camera, pixel_spacing_mm=value)


@pytest.mark.parametrize("value", [5.0, (1.0,), (math.inf, 1.0), ("a", "b")])
def test_the_principal_point_must_be_two_numbers(camera: Camera, value: Any) -> None:
    with pytest.raises(InputError, match="principal_point_px must be two finite numbers"):
        dataclasses.replace(camera, principal_point_px=value)


def test_the_principal_point_may_lie_off_the_image(camera: Camera) -> None:
    off = dataclasses.replace(camera, principal_point_px=(-50.0, 500.0))
    assert off.centre_px == (-50.0, 500.0)
