"""Labels as an X-ray shows them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.simulation.silhouettes import label_silhouettes
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=101, columns=101, pixel_spacing_mm=(1.0, 1.0))


@pytest.fixture
def pose() -> Tensor:
    """The grid's middle half-way to the detector, axes as the camera's."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[2, 3] = 500.0
    return pose


@pytest.fixture
def volume() -> Volume:
    """A ball of label 7, radius 12 mm, with a thin plate of label 9 in front and beside it."""
    n = 41
    z, y, x = torch.meshgrid(*(torch.arange(n) - 20.0,) * 3, indexing="ij")
    labels = torch.zeros((n, n, n), dtype=torch.uint8)
    labels[x**2 + y**2 + z**2 < 12.0**2] = 7
    labels[(z.abs() - 15.0).abs() < 1.5] = 0
    labels[(z == -16.0) & (y.abs() < 18.0) & (x.abs() < 18.0)] = 9
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, 3] = -20.0
    return Volume(hu=torch.zeros((n, n, n)), ct_from_voxel=affine, labels=labels)


def test_a_ball_is_a_disc_of_its_magnified_radius(volume: Volume, pose: Tensor) -> None:
    seen = label_silhouettes(volume, CAMERA, pose)
    assert seen.shape == (101, 101)
    assert seen.dtype == torch.uint8
    assert seen[50, 50] == 7
    row, column = torch.meshgrid(*(torch.arange(101.0) - 50.0,) * 2, indexing="ij")
    disc = torch.hypot(row, column) < 24.0  # magnified twice
    ball = seen == 7
    dice = 2.0 * float((disc & ball).sum()) / float(disc.sum() + ball.sum())
    assert dice > 0.98


def test_the_label_wins_that_the_ray_is_in_for_longest(volume: Volume, pose: Tensor) -> None:
    seen = label_silhouettes(volume, CAMERA, pose)
    assert seen[50, 50] == 7  # 24 mm of ball behind 1 mm of plate
    assert seen[50 + 32, 50] == 9  # beside the ball
    assert seen[5, 5] == 0


def test_many_labels_are_all_seen(pose: Tensor) -> None:
    labels = torch.zeros((3, 20, 20), dtype=torch.int16)
    for value in range(20):
        labels[:, value] = 2 * value + 1
    affine = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([-19.0, -19.0, -2.0])
    volume = Volume(hu=torch.zeros(labels.shape), ct_from_voxel=affine, labels=labels)
    seen = label_silhouettes(volume, CAMERA, pose)
    assert sorted(set(seen.flatten().tolist()) - {0}) == list(range(1, 40, 2))
    column = [v for v in seen[:, 50].tolist() if v]
    assert column == sorted(column)


@pytest.mark.parametrize("values", [None, 0, 300])
def test_labels_that_no_8_bit_image_can_hold(
    volume: Volume, pose: Tensor, values: int | None
) -> None:
    labels = None if values is None else torch.full(volume.hu.shape, values, dtype=torch.int16)
    with pytest.raises(InputError, match="labels"):
        label_silhouettes(dataclasses.replace(volume, labels=labels), CAMERA, pose)
