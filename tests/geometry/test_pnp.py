"""Poses from landmarks: exact ones give the pose, few need the view, one that is wrong is borne."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.pnp import solve_pnp, solve_pnp_around
from wsreg.geometry.rigid import exp_so3, rigid, rotation_angle_rad, transform_points

CAMERA = Camera(source_to_detector_mm=1000.0, rows=300, columns=300, pixel_spacing_mm=(1.0, 1.0))
POINTS = torch.tensor(
    [[80.0, -20, 30], [-80, -20, 30], [0, -30, -60], [60, 60, 10], [-60, 60, 10], [20, 70, -50]],
    dtype=torch.float64,
)
START = rigid(exp_so3(torch.tensor([math.pi / 2, 0.0, 0.0]).double()), torch.zeros(3).double())


def pose(turn: tuple[float, float, float], place: tuple[float, float, float]) -> Tensor:
    rotation = exp_so3(torch.tensor(turn, dtype=torch.float64)) @ START[:3, :3]
    return rigid(rotation, torch.tensor(place, dtype=torch.float64))


TRUTH = pose((0.2, -0.15, 0.1), (12.0, -8.0, 720.0))


def seen(count: int, truth: Tensor = TRUTH) -> Tensor:
    return CAMERA.project(transform_points(truth, POINTS[:count]))


def apart(found: Tensor, truth: Tensor, count: int) -> float:
    first, second = (transform_points(one, POINTS[:count]) for one in (found, truth))
    return float((first - second).norm(dim=-1).max())


def test_exact_landmarks_give_the_pose() -> None:
    found = solve_pnp(POINTS, seen(6), CAMERA, START)
    assert apart(found.camera_from_ct, TRUTH, 6) < 0.5
    assert float(found.distances_mm.max()) < 0.1


@pytest.mark.parametrize("turn", [(0, 0, math.pi), (0, math.pi / 2, 0.1), (math.pi, 0, 0.2)])
def test_many_landmarks_give_it_from_any_side(turn: tuple[float, float, float]) -> None:
    truth = pose(turn, (5.0, 5.0, 700.0))
    found = solve_pnp_around(POINTS, seen(6, truth), CAMERA, START)[0]
    assert apart(found.camera_from_ct, truth, 6) < 0.5


@pytest.mark.parametrize("count", [2, 3])
def test_few_landmarks_keep_near_the_view(count: int) -> None:
    found = solve_pnp_around(POINTS[:count], seen(count), CAMERA, START)[0]
    assert float(found.distances_mm.max()) < 2.0
    assert float(rotation_angle_rad(found.camera_from_ct[:3, :3] @ TRUTH[:3, :3].T)) < 0.35
    assert apart(found.camera_from_ct, TRUTH, count) < 60.0


def test_an_image_upside_down_is_found_with_few_landmarks() -> None:
    truth = pose((0.0, 0.0, math.pi - 0.1), (5.0, 5.0, 700.0))
    found = solve_pnp_around(POINTS[:3], seen(3, truth), CAMERA, START)
    angles = [float(rotation_angle_rad(f.camera_from_ct[:3, :3] @ truth[:3, :3].T)) for f in found]
    assert min(angles) < 0.3


def test_one_wrong_landmark_of_six_leads_little_away_and_stands_out() -> None:
    pixels = seen(6)
    pixels[4] += torch.tensor([60.0, -40.0])
    found = solve_pnp_around(POINTS, pixels, CAMERA, START)[0]
    assert int(found.distances_mm.argmax()) == 4
    assert apart(found.camera_from_ct, TRUTH, 4) < 25.0


def test_the_same_pose_is_given_once() -> None:
    found = solve_pnp_around(POINTS, seen(6), CAMERA, START)
    assert found[0].cost < 0.01
    assert all(other.cost > 1.0 for other in found[1:])
