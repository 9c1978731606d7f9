"""Joints: a ball in a socket made by hand, contacts that are none, the sphere through points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.geometry.rigid import exp_so3
from wsreg.registration.joints import facing_points, find_joint, fit_sphere
from wsreg.volumes.volume import Volume

SOCKET, BALL = 1, 2
RADIUS_MM = 24.0
CENTRE_MM = torch.tensor([103.3, -51.9, 208.2], dtype=torch.float64)
TURN = exp_so3(torch.tensor([0.1, -0.2, 0.15], dtype=torch.float64))
Points = NDArray[np.float64]


def grid(spacing_mm: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """(affine, [D,H,W,3] positions relative to the centre), 90 mm wide, in turned axes."""
    shape = [round(90.0 / mm) for mm in reversed(spacing_mm)]
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = TURN @ torch.diag(torch.tensor(spacing_mm, dtype=torch.float64))
    middle = torch.tensor([(n - 1) / 2 for n in reversed(shape)], dtype=torch.float64)
    affine[:3, 3] = CENTRE_MM - affine[:3, :3] @ middle
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    index = torch.stack(axes[::-1], dim=-1)
    return affine, index @ affine[:3, :3].T + affine[:3, 3] - CENTRE_MM


def volume_of(labels: Tensor, affine: Tensor) -> Volume:
    labels = labels.to(torch.uint8)
    return Volume(hu=torch.where(labels > 0, 1000, 0), ct_from_voxel=affine, labels=labels)


def ball_and_socket(
    spacing_mm: tuple[float, float, float], radius_mm: float = RADIUS_MM, gap_mm: float = 2.5
) -> Volume:
    """A head with a neck that runs down, in a cup above it."""
    affine, positions = grid(spacing_mm)
    radius, height = positions.norm(dim=-1), positions[..., 2]
    cup = (radius > radius_mm + gap_mm) & (radius < radius_mm + gap_mm + 8.0) & (height > -5.0)
    neck = (positions[..., :2].norm(dim=-1) < 0.5 * radius_mm) & (height < 0.0)
    labels = torch.where((radius <= radius_mm) | neck, BALL, 0)
    return volume_of(torch.where(cup, SOCKET, labels), affine)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.0), (1.5, 1.5, 1.5)])
def test_a_ball_in_a_socket(spacing_mm: tuple[float, float, float]) -> None:
    joint = find_joint(ball_and_socket(spacing_mm), (BALL,), (SOCKET,))
    assert joint is not None
    assert joint.radius_mm is not None
    assert float((joint.centre_mm - CENTRE_MM).norm()) < 0.3 * max(spacing_mm)
    # The outermost voxels' centres lie half a voxel inside, at most.
    assert -0.5 * max(spacing_mm) < joint.radius_mm - RADIUS_MM < 0.1


def test_the_socket_is_found_from_several_labels_of_each() -> None:
    volume = ball_and_socket((1.5, 1.5, 1.5))
    assert volume.labels is not None
    labels = volume.labels.clone()
    half = torch.arange(labels.shape[2]) % 2 == 0
    labels[..., half] = torch.where(labels[..., half] > 0, labels[..., half] + 2, 0)
    split = Volume(hu=volume.hu, ct_from_voxel=volume.ct_from_voxel, labels=labels)
    expected = find_joint(volume, (BALL,), (SOCKET,))
    found = find_joint(split, (BALL, BALL + 2), (SOCKET, SOCKET + 2))
    assert expected is not None
    assert found is not None
    torch.testing.assert_close(found.centre_mm, expected.centre_mm)
    assert found.radius_mm == expected.radius_mm


@pytest.mark.parametrize("radius_mm", [9.0, 38.0])
def test_what_is_too_small_or_too_large_is_no_head(radius_mm: float) -> None:
    joint = find_joint(ball_and_socket((2.0, 2.0, 2.0), radius_mm), (BALL,), (SOCKET,))
    assert joint is not None
    assert joint.radius_mm is None


def test_a_flat_contact_has_a_middle_and_no_radius() -> None:
    affine, positions = grid((2.0, 2.0, 2.0))
    x, y, z = positions.unbind(-1)
    beside = (x.abs() < 20.0) & ((y - 5.0).abs() < 15.0)
    labels = torch.where(beside & (z < -2.0) & (z > -20.0), BALL, 0)
    labels = torch.where(beside & (z > 2.0), SOCKET, labels)
    joint = find_joint(volume_of(labels, affine), (BALL,), (SOCKET,))
    assert joint is not None
    assert joint.radius_mm is None
    off = joint.centre_mm - CENTRE_MM - torch.tensor([0.0, 5.0, -4.0], dtype=torch.float64)
    assert float(off.abs().max()) < 2.0


@pytest.mark.parametrize(("gap_mm", "meets"), [(6.0, True), (9.5, False), (20.0, False)])
def test_bones_far_apart_do_not_meet(gap_mm: float, meets: bool) -> None:
    """They meet within 8 mm."""
    volume = ball_and_socket((1.5, 1.5, 1.5), radius_mm=16.0, gap_mm=gap_mm)
    assert (find_joint(volume, (BALL,), (SOCKET,)) is not None) == meets


def test_labels_that_are_not_there_do_not_meet() -> None:
    volume = ball_and_socket((3.0, 3.0, 3.0))
    assert find_joint(volume, (9,), (SOCKET,)) is None
    assert find_joint(volume, (BALL,), (9,)) is None
    assert find_joint(volume, (BALL,), ()) is None


def test_points_that_face_are_on_the_surface_and_no_deeper() -> None:
    points = torch.from_numpy(facing_points(ball_and_socket((1.0,) * 3), (BALL,), (SOCKET,)))
    off = points - CENTRE_MM
    assert float(off.norm(dim=-1).max()) <= RADIUS_MM + 1e-6
    assert float(off.norm(dim=-1).min()) >= RADIUS_MM - 1.8
    assert float(off[:, 2].min()) > -20.0  # not those that look away from the cup


def sphere(count: int, noise_mm: float = 0.0) -> Points:
    """[N,3] points on the upper half of a sphere."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(count, 3))
    directions[:, 2] = np.abs(directions[:, 2])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radius = RADIUS_MM + noise_mm * random.normal(size=(count, 1))
    points: Points = directions * radius + CENTRE_MM.numpy()
    return points


def test_the_sphere_through_points_on_one() -> None:
    centre, radius, roughness = fit_sphere(sphere(50))
    np.testing.assert_allclose(centre, CENTRE_MM, atol=1e-8)
    assert radius == pytest.approx(RADIUS_MM)
    assert roughness < 1e-8


def test_roughness_is_the_distance_from_the_sphere() -> None:
    _, radius, roughness = fit_sphere(sphere(4000, noise_mm=0.5))
    assert radius == pytest.approx(RADIUS_MM, abs=0.1)
    # What is more than 2.5 median distances off is left out: somewhat under 0.5 remains.
    assert 0.35 < roughness < 0.5


def test_points_far_off_are_left_out() -> None:
    """One in thirteen lies elsewhere, as where a neck begins."""
    random = np.random.default_rng(1)
    away = CENTRE_MM.numpy() + [30.0, 0.0, -20.0] + 5.0 * random.normal(size=(30, 3))
    points = np.concatenate((sphere(360, noise_mm=0.2), away))
    centre, radius, roughness = fit_sphere(points)
    assert float(np.linalg.norm(centre - CENTRE_MM.numpy())) < 0.3
    assert radius == pytest.approx(RADIUS_MM, abs=0.3)
    assert roughness < 0.5
