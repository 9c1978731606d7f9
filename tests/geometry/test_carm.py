from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.carm import CArmAngles, angles_of_rotation, rotation_from_angles

LEFT, POSTERIOR, SUPERIOR = torch.eye(3, dtype=torch.float64)


def rotation_of_degrees(primary: float, secondary: float, roll: float = 0.0) -> Tensor:
    angles = CArmAngles(primary_rad=math.radians(primary), secondary_rad=math.radians(secondary))
    return rotation_from_angles(angles, math.radians(roll))


@pytest.mark.parametrize(
    ("primary", "column", "row", "beam"),
    [
        pytest.param(0, -LEFT, -SUPERIOR, -POSTERIOR, id="PA"),
        pytest.param(180, LEFT, -SUPERIOR, POSTERIOR, id="AP"),
        pytest.param(90, -POSTERIOR, -SUPERIOR, LEFT, id="LAT"),
        pytest.param(-90, POSTERIOR, -SUPERIOR, -LEFT, id="RLAT"),
    ],
)
def test_camera_axes_of_the_plain_views(
    primary: float, column: Tensor, row: Tensor, beam: Tensor
) -> None:
    torch.testing.assert_close(rotation_of_degrees(primary, 0), torch.stack((column, row, beam)))


def test_lao_and_cranial_put_the_detector_to_the_left_and_towards_the_head() -> None:
    beam = rotation_of_degrees(30, 20)[2]
    assert float(beam @ LEFT) == pytest.approx(math.sin(math.pi / 6) * math.cos(math.pi / 9))
    assert float(beam @ SUPERIOR) == pytest.approx(math.sin(math.pi / 9))
    assert float(beam @ POSTERIOR) < 0


def test_columns_stay_level_and_the_head_up() -> None:
    rotation = rotation_of_degrees(40, -35)
    assert float(rotation[0] @ SUPERIOR) == pytest.approx(0.0, abs=1e-15)
    assert float(rotation[1] @ SUPERIOR) == pytest.approx(-math.cos(math.radians(35)))


def test_roll_turns_the_camera_from_its_columns_to_its_rows() -> None:
    level, rolled = rotation_of_degrees(10, 20), rotation_of_degrees(10, 20, 90)
    torch.testing.assert_close(rolled, torch.stack((level[1], -level[0], level[2])))


@settings(max_examples=100, deadline=None)
@given(
    primary=st.floats(-179.9, 179.9),
    secondary=st.floats(-89.9, 89.9),
    roll=st.floats(-179.9, 179.9),
)
def test_angles_come_back(primary: float, secondary: float, roll: float) -> None:
    rotation = rotation_of_degrees(primary, secondary, roll)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64))
    assert float(torch.linalg.det(rotation)) == pytest.approx(1.0)
    angles, roll_rad = angles_of_rotation(rotation)
    assert math.degrees(angles.primary_rad) == pytest.approx(primary, abs=1e-9)
    assert math.degrees(angles.secondary_rad) == pytest.approx(secondary, abs=1e-9)
    assert math.degrees(roll_rad) == pytest.approx(roll, abs=1e-9)


@pytest.mark.parametrize("secondary", [90, -90])
def test_along_the_body_axis_primary_angle_and_roll_are_one(secondary: float) -> None:
    rotation = rotation_of_degrees(30, secondary, 15)
    torch.testing.assert_close(rotation[2], math.copysign(1, secondary) * SUPERIOR)
    angles, roll_rad = angles_of_rotation(rotation)
    assert angles.primary_rad == 0.0
    assert angles.secondary_rad == pytest.approx(math.radians(secondary))
    torch.testing.assert_close(rotation_from_angles(angles, roll_rad), rotation)


@pytest.mark.parametrize("angles_rad", [(math.nan, 0.0), (0.0, math.inf)])
def test_angles_must_be_finite(angles_rad: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="C-arm angles must be finite"):
        CArmAngles(primary_rad=angles_rad[0], secondary_rad=angles_rad[1])
