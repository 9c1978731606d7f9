from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rig import (
    Rig,
    RigView,
    angle_between_views_deg,
    nearest_point_to_axes,
    orbit_rig,
    relative,
)
from wsreg.geometry.rigid import exp_se3, exp_so3, rigid, transform_points
from wsreg.geometry.views import pose_towards

CAMERA = Camera(source_to_detector_mm=1000, rows=64, columns=32, pixel_spacing_mm=(2, 2))
FRONT = torch.tensor(  # source at (0, 0, -700), looking along +z
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 700], [0, 0, 0, 1]], dtype=torch.float64
)
SIDE = torch.tensor(  # source at (600, 0, 0), looking along -x
    [[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 600], [0, 0, 0, 1]], dtype=torch.float64
)
BACK = torch.tensor(  # source at (0, 0, 500), looking along -z
    [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 500], [0, 0, 0, 1]], dtype=torch.float64
)


def rig(*poses: Tensor) -> Rig:
    return Rig(
        views=tuple(
            RigView(name=f"v{i}", camera=CAMERA, camera_from_rig=p) for i, p in enumerate(poses)
        )
    )


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def turned(degrees: float, depth_mm: float = 700.0) -> Tensor:
    """A camera that looks at the rig's origin, turned about y."""
    return rigid(exp_so3(vector(0.0, math.radians(degrees), 0.0)), vector(0.0, 0.0, depth_mm))


def test_motions_from_the_first_view_are_those_worked_out_by_hand() -> None:
    first, second = relative(rig(FRONT, SIDE))
    assert torch.equal(first, torch.eye(4, dtype=torch.float64))
    # the first camera's origin is the rig's (0, 0, -700), which the second sees at (-700, 0, 600)
    expected = vector(-700.0, 0.0, 600.0)
    torch.testing.assert_close(second[:3, 3], expected)
    torch.testing.assert_close(second[:3, :3], SIDE[:3, :3])
    torch.testing.assert_close(second @ FRONT, SIDE)


def test_the_rigs_own_frame_does_not_matter_to_them() -> None:
    moved = exp_se3(vector(0.3, -0.2, 0.5, 40.0, 60.0, -90.0))
    for a, b in zip(
        relative(rig(FRONT, SIDE, BACK)),
        relative(rig(FRONT @ moved, SIDE @ moved, BACK @ moved)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("a", "b", "degrees"),
    [
        (FRONT, FRONT, 0.0),
        (FRONT, SIDE, 90.0),
        (FRONT, BACK, 0.0),
        (SIDE, BACK, 90.0),
        (FRONT, turned(30.0), 30.0),
        (FRONT, turned(-150.0), 30.0),
        (FRONT, turned(1e-4), 1e-4),
    ],
)
def test_the_angle_between_views_is_modulo_direction(a: Tensor, b: Tensor, degrees: float) -> None:
    assert angle_between_views_deg(a, b) == pytest.approx(degrees, rel=1e-6, abs=1e-9)
    assert angle_between_views_deg(b, a) == pytest.approx(degrees, rel=1e-6, abs=1e-9)


def test_axes_that_cross_have_their_crossing_as_nearest_point() -> None:
    moved = rigid(torch.eye(3, dtype=torch.float64), vector(-11.0, -12.0, -13.0))
    point = nearest_point_to_axes([FRONT @ moved, SIDE @ moved, BACK @ moved])
    torch.testing.assert_close(point, vector(11.0, 12.0, 13.0))


def test_axes_that_pass_each_other_have_the_middle_between_them() -> None:
    above = SIDE.clone()
    above[1, 3] = 8.0  # its axis is the line y = -8, z = 0
    torch.testing.assert_close(nearest_point_to_axes([FRONT, above]), vector(0.0, -4.0, 0.0))


def test_other_axes_than_the_optical_ones_may_be_given() -> None:
    # from (0, 0, -700), 70 mm to the side at depth 700; from (600, 0, 0) along -x
    point = nearest_point_to_axes([FRONT, SIDE], [vector(10.0, 0.0, 100.0), vector(0.0, 0.0, 2.0)])
    torch.testing.assert_close(point, vector(70.0, 0.0, 0.0))


@pytest.mark.parametrize("poses", [[FRONT], [FRONT, BACK], [FRONT, turned(4.9)]])
def test_parallel_axes_have_no_nearest_point(poses: list[Tensor]) -> None:
    assert nearest_point_to_axes(poses) is None


def test_a_little_more_than_parallel_has_one() -> None:
    torch.testing.assert_close(nearest_point_to_axes([FRONT, turned(5.1)]), vector(0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("degrees", "view"), [(90.0, "LAT"), (-90.0, "RLAT"), (180.0, "AP"), (0.0, "PA")]
)
def test_a_c_arm_turned_from_pa_is_at_the_named_view(degrees: float, view: str) -> None:
    made = orbit_rig(CAMERA, angle_rad=math.radians(degrees), source_to_isocentre_mm=650.0)
    centre = vector(5.0, -20.0, 40.0)
    pa, other = (pose_towards(centre, CAMERA, v, 650.0) for v in ("PA", view))
    torch.testing.assert_close(relative(made)[1] @ pa, other)
    assert torch.equal(made.views[0].camera_from_rig, torch.eye(4, dtype=torch.float64))
    assert [v.camera for v in made.views] == [CAMERA, CAMERA]
    assert [v.name for v in made.views] == ["view-1", "view-2"]


def test_a_c_arm_turned_by_any_angle_has_it_as_its_primary_angle() -> None:
    angle = math.radians(35.0)
    made = orbit_rig(CAMERA, angle_rad=angle, source_to_isocentre_mm=700.0, names=("AP", "oblique"))
    angles = CArmAngles(primary_rad=angle, secondary_rad=0.0)
    pa = pose_towards(vector(0, 0, 0), CAMERA, "PA", 700.0)
    expected = pose_towards(vector(0, 0, 0), CAMERA, angles, 700.0)
    torch.testing.assert_close(relative(made)[1] @ pa, expected)
    point = nearest_point_to_axes([view.camera_from_rig for view in made.views])
    torch.testing.assert_close(point, vector(0.0, 0.0, 700.0))
    assert [v.name for v in made.views] == ["AP", "oblique"]


def test_a_c_arm_that_cannot_turn_so_is_refused() -> None:
    with pytest.raises(InputError, match="angle_rad must be finite, got nan"):
        orbit_rig(CAMERA, angle_rad=math.nan, source_to_isocentre_mm=700.0)
    for depth in (0.0, -1.0, 1000.0, math.nan):
        with pytest.raises(InputError, match=r"source_to_isocentre_mm must be .* 1000 mm, got"):
            orbit_rig(CAMERA, angle_rad=1.0, source_to_isocentre_mm=depth)


def test_a_rig_without_views_is_refused() -> None:
    with pytest.raises(InputError, match="rig must have at least one view, got none"):
        Rig(views=())


def test_names_that_repeat_are_refused_and_named() -> None:
    views = [RigView(name=name, camera_from_rig=FRONT) for name in ("AP", "LAT", "AP")]
    with pytest.raises(InputError, match="names of their own, got AP repeatedly"):
        Rig(views=tuple(views))


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InputError, match="rig view name must be a text that is not empty, got ''"):
        RigView(name="", camera_from_rig=FRONT)


def test_a_pose_that_is_not_rigid_is_refused_with_its_view() -> None:
    with pytest.raises(InputError, match=r"rig view 'LAT' camera_from_rig must be rigid.*-1"):
        RigView(name="LAT", camera_from_rig=torch.diag(vector(1.0, 1.0, -1.0, 1.0)))


def test_a_pose_may_be_rows_of_numbers_or_an_array_but_not_nothing() -> None:
    poses: tuple[Any, ...] = (SIDE.tolist(), SIDE.numpy())
    for pose in poses:
        view = RigView(name="LAT", camera_from_rig=pose)
        assert torch.equal(view.camera_from_rig, SIDE)
    with pytest.raises(InputError, match=r"^rig view 'LAT' camera_from_rig must be a 4x4 .* None$"):
        RigView(name="LAT", camera_from_rig=None)  # type: ignore[arg-type]


def test_rounding_of_a_pose_is_taken_off() -> None:
    pose = turned(33.0)
    view = RigView(name="a", camera_from_rig=((pose * 1e5).round() / 1e5).float())
    assert view.camera_from_rig.dtype == torch.float64
    product = view.camera_from_rig[:3, :3] @ view.camera_from_rig[:3, :3].T
    torch.testing.assert_close(product, torch.eye(3, dtype=torch.float64), rtol=0.0, atol=1e-14)
    torch.testing.assert_close(view.camera_from_rig, pose, rtol=0.0, atol=1e-4)


def test_metres_and_inverses_are_refused() -> None:
    metres = [FRONT.clone(), SIDE.clone()]
    for pose in metres:
        pose[:3, 3] /= 1000.0
    with pytest.raises(
        InputError, match=r"in millimetres, .* up to 90 degrees apart lie within 0\.922 mm"
    ):
        rig(*metres)
    with pytest.raises(InputError, match=r"within .* as if these were metres, or inverse matrices"):
        rig(torch.linalg.inv(turned(0.0)), torch.linalg.inv(turned(90.0)))


@pytest.mark.parametrize("degrees", [0.0, 4.9])
def test_views_in_all_but_one_direction_may_have_sources_close_together(degrees: float) -> None:
    near = exp_se3(vector(0.0, math.radians(degrees), 0.0, 3.0, 0.0, 0.0)) @ FRONT
    assert len(rig(FRONT, near).views) == 2


def test_axes_that_meet_behind_a_source_are_refused() -> None:
    away = torch.diag(vector(1.0, -1.0, -1.0, 1.0))  # to a camera whose z runs to the source
    with pytest.raises(InputError, match=r"'v0' and 'v1' meet 600 mm behind the source of 'v1'"):
        rig(FRONT, away @ SIDE)
    # two views side by side that look apart a little: a long leg seen in two pieces
    left = rigid(exp_so3(vector(0.0, math.radians(10.0), 0.0)), vector(0.0, 0.0, 700.0))
    right = rigid(exp_so3(vector(0.0, math.radians(-10.0), 0.0)), vector(0.0, 0.0, 700.0))
    apart = [
        pose @ rigid(torch.eye(3, dtype=torch.float64), vector(x, 0.0, 0.0))
        for pose, x in ((left, 400.0), (right, -400.0))
    ]
    depths = [float(transform_points(p, nearest_point_to_axes(apart)[None])[0, 2]) for p in apart]  # type: ignore[index]
    assert max(depths) < 0
    assert len(rig(*apart).views) == 2
