"""Where a search begins."""

from __future__ import annotations

import math

import torch
from wsreg.registration.search import SearchConfig, distinct, mean_distance_mm, poses_around

from wsreg.geometry.rigid import twist_between

VIEW = torch.eye(4, dtype=torch.float64)
VIEW[2, 3] = 700.0
PIVOT = torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64)


def test_poses_fill_the_box_around_the_view() -> None:
    config = SearchConfig(rotation_deg=20.0, shift_mm=60.0, depth_mm=100.0, poses=256)
    poses = poses_around(VIEW, PIVOT, config, seed=0)
    assert torch.equal(poses[0], VIEW)
    steps = twist_between(VIEW.expand(256, 4, 4), poses, PIVOT)
    angle = math.radians(20.0) * math.sqrt(3)
    assert float(steps[:, :3].norm(dim=1).max()) <= angle
    assert float(steps[:, 3:5].abs().max()) <= 60.0
    assert 95.0 < float(steps[:, 5].abs().max()) <= 100.0


def test_the_seed_decides() -> None:
    config = SearchConfig(poses=16)
    first = poses_around(VIEW, PIVOT, config, seed=3)
    assert torch.equal(first, poses_around(VIEW, PIVOT, config, seed=3))
    assert not torch.equal(first, poses_around(VIEW, PIVOT, config, seed=4))


def test_neighbours_of_a_better_pose_are_dropped() -> None:
    poses = VIEW.repeat(4, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 1.0, 10.0, 30.0], dtype=torch.float64)
    points = torch.zeros(1, 3, dtype=torch.float64)
    assert mean_distance_mm(poses[0], poses[2], points) == 10.0
    assert distinct(poses, 3, 5.0, points)[:, 0, 3].tolist() == [0.0, 10.0, 30.0]
    assert distinct(poses, 2, 5.0, points)[:, 0, 3].tolist() == [0.0, 10.0]
